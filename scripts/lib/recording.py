"""The recorders: one agent per node and the aggregator they report to."""
import os
import signal
import subprocess
import time

from . import cgroup, net, process
from .say import BIN, Fail, mounts, run, wait_for

PORT = 7000
BPF = "/sys/fs/bpf"
BPF_OWN = {"maps.debug", "progs.debug"}  # the file system's own, in every one
# How long sync waits for invocations to end; those that hang are not waited for.
IN_FLIGHT_SECONDS = 5


def program(name):
    path = os.path.join(BIN, name)
    if not os.access(path, os.X_OK):
        raise Fail(f"{path} is missing: run scripts/setup")
    return path


def probe():
    """None when the kernel lets the agent record, else the agent's own reason."""
    done = subprocess.run([program("faasprov-agent"), "--probe"], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    if done.returncode == 0:
        return None
    lines = [line for line in done.stdout.splitlines() if line.strip()]
    return lines[-1] if lines else f"faasprov-agent --probe: exit status {done.returncode}"


def start(lab, nodes, cgroup_root, store, record=None, header=None):
    """Starts the aggregator, then the agents; returns when each says that it is ready.

    record: directory in which each agent also keeps its raw records, for a replay.
    header: gateway (ip:port) whose callers the agents name in a header of their calls.
    """
    if record:
        os.makedirs(record, exist_ok=True)
    tls = _certificates(lab, nodes) if _takes_tls() else None
    home = lab.make("aggregator")
    _fresh(home)
    process.start(lab, "aggregator", "control", [
        program("faasprov-aggregator"), "--listen", f"{net.CONTROL}:{PORT}", "--store", store, "--state", home,
        *_tls_options(tls, "aggregator")])
    process.wait_ready(lab, "aggregator", lambda: os.path.exists(f"{home}/ready"))
    _mount_bpf(lab)
    for node in range(1, nodes + 1):
        forwarded = ["--forwarded-for", header] if header else []
        extra = ["--record", f"{os.path.abspath(record)}/node{node}.recording"] if record else []
        _start_agent(lab, node, cgroup_root, [*extra, *forwarded, *_tls_options(tls, _agent(node))])
    for node in range(1, nodes + 1):
        name = _agent(node)
        process.wait_ready(lab, name, lambda: os.path.exists(lab.path(name, "ready")), 120)


def agents(lab):
    return [name for name in lab.load("processes", {}) if name.startswith("agent-")]


def sync(lab, seconds=60):
    """Until everything recorded so far is in the store.

    A client can read its answer a moment before the watchdog marks the end of the
    invocation, so invocations in flight get some time to end.
    """
    if not agents(lab):
        raise Fail("the lab runs without agents: nothing is recorded", 1)
    patience = time.monotonic() + IN_FLIGHT_SECONDS
    flush(lab, seconds)
    while in_flight(lab) and time.monotonic() < patience:
        flush(lab, seconds)


def flush(lab, seconds):
    names = agents(lab)
    before = {name: _flushed(lab, name) for name in names}
    for name in names:
        process.send(lab, name, signal.SIGUSR1)
    for name in names:
        wait_for(f"{name}: flush", lambda: _flushed(lab, name) > before[name], seconds, log=lab.log(name),
                 alive=lambda: process.alive(lab, name))


def stop(lab):
    """Agents first: what they still hold goes to the aggregator."""
    process.stop(lab, [name for name in agents(lab) if process.alive(lab, name)])
    if process.alive(lab, "aggregator"):
        process.stop(lab, ["aggregator"])


def unpin(lab, nodes):
    """Ends what an agent that was killed has left running in the kernel; none of the lab's lives any more."""
    for node in nodes:
        path = f"{cgroup.root()}/{lab.cgroup}/{node}"
        if os.path.isdir(path) and os.access(os.path.join(BIN, "faasprov-agent"), os.X_OK):
            subprocess.run([program("faasprov-agent"), "--unpin", "--cgroup", path], stdin=subprocess.DEVNULL,
                           stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)


def _mount_bpf(lab):
    """Agents pin what they record there, and mount it themselves where the lab does not; but then nobody takes it away."""
    if BPF not in mounts() and os.path.isdir(BPF):
        lab.save("bpf", True)
        run("mount", "-t", "bpf", "-o", "nosuid,nodev,noexec,mode=700", "bpf", BPF)


def unmount_bpf(lab):
    """If this lab mounted it, and nobody else has come to use it."""
    if lab.load("bpf") and BPF in mounts():
        if os.path.isdir(f"{BPF}/faasprov") and not os.listdir(f"{BPF}/faasprov"):
            os.rmdir(f"{BPF}/faasprov")
        if set(os.listdir(BPF)) <= BPF_OWN:
            run("umount", BPF, check=False)


def _agent(node):
    return f"agent-node{node}"


def _start_agent(lab, node, cgroup_root, options):
    name = _agent(node)
    home = lab.make(name)
    _fresh(home)
    spool = lab.make(name, "spool")
    process.start(lab, name, f"node{node}", [
        program("faasprov-agent"), "serve", "--node", f"node{node}",
        "--cgroup", f"{cgroup_root}/{lab.cgroup}/node{node}", "--runc-root", lab.make(f"node{node}", "runc"),
        "--aggregator", f"{net.CONTROL}:{PORT}", "--spool", spool, "--state", home, *options])


def _fresh(home):
    for name in ("ready", "flushed"):
        if os.path.exists(f"{home}/{name}"):
            os.unlink(f"{home}/{name}")


def _state(lab, name):
    try:
        with open(lab.path(name, "flushed")) as file:
            flushes, in_flight = file.read().split()
            return int(flushes), int(in_flight)
    except FileNotFoundError:
        return 0, 0


def _flushed(lab, name):
    return _state(lab, name)[0]


def in_flight(lab):
    return sum(_state(lab, name)[1] for name in agents(lab))


# --- TLS: a certification authority that lives as long as the lab -------------

def _takes_tls():
    helps = [[program("faasprov-agent"), "serve", "--help"], [program("faasprov-aggregator"), "--help"]]
    return all("--tls-ca" in run(*argv, check=False) for argv in helps)


def _certificates(lab, nodes):
    home = lab.make("tls", mode=0o700)
    new = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "7"]
    run(*new, "-subj", "/CN=faasprov lab", "-keyout", f"{home}/ca.key", "-out", f"{home}/ca.pem")
    owners = {"aggregator": net.CONTROL, **{_agent(n): net.node_address(n) for n in range(1, nodes + 1)}}
    for name, address in owners.items():
        run(*new, "-CA", f"{home}/ca.pem", "-CAkey", f"{home}/ca.key", "-subj", f"/CN={name}",
            "-addext", f"subjectAltName=IP:{address},DNS:{name}", "-addext", "basicConstraints=critical,CA:FALSE",
            "-keyout", f"{home}/{name}.key", "-out", f"{home}/{name}.pem")
    return home


def _tls_options(home, name):
    if home is None:
        return []
    return ["--tls-ca", f"{home}/ca.pem", "--tls-cert", f"{home}/{name}.pem", "--tls-key", f"{home}/{name}.key"]
