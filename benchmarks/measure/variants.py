"""The variants under test: each is a lab of its own, up at the same time as the others."""
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import time

import yaml

from . import BUILT, REPO, machine
from lib import cgroup, container, net, process, recording
from lib.say import Fail, run, wait_for
from lib.state import Lab

LAB = os.path.join(REPO, "scripts", "lab")
LOAD = os.path.join(BUILT, "fp-load")
PROXY_PORT = 8079

# What ALASTOR has strace log in each function's container: `strace -ttt -ff` with sixteen system calls.  The names are
# those that occur in its published raw logs (JinyuChata/detection24, alastor/static/logtar) and in its templates.
# Programs of today reach `open` as `openat`, which is therefore logged in addition.
ALASTOR_CALLS = ("execve", "fork", "clone", "open", "socket", "bind", "listen", "accept4", "connect", "sendto",
                 "recvfrom", "chmod", "chown", "access", "unlink", "unlinkat")
ALSO = ("openat", "clone3", "vfork")


class Variant:
    """One lab.  `base` names its directory below /run."""

    def __init__(self, base, name, dog="vanilla", recorded=False, alastor=False):
        self.name, self.dog, self.recorded, self.alastor = name, dog, recorded, alastor
        self.dir = f"/run/{base}-{name}"
        former = os.environ.get("FAASPROV_LAB")
        os.environ["FAASPROV_LAB"] = self.dir
        self.lab = Lab()
        if former is None:
            del os.environ["FAASPROV_LAB"]
        else:
            os.environ["FAASPROV_LAB"] = former
        self.driver = None
        self.log_seen = {}

    # --- up and down

    def up(self, stack_path):
        self._lab("up", stack_path, "--nodes", "1", "--watchdog", self.dog, "--agents", "on" if self.recorded else "off")
        self.about = self.lab.running()
        self.groups = [f"{self.lab.cgroup}/node1/{c['id']}" for c in self.about["containers"]]
        if self.alastor:
            self._as_alastor()
        if self.recorded:
            self.stop_recording()

    def down(self):
        if self.driver:
            self.driver.stdin.close()
            self.driver.wait()
            self.driver = None
        self._lab("down", check=False)
        shutil.rmtree(self.dir, ignore_errors=True)

    def _lab(self, *argv, check=True):
        done = subprocess.run([LAB, *argv], env={**os.environ, "FAASPROV_LAB": self.dir}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if check and done.returncode != 0:
            raise Fail(f"variant {self.name}: lab {argv[0]}: {done.stderr.strip()}")

    def _as_alastor(self):
        """strace on each function's process, and a proxy that logs HTTP between gateway and watchdog."""
        for one in self.about["containers"]:
            name, home = one["id"], self.lab.make("alastor", one["id"])
            function = _child(one["pid"])
            process.start(self.lab, f"strace-{name}", "client",
                          ["strace", "-f", "-ff", "-ttt", "-q", "-s", "128", "-o", f"{home}/request.alastor", "-e",
                           "trace=" + ",".join(ALASTOR_CALLS + ALSO), "-p", function])
            wait_for(f"strace of {name}", lambda: _tracer(function) != 0, 10, log=self.lab.log(f"strace-{name}"))
            self._proxy(one, f"{home}/net.log")
        config = self.lab.path("gateway", "nginx.conf")
        with open(config) as file:
            text = file.read()
        with open(config, "w") as file:
            file.write(re.sub(r"(server 198\.18\.\d+\.\d+):8080", rf"\1:{PROXY_PORT}", text))
        process.send(self.lab, "gateway", signal.SIGHUP)

    def _proxy(self, one, log):
        name, prefix = f"proxy-{one['id']}", ["nsenter", f"--net=/proc/{one['pid']}/ns/net", "--"]
        pid = process.start(self.lab, name, "client", [*prefix, LOAD, "proxy", "--listen", f"0.0.0.0:{PROXY_PORT}",
                                                       "--to", "127.0.0.1:8080", "--log", log])
        process.wait_ready(self.lab, name, lambda: net.listens(pid, PROXY_PORT))

    # --- the recorders of variant c

    def start_recording(self):
        self.log_seen = {name: self._log_size(name) for name in ("agent-node1", "aggregator")}
        recording.start(self.lab, 1, cgroup.root(), self.about["store"])

    def stop_recording(self):
        """Returns what the agent says of its run, for the losses."""
        recording.stop(self.lab)
        with open(self.lab.log("agent-node1")) as log:
            log.seek(self.log_seen.get("agent-node1", 0))
            text = log.read()
        last = re.findall(r'msg="?stopped"? (.*)', text)
        if not last:
            raise Fail("the agent ended without a word on its losses", log=self.lab.log("agent-node1"))
        return {key: int(value) for key, value in re.findall(r"(\w+)=(\d+)", last[-1])}

    def _log_size(self, name):
        try:
            return os.path.getsize(self.lab.log(name))
        except OSError:
            return 0

    def store_bytes(self):
        return sum(os.path.getsize(path) for path in glob.glob(glob.escape(self.about["store"]) + "*"))

    def recorder_memory(self):
        return {name: machine.program_memory(process.pid(self.lab, name)) for name in ("agent-node1", "aggregator")}

    def wire_bytes(self):
        return machine.received(net.enter(self.lab, "control"))

    # --- load

    def load(self, order):
        """One slice of load; returns what the driver measured and the processor time of everybody involved."""
        before, began = self._used(), time.monotonic()
        self.driver.stdin.write(json.dumps(order) + "\n")
        self.driver.stdin.flush()
        line = self.driver.stdout.readline()
        if not line:
            raise Fail(f"variant {self.name}: the load generator ended")
        result, after = json.loads(line), self._used()
        result["wall"] = time.monotonic() - began
        result["cpu_us"] = {key: after[key] - before[key] for key in after}
        return result

    def start_driver(self, url, bodies):
        argv = [*net.enter(self.lab, "client"), LOAD, "drive", "--url", url]
        for body in bodies:
            argv += ["--body", body]
        self.driver = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _used(self):
        group = f"{self.lab.cgroup}/lab"
        used = {"functions": machine.cpu(f"{self.lab.cgroup}/node1"), "agent": machine.cpu(f"{group}/agent-node1"),
                "aggregator": machine.cpu(f"{group}/aggregator"),
                "gateway and database": machine.cpu(f"{group}/gateway") + machine.cpu(f"{group}/mariadb")}
        used["strace and proxy"] = sum(
            machine.cpu(f"{group}/{kind}-{c['id']}") for c in self.about["containers"] for kind in ("strace", "proxy")
        ) if self.alastor else 0
        used["machine"], used["stolen"] = machine.busy()
        return used

    def memory_per_container(self):
        """KiB, mean over the containers, with what records inside or beside each."""
        total = sum(machine.memory(group)[0] for group in self.groups)
        if self.alastor:
            total += sum(machine.memory(f"{self.lab.cgroup}/lab/{kind}-{c['id']}")[0]
                         for c in self.about["containers"] for kind in ("strace", "proxy"))
        return total / len(self.groups)

    # --- cold start

    def cold_start(self, function, number):
        """Seconds from the order to start a container until its function listens; the container is taken away."""
        dog = container.watchdog(self.dog)
        replica = 900 + number
        name = f"{function.name}-{replica}"
        home, group = self.lab.path("node1", name), f"{self.lab.cgroup}/node1/{name}"
        began = time.monotonic()
        one = container.start(self.lab, function, replica, 1, 100 + number, dog)
        try:
            while not all(net.listens(one["pid"], port) for port in one["ports"]):
                if time.monotonic() > began + 30:
                    raise Fail(f"{name} is not ready after 30 s", log=self.lab.log(name))
                time.sleep(0.001)
            return time.monotonic() - began
        finally:
            cgroup.kill(group)
            run("runc", "--root", self.lab.path("node1", "runc"), "delete", "--force", name, check=False)
            run("umount", f"{home}/rootfs", check=False)
            cgroup.remove(group)
            shutil.rmtree(home, ignore_errors=True)


def one_node(path, home):
    """Copies a stack to `home` and puts everything on one node: one agent per kernel, as in the field.

    Returns the stack file there.
    """
    source = os.path.dirname(os.path.abspath(path))
    shutil.copytree(source, home, symlinks=True, ignore=shutil.ignore_patterns("node_modules"))
    if os.path.isdir(f"{source}/node_modules"):
        os.symlink(f"{source}/node_modules", f"{home}/node_modules")
    target = os.path.join(home, os.path.basename(path))
    with open(target) as file:
        plan = yaml.safe_load(file)
    for function in plan["functions"].values():
        function.setdefault("labels", {})["faasprov.node"] = 1
    with open(target, "w") as file:
        yaml.safe_dump(plan, file, sort_keys=False)
    return target


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
