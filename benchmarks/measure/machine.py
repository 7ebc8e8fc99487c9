"""What the machine is, what is going on on it, and what groups of processes use."""
import datetime
import json
import os
import platform
import subprocess
import time

from lib import cgroup


def describe():
    with open("/proc/cpuinfo") as info:
        model = next((line.split(":", 1)[1].strip() for line in info if line.startswith("model name")), platform.machine())
    with open("/proc/meminfo") as info:
        memory = int(info.readline().split()[1]) // 1024
    return {"cpu": model, "cpus": os.cpu_count(), "memory_mib": memory, "kernel": platform.release(),
            "system": _first_line("/etc/issue.net"), "virtual": _hypervisor(),
            "date": datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ"),
            "commit": _commit()}


def _first_line(path):
    try:
        with open(path) as file:
            return file.readline().strip()
    except OSError:
        return platform.system()


def _hypervisor():
    with open("/proc/cpuinfo") as info:
        return any(line.startswith("flags") and " hypervisor" in line for line in info)


def _commit():
    here = os.path.dirname(os.path.abspath(__file__))
    done = subprocess.run(["git", "-C", here, "describe", "--always", "--dirty"], text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    return done.stdout.strip() or "unknown"


def busy():
    """Processor time used on the whole machine so far, in microseconds, and what the hypervisor took."""
    with open("/proc/stat") as stat:
        ticks = [int(field) for field in stat.readline().split()[1:9]]
    user, nice, system, _, _, irq, softirq, steal = ticks
    scale = 1000000 // os.sysconf("SC_CLK_TCK")
    return (user + nice + system + irq + softirq) * scale, steal * scale


def cpu(group):
    """Processor time of a cgroup and what is below it, in microseconds."""
    try:
        with open(f"{cgroup.root()}/{group}/cpu.stat") as stat:
            return int(stat.readline().split()[1])
    except OSError:
        return 0


def memory(group):
    """Proportional share of memory of all processes in a cgroup, in KiB, and how many they are."""
    pids = cgroup.pids(group)
    return sum(_field(f"/proc/{pid}/smaps_rollup", "Pss:") for pid in pids), len(pids)


def program_memory(pid):
    """Of one process, in KiB: now and at most."""
    return {"rss_kib": _field(f"/proc/{pid}/status", "VmRSS:"), "peak_kib": _field(f"/proc/{pid}/status", "VmHWM:"),
            "maps_kib": _map_memory(pid)}


def _field(path, name):
    try:
        with open(path) as file:
            return next((int(line.split()[1]) for line in file if line.startswith(name)), 0)
    except OSError:
        return 0


def _descriptors(pid):
    """What the kernel says of each descriptor of a process."""
    try:
        numbers = os.listdir(f"/proc/{pid}/fdinfo")
    except OSError:
        return
    for number in numbers:
        try:
            with open(f"/proc/{pid}/fdinfo/{number}") as file:
                yield dict(line.split(":", 1) for line in file if ":" in line)
        except OSError:
            continue


def _map_memory(pid):
    """Kernel memory of the BPF maps that a process holds."""
    total, seen = 0, set()
    for about in _descriptors(pid):
        if "map_id" in about and about["map_id"] not in seen:
            seen.add(about["map_id"])
            total += int(about.get("memlock", "0")) // 1024
    return total


def program_runs(pid, name):
    """(ns, runs) of the BPF program of that name that a process has loaded, as the kernel counts while it is told to."""
    done = subprocess.run(["bpftool", "-j", "prog", "show"], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    named = {program["id"] for program in json.loads(done.stdout or "[]") if program.get("name") == name}
    for about in _descriptors(pid):
        if "run_cnt" in about and int(about["prog_id"]) in named:
            return int(about["run_time_ns"]), int(about["run_cnt"])
    return 0, 0


class CountingRuns:
    """While it lasts the kernel counts how long BPF programs run."""
    path = "/proc/sys/kernel/bpf_stats_enabled"

    def __enter__(self):
        with open(self.path) as file:
            self.before = file.read()
        self._write("1")

    def __exit__(self, *_):
        self._write(self.before)

    def _write(self, value):
        with open(self.path, "w") as file:
            file.write(value)


def others_recording(seconds=10):
    """How many recorders() there are when those that have ended are gone: the kernel keeps their programs for a moment longer."""
    deadline = time.monotonic() + seconds
    while (found := recorders()) and time.monotonic() < deadline:
        time.sleep(0.1)
    return found


def recorders():
    """How many agents of any kind hook the exit of every system call on this kernel now."""
    done = subprocess.run(["bpftool", "-j", "prog", "show"], text=True, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        programs = json.loads(done.stdout or "[]")
    except ValueError:
        return None
    return sum(1 for program in programs if program.get("name") == "sys_exit")


def received(prefix, device="eth0"):
    """Bytes that an interface of a network namespace has received and sent."""
    done = subprocess.run([*prefix, "cat", "/proc/self/net/dev"], text=True, stdout=subprocess.PIPE, check=True)
    for line in done.stdout.splitlines():
        name, _, rest = line.partition(":")
        if name.strip() == device:
            fields = rest.split()
            return int(fields[0]) + int(fields[8])
    return 0
