"""cgroup directories of the lab: finding, making, emptying and removing them.

Every process the lab starts joins its own cgroup before it runs a single
instruction of its program.  So what has to be ended is read from the kernel,
never from a list that an interrupted run may have left incomplete.
"""
import os
import signal
import time

from .say import Fail, wait_for


def _mounts():
    """(type, mount point, path of the hierarchy that is mounted there)"""
    with open("/proc/self/mountinfo") as table:
        for line in table:
            left, _, right = line.partition(" - ")
            fields = left.split()
            kind = right.split()[0]
            if kind in ("cgroup", "cgroup2"):
                yield kind, fields[4], fields[3]


def _root():
    return next((where for kind, where, _ in _mounts() if kind == "cgroup2"), None)


def exists(path):
    return _root() is not None and os.path.isdir(f"{_root()}/{path}")


def root():
    """Where the unified hierarchy is mounted."""
    where = _root()
    if where:
        return where
    raise Fail("no cgroup2 file system is mounted: mount -t cgroup2 none /sys/fs/cgroup/unified")


def own():
    """This process's path in the unified hierarchy."""
    return of("self")


def of(pid):
    """A process's path in the unified hierarchy, or None."""
    try:
        with open(f"/proc/{pid}/cgroup") as table:
            for line in table:
                if line.startswith("0::"):
                    return line.rstrip("\n")[3:]
    except FileNotFoundError:
        pass
    return None


def make(path):
    full = root() + "/" + path
    os.makedirs(full, exist_ok=True)
    return full


def join(path):
    """Moves the calling process; for use between fork and exec."""
    with open(f"{root()}/{path}/cgroup.procs", "w") as procs:
        procs.write("0")


def pids(path):
    """Processes in this cgroup and below."""
    found = []
    for directory, _, _ in os.walk(root() + "/" + path):
        try:
            with open(directory + "/cgroup.procs") as procs:
                found += [int(line) for line in procs]
        except OSError:
            pass
    return found


def send(path, number):
    for pid in pids(path):
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            pass


def kill(path):
    """Ends all processes in this cgroup and below, and waits for their end."""
    switch = f"{root()}/{path}/cgroup.kill"

    def empty():
        if not pids(path):
            return True
        if os.path.exists(switch):
            with open(switch, "w") as file:
                file.write("1")
        else:
            send(path, signal.SIGKILL)
        return False

    wait_for(f"end of the processes in cgroup {path}", empty, 20)


def remove(path):
    """Removes this directory and those below it, in every hierarchy.

    A container runtime makes the same path in each version 1 hierarchy, below
    the cgroup that it runs in itself; both places are looked at.
    """
    for where in _places(path):
        for directory, _, _ in os.walk(where, topdown=False):
            _rmdir(directory)


def remove_if_empty(path):
    for where in _places(path):
        try:
            os.rmdir(where)
        except OSError:
            pass


def _places(path):
    homes = {"/"}
    with open("/proc/self/cgroup") as table:
        homes |= {line.rstrip("\n").split(":", 2)[2] for line in table}
    for _, mount, _ in _mounts():
        for home in sorted(homes):
            yield os.path.normpath(f"{mount}/{home}/{path}")


def _rmdir(directory):
    # The last process of a cgroup stays in it for a moment after its death.
    deadline = time.monotonic() + 5
    while True:
        try:
            os.rmdir(directory)
            return
        except FileNotFoundError:
            return
        except OSError:
            if time.monotonic() > deadline:
                raise Fail(f"cgroup {directory} cannot be removed")
            time.sleep(0.01)
