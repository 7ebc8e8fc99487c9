"""Other ways of recording what the functions of a lab do: as ALASTOR does it, with bpftrace, and the least that there can be."""
import json
import os
import re
import shutil
import signal

from . import BUILT
from lib import cgroup, net, process
from lib.say import Fail, wait_for

PROXY_PORT = 8079
FLOOR = os.path.join(BUILT, "fp-floor")

# What ALASTOR has strace log in each function's container: `strace -ttt -ff` with sixteen system calls.  The names are
# those that occur in its published raw logs (JinyuChata/detection24, alastor/static/logtar) and in its templates.
# Programs of today reach `open` as `openat`, which is therefore logged in addition.
ALASTOR_CALLS = ("execve", "fork", "clone", "open", "socket", "bind", "listen", "accept4", "connect", "sendto",
                 "recvfrom", "chmod", "chown", "access", "unlink", "unlinkat")
ALSO = ("openat", "clone3", "vfork")
# Where a call has a path, which argument that is.
PATHS = {"execve": "filename", "open": "filename", "openat": "filename", "chmod": "filename", "chown": "filename",
         "access": "filename", "unlink": "pathname", "unlinkat": "pathname"}
TEXT_MAX = 128  # bytes of a string that are logged, in both


class Alastor:
    """strace on each function's process, and a proxy that logs HTTP between gateway and watchdog; runs all the time."""

    def __init__(self, variant, load_program):
        self.lab, self.containers = variant.lab, variant.about["containers"]
        for one in self.containers:
            self._strace(one)
            self._proxy(one, load_program)
        config = self.lab.path("gateway", "nginx.conf")
        with open(config) as file:
            text = file.read()
        with open(config, "w") as file:
            file.write(re.sub(r"(server 198\.18\.\d+\.\d+):8080", rf"\1:{PROXY_PORT}", text))
        process.send(self.lab, "gateway", signal.SIGHUP)

    def _home(self, one):
        return self.lab.make("alastor", one["id"])

    def _strace(self, one):
        name, function = f"strace-{one['id']}", _child(one["pid"])
        process.start(self.lab, name, "client",
                      ["strace", "-f", "-ff", "-ttt", "-q", "-s", str(TEXT_MAX), "-o", f"{self._home(one)}/request.alastor",
                       "-e", "trace=" + ",".join(ALASTOR_CALLS + ALSO), "-p", function])
        wait_for(name, lambda: _tracer(function) != 0, 10, log=self.lab.log(name))

    def _proxy(self, one, load_program):
        name, prefix = f"proxy-{one['id']}", ["nsenter", f"--net=/proc/{one['pid']}/ns/net", "--"]
        pid = process.start(self.lab, name, "client", [*prefix, load_program, "proxy", "--listen", f"0.0.0.0:{PROXY_PORT}",
                                                       "--to", "127.0.0.1:8080", "--log", f"{self._home(one)}/net.log"])
        process.wait_ready(self.lab, name, lambda: net.listens(pid, PROXY_PORT))

    def programs(self):
        """Names of what records, as the lab knows them."""
        return [f"{kind}-{one['id']}" for one in self.containers for kind in ("strace", "proxy")]


def bpftrace_script(groups, calls):
    """A line of text at the entry and at the exit of each call, of processes in these cgroups."""
    ids = [os.stat(f"{cgroup.root()}/{group}").st_ino for group in groups]
    lines = ["BEGIN { " + " ".join(f"@in[{number}] = 1;" for number in ids) + ' printf("ready\\n"); }', "END { clear(@in); }"]
    for call in calls:
        path = PATHS.get(call)
        more, argument = (" %s", f", str(args->{path})") if path else ("", "")
        lines += [f'tracepoint:syscalls:sys_enter_{call} /@in[cgroup]/ '
                  f'{{ printf("%llu %d %d > {call}{more}\\n", nsecs, pid, tid{argument}); }}',
                  f'tracepoint:syscalls:sys_exit_{call} /@in[cgroup]/ '
                  f'{{ printf("%llu %d %d < {call} %ld\\n", nsecs, pid, tid, args->ret); }}']
    return "\n".join(lines) + "\n"


