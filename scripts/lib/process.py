"""Programs that the lab keeps running beside the containers.

Each has a cgroup of its own (<lab>/lab/<name>), which is what tells whether it
runs and what has to be ended.
"""
import os
import signal
import subprocess

from . import cgroup, net
from .say import Fail, step, tail, wait_for


def _cgroup(lab, name):
    return f"{lab.cgroup}/lab/{name}"


def start(lab, name, netns, argv):
    """Starts argv in that network namespace; its output goes to the lab's log `name`.  Returns its pid."""
    pid = _spawn(lab, name, netns, argv).pid
    about = lab.load("processes", {})
    about[name] = {"pid": pid, "start": start_time(pid), "netns": lab.netns(netns)}
    lab.save("processes", about)
    return pid


def _spawn(lab, name, netns, argv):
    group = _cgroup(lab, name)
    cgroup.make(group)

    def before_exec():
        cgroup.join(group)
        # INT belongs to whoever runs the script, not to what it starts.
        signal.signal(signal.SIGINT, signal.SIG_DFL)

    with open(lab.log(name), "ab") as log:
        return subprocess.Popen([*net.enter(lab, netns), *map(str, argv)], stdin=subprocess.DEVNULL, stdout=log,
                                stderr=log, start_new_session=True, preexec_fn=before_exec)


def run_to_end(lab, name, netns, argv, seconds=60):
    """For a program that ends by itself but whose children would outlive an interrupted script."""
    try:
        status = _spawn(lab, name, netns, argv).wait(seconds)
    except subprocess.TimeoutExpired:
        raise Fail(f"{name}: not done after {seconds} s", log=lab.log(name))
    if status != 0:
        raise Fail(f"{name}: exit status {status}", log=lab.log(name))


def start_time(pid):
    """Start of a process in clock ticks since boot, or None when it is gone (or a zombie)."""
    try:
        with open(f"/proc/{pid}/stat") as stat:
            fields = stat.read().rpartition(")")[2].split()
    except OSError:
        return None
    return None if fields[0] in "ZX" else int(fields[19])


def alive(lab, name):
    about = lab.load("processes", {}).get(name)
    return bool(about) and about["start"] is not None and start_time(about["pid"]) == about["start"]


def pid(lab, name):
    return lab.load("processes", {})[name]["pid"]


def wait_ready(lab, name, condition, seconds=90):
    wait_for(name, condition, seconds, log=lab.log(name), alive=lambda: alive(lab, name))


def send(lab, name, number):
    if alive(lab, name):
        os.kill(pid(lab, name), number)


def stop(lab, names, seconds=20):
    """Asks those programs to end, together, and waits; those that do not are killed and named."""
    for name in names:
        send(lab, name, signal.SIGTERM)
    for name in names:
        try:
            wait_for(name, lambda: not alive(lab, name), seconds)
        except Exception:
            step(f"{name} did not end within {seconds} s and is killed")
            step(tail(lab.log(name)).rstrip())


def kill_all(lab):
    cgroup.kill(f"{lab.cgroup}/lab")
