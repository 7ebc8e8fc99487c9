"""What the agent and the aggregator do is not recorded, even where they run in a cgroup that is: no batch makes the next one."""
import json
import os
import signal
import subprocess
import sys
import tempfile
import unittest

from e2e.world import BIN, checked, needs_recording, run
from recorded_cgroup import AGENT, RecordedCgroup, text_of

# Sits in a read; told to, makes a hundred writes, and says so.
WORKER = """
import os
fd = os.open(os.environ["SCRATCH"], os.O_CREAT | os.O_WRONLY, 0o600)
os.write(1, b"r")
while os.read(0, 1):
    for _ in range(100):
        os.pwrite(fd, b"x", 0)
    os.write(1, b"d")
"""


@needs_recording
class SelfTest(RecordedCgroup, unittest.TestCase):
    kind = "self"

    def setUp(self):
        super().setUp()
        self.store = os.path.join(self.scratch, "store.db")

    def start_aggregator(self, cgroup, port=0):
        state = tempfile.mkdtemp(dir=self.scratch)
        process = self.start_in(cgroup, os.path.join(BIN, "faasprov-aggregator"), "--listen", f"127.0.0.1:{port}", "--store",
                                self.store, "--state", state, stderr=subprocess.DEVNULL)
        ready = os.path.join(state, "ready")
        self.wait_for(process, ready)
        return process, text_of(ready).strip()

    def start_agent(self, cgroup, address):
        self.agent = self.start_in(cgroup, AGENT, "serve", "--cgroup", self.cgroup, "--aggregator", address, "--spool",
                                   os.path.join(self.scratch, "spool"), "--state", self.scratch, "--ring-size", "1",
                                   stderr=subprocess.DEVNULL)
        self.wait_for(self.agent, os.path.join(self.scratch, "ready"))

    def start_worker(self, cgroup):
        worker = self.start_in(cgroup, sys.executable, "-c", WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env={"SCRATCH": os.path.join(self.scratch, "file")})
        self.addCleanup(worker.stdout.close)
        self.addCleanup(worker.stdin.close)
        self.assertEqual(b"r", os.read(worker.stdout.fileno(), 1))
        return worker

    def stats(self):
        done = run(AGENT, "--stats", "--cgroup", self.cgroup, "--format", "json")
        self.assertEqual(0, done.returncode, done.stderr)
        agent, = json.loads(done.stdout)["agents"]
        return agent

    def generated(self, number):
        return sum(row["generated"] for row in self.stats()["containers"] if row["cgroup"] == number)

    def flush(self):
        """Everything is on its way to the aggregator and back."""
        flushed = os.path.join(self.scratch, "flushed")
        before = text_of(flushed) if os.path.exists(flushed) else ""
        self.agent.send_signal(signal.SIGUSR1)
        self.wait_until(lambda: os.path.exists(flushed) and text_of(flushed) != before)

    def work(self, worker):
        os.write(worker.stdin.fileno(), b"g")
        self.assertEqual(b"d", os.read(worker.stdout.fileno(), 1))

    def assert_quiet(self):
        """Whatever is asked and delivered, the kernel side numbers nothing more, and at last no batch is made."""
        self.flush()
        numbered, batches = self.stats()["stages"]["numbered"], [-1]

        def rests():
            self.flush()
            checked(os.path.join(BIN, "faasprov"), "stats", "--no-stitch", "--store", self.store)
            batches.append(self.stats()["stages"]["batches"])
            return len(set(batches[-5:])) == 1  # a container can still be named in one
        self.wait_until(rests)
        self.assertEqual(numbered, self.stats()["stages"]["numbered"])

    def test_in_the_same_cgroup_as_a_function(self):
        path = os.path.join(self.cgroup, "function")
        number = self.make_cgroup(path)
        aggregator, address = self.start_aggregator(path)
        self.start_agent(path, address)
        self.assertEqual([], self.stats()["containers"])  # nor what was there before
        worker = self.start_worker(path)
        self.wait_until(lambda: self.generated(number) > 0)
        for _ in range(3):
            self.work(worker)
        self.wait_until(lambda: self.generated(number) >= 300)
        self.assert_quiet()
        # only while it runs: a new one of another number is told of before it works
        self.end(aggregator, signal.SIGTERM)
        self.start_aggregator(path, address.rsplit(":", 1)[1])
        self.work(worker)
        self.flush()
        self.assert_quiet()
        # what is not ours is recorded there as ever
        before = self.generated(number)
        self.work(worker)
        self.wait_until(lambda: self.generated(number) >= before + 100)
        self.end(self.agent, signal.SIGTERM)
        stored = json.loads(checked(os.path.join(BIN, "faasprov"), "export", "--store", self.store, "--format", "json"))
        programs = {node["label"] for node in stored["nodes"] if node["kind"] == "process"}
        self.assertTrue(programs)
        # nor its own start, before it could tell
        self.assertFalse([name for name in programs if "faasprov-ag" in name])

    def test_a_liar_is_recorded(self):
        """By its name, or its number in the folder with another's start, nobody becomes one of ours."""
        path = os.path.join(self.cgroup, "function")
        number = self.make_cgroup(path)
        _, address = self.start_aggregator(self.cgroup)
        worker = self.start_worker(path)
        lie = f"/run/faasprov/{worker.pid}.ours"
        with open(lie, "w", encoding="ascii") as file:
            file.write("1\n")
        self.addCleanup(lambda: os.path.exists(lie) and os.unlink(lie))
        self.start_agent(self.cgroup, address)
        before = self.generated(number)
        self.work(worker)
        self.wait_until(lambda: self.generated(number) >= before + 100)
        self.assertFalse(os.path.exists(lie))


if __name__ == "__main__":
    unittest.main()