def bpftrace_command(script, out):
    """tracefs, which it needs, is mounted for it alone.  It has begun when something is in `out`."""
    mounts = "mount -t debugfs none /sys/kernel/debug; mount -t tracefs none /sys/kernel/debug/tracing 2>/dev/null; "
    return ["unshare", "--mount", "sh", "-c", f'{mounts} BPFTRACE_STRLEN={TEXT_MAX} exec bpftrace -o "$1" "$2"', "sh", out, script]


def bpftrace_lost(text):
    """(lines of calls, events that it says it lost)"""
    return (sum(" > " in line for line in text.splitlines()),
            sum(int(number) for number in re.findall(r"^Lost (\d+) events", text, re.M)))


class Bpftrace:
    """The same system calls by bpftrace, of the processes in the containers' cgroups; started and stopped as the agent is."""

    def __init__(self, variant):
        self.lab, self.groups = variant.lab, variant.groups
        self.home = self.lab.make("bpftrace")
        self.lost = self.lines = 0
        with open(f"{self.home}/calls.bt", "w") as file:
            file.write(bpftrace_script(self.groups, ALASTOR_CALLS + ALSO))

    @staticmethod
    def missing():
        """None where it can run, else why not."""
        return None if shutil.which("bpftrace") else "bpftrace is not installed (apt-get install bpftrace)"

    def start(self):
        out = f"{self.home}/out"
        if os.path.exists(out):
            os.unlink(out)
        process.start(self.lab, "bpftrace", "client", bpftrace_command(f"{self.home}/calls.bt", out))
        process.wait_ready(self.lab, "bpftrace", lambda: os.path.exists(out) and os.path.getsize(out) > 0)

    def stop(self):
        """What it lost it says in what it writes; an event that is lost makes its row void."""
        process.send(self.lab, "bpftrace", signal.SIGINT)
        wait_for("bpftrace", lambda: not process.alive(self.lab, "bpftrace"), 30, log=self.lab.log("bpftrace"))
        for path in (f"{self.home}/out", self.lab.log("bpftrace")):
            with open(path, errors="replace") as file:
                lines, lost = bpftrace_lost(file.read())
            self.lines, self.lost = self.lines + lines, self.lost + lost
        os.truncate(self.lab.log("bpftrace"), 0)

    def programs(self):
        return ["bpftrace"]


class Floor:
    """The least that a recorder by BPF can do: a record of 160 bytes of each call, read and thrown away (fp-floor)."""

    def __init__(self, variant):
        self.lab, self.lost, self.records = variant.lab, 0, 0

    def start(self):
        process.start(self.lab, "floor", "client", [FLOOR, f"{cgroup.root()}/{self.lab.cgroup}/node1"])
        process.wait_ready(self.lab, "floor", lambda: "ready" in self._said())

    def stop(self):
        process.send(self.lab, "floor", signal.SIGTERM)
        wait_for("fp-floor", lambda: not process.alive(self.lab, "floor"), 30, log=self.lab.log("floor"))
        said = json.loads(self._said().splitlines()[-1])
        self.lost, self.records = self.lost + said["lost"], self.records + said["records"]
        os.truncate(self.lab.log("floor"), 0)

    def _said(self):
        with open(self.lab.log("floor")) as file:
            return file.read()

    def programs(self):
        return ["floor"]


def _child(pid):
    """The function's process: the watchdog's only child."""
    found = []
    for task in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{task}/children") as file:
            found += [int(child) for child in file.read().split()]
    if len(found) != 1:
        raise Fail(f"the watchdog {pid} has {len(found)} children, not one")
    return found[0]


def _tracer(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("TracerPid:"))
