"""The variants under test: each is a lab of its own, up at the same time as the others."""
import glob
import json
import os
import re
import shutil
import subprocess
import time

import yaml

from . import BUILT, REPO, machine
from lib import cgroup, container, net, process, recording
from lib.say import Fail, run
from lib.state import Lab

LAB = os.path.join(REPO, "scripts", "lab")
LOAD = os.path.join(BUILT, "fp-load")


class Variant:
    """One lab.  `base` names its directory below /run."""

    def __init__(self, base, name, dog="vanilla", recorded=False, rival=None):
        """rival: makes what else records beside the functions, once the lab is up for the first time."""
        self.name, self.dog, self.recorded, self.make_rival, self.rival = name, dog, recorded, rival, None
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
        self.hooks = None  # of all recorders on this kernel, before this one

    # --- up and down

    def up(self, stack_path):
        self._lab("up", stack_path, "--nodes", "1", "--watchdog", self.dog, "--agents", "on" if self.recorded else "off")
        self.about = self.lab.running()
        self.groups = [f"{self.lab.cgroup}/node1/{c['id']}" for c in self.about["containers"]]
        if self.make_rival and not self.rival:
            self.rival = self.make_rival(self)
        if self.recorded:
            self.stop_recording()

    def down(self):
        if self.driver:
            self.driver.stdin.close()
            self.driver.wait()
            self.driver = None
        self._lab("down", check=False)
        shutil.rmtree(self.dir, ignore_errors=True)
        self.log_seen = {}

    def _lab(self, *argv, check=True):
        done = subprocess.run([LAB, *argv], env={**os.environ, "FAASPROV_LAB": self.dir}, stdin=subprocess.DEVNULL,
                              stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        if check and done.returncode != 0:
            raise Fail(f"variant {self.name}: lab {argv[0]}: {done.stderr.strip()}")

    # --- the recorders of variant c

    def start_recording(self):
        """Returns when what was there before is recorded, too: what is measured is recording, not its start."""
        self.hooks = machine.recorders()
        self.log_seen = {name: self._log_size(name) for name in ("agent-node1", "aggregator")}
        recording.start(self.lab, 1, cgroup.root(), self.about["store"])
        recording.sync(self.lab)

    def stop_recording(self):
        """Returns what the agent says of its run, for the losses."""
        recording.stop(self.lab)
        # The kernel lets go of the hooks a moment later, which the next slice is not to be measured with.
        until = time.monotonic() + 10
        while (machine.recorders() or 0) > (self.hooks or 0) and time.monotonic() < until:
            time.sleep(0.05)
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

    def start_driver(self, url, requests):
        argv = [*net.enter(self.lab, "client"), LOAD, "drive", "--url", url, "--requests", json.dumps(requests)]
        self.driver = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def _used(self):
        group = f"{self.lab.cgroup}/lab"
        used = {"functions": machine.cpu(f"{self.lab.cgroup}/node1"), "agent": machine.cpu(f"{group}/agent-node1"),
                "aggregator": machine.cpu(f"{group}/aggregator"),
                "gateway and database": machine.cpu(f"{group}/gateway") + machine.cpu(f"{group}/mariadb")}
        used["rival"] = sum(machine.cpu(f"{group}/{name}") for name in self._rivals())
        used["machine"], used["stolen"] = machine.busy()
        return used

    def _rivals(self):
        return self.rival.programs() if self.rival else ()

    def memory_per_container(self):
        """KiB, mean over the containers, with what records inside or beside each."""
        total = sum(machine.memory(group)[0] for group in self.groups)
        total += sum(machine.memory(f"{self.lab.cgroup}/lab/{name}")[0] for name in self._rivals())
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
