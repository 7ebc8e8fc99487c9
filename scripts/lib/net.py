"""The lab's network: one flat 198.18.0.0/16 that the host has no part in.

A bridge in the namespace `net` joins everything.  Each node has a namespace
with a bridge of its own, uplinked to that one, and its containers hang on the
node's bridge.  Nothing is made in the host's own network namespace.
"""
import os
import re

from .say import mounts, run

NETWORK = "198.18.0.0/16"
GATEWAY = "198.18.0.2"
DATABASE = "198.18.0.3"
CONTROL = "198.18.0.4"
QUEUE = "198.18.0.5"
CLIENT = "198.18.0.10"
RUN = "/run/netns"


def node_address(node):
    return f"198.18.{100 + node}.1"


def container_address(node, number):
    return f"198.18.{100 + node}.{number + 1}"


def enter(lab, name):
    """Command prefix that runs a program in one of the lab's namespaces.

    Not `ip netns exec`: that remounts /sys and hides the cgroup file systems.
    """
    return ["nsenter", f"--net={_path(lab, name)}", "--"]


def inside(lab, name):
    """Is this process in that namespace?"""
    try:
        return os.stat("/proc/self/ns/net").st_ino == os.stat(_path(lab, name)).st_ino
    except FileNotFoundError:
        return False


def up(lab, plain, nodes):
    """plain: {name: address} of namespaces with one interface; nodes: how many."""
    names = ["net", *plain, *(f"node{n}" for n in range(1, nodes + 1))]
    # Written before the first one is made: an interrupted run can be undone.
    lab.save("netns", [lab.netns(n) for n in names])
    _batch([f"netns add {lab.netns(n)}" for n in names])
    hub = _path(lab, "net")
    _batch(["link add hub type bridge", "link set hub up", "link set lo up"], hub)
    for name, address in plain.items():
        _plug(lab, hub, name)
        _batch([f"addr add {address}/16 dev eth0", "link set eth0 up", "link set lo up"], _path(lab, name))
    for node in range(1, nodes + 1):
        name = f"node{node}"
        _plug(lab, hub, name)
        _batch(["link add bridge type bridge", "link set eth0 master bridge up", "link set bridge up",
                f"addr add {node_address(node)}/16 dev bridge", "link set lo up"], _path(lab, name))


def plug_container(lab, node, number, pid):
    """Gives a created container its interface; returns its address."""
    address = container_address(node, number)
    _batch([f"link add c{number} type veth peer name eth0 netns {pid}",
            f"link set c{number} master bridge up"], _path(lab, f"node{node}"))
    _batch([f"addr add {address}/16 dev eth0", "link set eth0 up", "link set lo up"], f"/proc/{pid}/ns/net")
    return address


def down(lab):
    for name in lab.load("netns", []):
        if os.path.exists(f"{RUN}/{name}"):
            run("ip", "netns", "del", name)
    # `ip netns add` mounts this directory onto itself, and does so again when it has to.
    if RUN in mounts() and not os.listdir(RUN):
        run("umount", RUN, check=False)


def listens(pid, port):
    """Does anyone listen on that TCP port in the process's network namespace?

    Read from the kernel's table, so that asking leaves no trace in what is recorded.
    """
    for table in ("tcp", "tcp6"):
        try:
            with open(f"/proc/{pid}/net/{table}") as rows:
                if any(re.match(rf"\s*\d+: [0-9A-F]+:{port:04X} [0-9A-F]+:0000 0A ", row) for row in rows):
                    return True
        except OSError:
            pass
    return False


def _path(lab, name):
    return f"{RUN}/{lab.netns(name)}"


def _plug(lab, hub, name):
    _batch([f"link add {name} type veth peer name eth0 netns {lab.netns(name)}",
            f"link set {name} master hub up"], hub)


def _batch(lines, netns=None):
    """Runs `ip` commands, in a network namespace given by path."""
    prefix = ["nsenter", f"--net={netns}", "--"] if netns else []
    run(*prefix, "ip", "-batch", "-", stdin="\n".join(lines) + "\n")
