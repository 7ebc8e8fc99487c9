"""Who a container is: also of one that is over, with all that its runtime wrote of it, before anybody has looked."""
import glob
import json
import os
import shutil
import signal
import subprocess
import unittest

from e2e.world import BIN, checked, needs_recording, run
from recorded_cgroup import AGENT, WAIT, RecordedCgroup, hierarchy

MOMENT = os.path.join(os.path.dirname(BIN), "tests", "fp_moment")
COUNT = 8


@needs_recording
class ContainerTest(RecordedCgroup, unittest.TestCase):
    kind = "container"

    def setUp(self):
        super().setUp()
        self.store = os.path.join(self.scratch, "store.db")
        self.addCleanup(self.remove_groups_of_controllers)
        self.start_agent()

    def remove_groups_of_controllers(self):
        """runc makes the containers' parent in each hierarchy that there is, and removes it in none."""
        top = os.path.dirname(hierarchy())
        for path in glob.glob(os.path.join(top, "*", self.name)):
            if path != self.cgroup:
                os.rmdir(path)

    def start_agent(self):
        self.agent = subprocess.Popen(
            [AGENT, "serve", "--cgroup", self.cgroup, "--store", self.store, "--state", self.scratch, "--ring-size", "1",
             "--runc-root", os.path.join(self.scratch, "runc"), "--host-root", os.path.join(self.scratch, "host"),
             "--foreground"], stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, self.agent)
        self.wait_for(self.agent, os.path.join(self.scratch, "ready"))

    def recorded(self):
        """The functions of the instances that became the program; where that is known, replica and image are."""
        self.end(self.agent, signal.SIGTERM)
        graph = json.loads(checked(os.path.join(BIN, "faasprov"), "export", "--store", self.store, "--format", "json"))
        moments = [node for node in graph["nodes"] if node["kind"] == "process" and "moment" in node["label"]]
        for node in moments:
            said = (node["attributes"].get("replica"), node["attributes"].get("image"))
            self.assertEqual(self.expected(node) if node["function"] else (None, None), said)
        return sorted((node["function"] or "?", node["instance"] or "?") for node in moments)

    def make_bundle(self, i, *args):
        bundle = os.path.join(self.scratch, f"bundle{i}")
        os.makedirs(os.path.join(bundle, "rootfs", "proc"))
        shutil.copy(MOMENT, os.path.join(bundle, "rootfs", "moment"))
        checked("runc", "spec", "--bundle", bundle)
        with open(os.path.join(bundle, "config.json"), encoding="utf-8") as file:
            config = json.load(file)
        config["process"].update(terminal=False, args=["/moment", *args], cwd="/")
        config["mounts"] = [mount for mount in config["mounts"] if mount["destination"] == "/proc"]
        config["linux"]["cgroupsPath"] = f"{self.name}/c{i}"
        config["annotations"] = {"openfaas.function": f"function{i}", "openfaas.replica": f"function{i}-1",
                                 "openfaas.image": "shop:1"}
        with open(os.path.join(bundle, "config.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
        return ["runc", "--root", os.path.join(self.scratch, "runc"), "run", "--bundle", bundle, f"c{i}"]

    def functions(self):
        agent, = json.loads(checked(AGENT, "--stats", "--cgroup", self.cgroup, "--format", "json"))["agents"]
        return {row["function"] for row in agent["containers"]}

    def test_runc(self):
        self.expected = lambda node: (f"{node['function']}-1", "shop:1")
        os.mkdir(os.path.join(self.scratch, "runc"))
        # one that lasts until its name is known, and some that are over before anybody looks
        with subprocess.Popen(self.make_bundle(0, "wait"), stdin=subprocess.PIPE) as first:
            self.wait_until(lambda: "function0" in self.functions())
            first.stdin.close()
            self.assertEqual(7, first.wait(timeout=WAIT))
        for i in range(1, COUNT):
            done = run(*self.make_bundle(i))
            self.assertEqual(7, done.returncode, done.stderr)
            self.assertFalse(os.path.exists(os.path.join(self.cgroup, f"c{i}")))
        moments = self.recorded()
        self.assertEqual([f"c{i}" for i in range(COUNT)], sorted(instance for _, instance in moments))
        self.assertIn(("function0", "c0"), moments)
        # runc's state of the others lasted some milliseconds: it was read in time or not, but never another's
        for function, instance in moments:
            self.assertIn(function, ("?", instance.replace("c", "function")))
        print(sum(function != "?" for function, _ in moments), "of", COUNT, "functions were known")

    def test_a_cgroup_that_is_gone_at_once(self):
        self.expected = lambda node: (f"shop.{node['instance'][-1]}", "shop:1")
        ids = [f"{i:064x}" for i in range(1, COUNT + 1)]
        for number in ids:
            path = os.path.join(self.cgroup, f"docker-{number}.scope")
            told = os.path.join(self.scratch, "host", "var/lib/docker/containers", number)
            os.makedirs(told)
            with open(os.path.join(told, "config.v2.json"), "w", encoding="utf-8") as file:
                json.dump({"Name": f"/shop.{number[-1]}", "Config": {"Image": "shop:1", "Labels": {
                    "com.openfaas.function": "shop"}}}, file)
        for number in ids:
            path = os.path.join(self.cgroup, f"docker-{number}.scope")

            def enter(path=path):
                os.mkdir(path)
                with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as procs:
                    procs.write("0")
            with subprocess.Popen([MOMENT], preexec_fn=enter) as process:
                self.assertEqual(7, process.wait(timeout=WAIT))
            os.rmdir(path)
        moments = self.recorded()
        self.assertEqual([("shop", number) for number in ids], moments)


if __name__ == "__main__":
    unittest.main()
