"""What --stats says is what programs did, to the last record: of an agent that runs, was held up, or is dead."""
import json
import os
import signal
import socket
import subprocess
import sys
import unittest

from e2e.world import needs_recording, run
from recorded_cgroup import AGENT, RecordedCgroup

CALLS = 20000  # four times what a ring of 1 MiB holds
# Sits in a read; told to, makes CALLS writes, and says so: that many records and two more.
WORKER = f"""
import os
fd = os.open(os.environ["SCRATCH"], os.O_CREAT | os.O_WRONLY, 0o600)
os.write(1, b"r")
while os.read(0, 1):
    for _ in range({CALLS}):
        os.pwrite(fd, b"x", 0)
    os.write(1, b"d")
"""


@needs_recording
class StatsTest(RecordedCgroup, unittest.TestCase):
    kind = "stats"

    def setUp(self):
        super().setUp()
        self.agent = None

    def start(self, *options):
        ready = os.path.join(self.scratch, "ready")
        if os.path.exists(ready):
            os.unlink(ready)
        self.agent = subprocess.Popen([AGENT, "serve", "--cgroup", self.cgroup, "--ring-size", "1", "--state", self.scratch,
                                       "--store", os.path.join(self.scratch, "store.db"), *options],
                                      stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, self.agent)
        self.wait_until(lambda: os.path.exists(ready))

    def start_worker(self, name):
        path = os.path.join(self.cgroup, name)
        number = self.make_cgroup(path)
        worker = self.start_in(path, sys.executable, "-c", WORKER, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                               env={"SCRATCH": os.path.join(self.scratch, name)})
        self.addCleanup(worker.stdout.close)
        self.addCleanup(worker.stdin.close)
        self.assertEqual(b"r", os.read(worker.stdout.fileno(), 1))
        return worker, number

    def work(self, *workers):
        for worker in workers:
            os.write(worker.stdin.fileno(), b"g")
        for worker in workers:
            self.assertEqual(b"d", os.read(worker.stdout.fileno(), 1))

    def ask(self):
        """When nothing is being recorded just then the sum is the kernel's own."""
        answers = []

        def whole():
            answers.append(self.ask_once())
            stages = answers[-1]["stages"]
            return stages["numbered"] == stages["read"] + stages["waiting"] + stages["lost"]
        self.wait_until(whole)
        return answers[-1]

    def ask_once(self):
        done = run(AGENT, "--stats", "--cgroup", self.cgroup, "--format", "json")
        self.assertEqual(0, done.returncode, done.stderr)
        agent, = json.loads(done.stdout)["agents"]
        stages = agent["stages"]
        for row in agent["containers"]:
            self.assertEqual(row["generated"], row["delivered"] + row["waiting"] + row["lost"])
            self.assertEqual(row["lost"], row["losses"].get("ring-full", 0) + row["losses"].get("budget", 0))
        for key, total in (("delivered", "read"), ("waiting", "waiting"), ("lost", "lost")):
            self.assertEqual(stages[total], sum(row[key] for row in agent["containers"]) + agent["others"][key])
        return agent

    def of(self, agent, number):
        row, = [row for row in agent["containers"] if row["cgroup"] == number]
        return row

    def settled(self, number):
        """When a process has said that it is ready it is still on its way into the read."""
        counts = [-1]

        def same():
            counts.append(self.of(self.ask(), number)["generated"])
            return counts[-1] == counts[-2]
        self.wait_until(same)
        return counts[-1]

    def check(self, before, number, calls):
        """Its row, and how many records more than its calls there are: `throttle`, which are nobody's call."""
        # the worker's word can be here before the record of its saying so
        self.wait_until(lambda: self.of(self.ask(), number)["generated"] >= before + calls)
        row = self.of(self.ask(), number)
        return row, row["generated"] - before - calls

    def test_to_the_last_record(self):
        self.start()
        one, first = self.start_worker("one")
        other, second = self.start_worker("other")
        before, before_other = self.settled(first), self.settled(second)
        self.agent.send_signal(signal.SIGSTOP)
        self.work(one, other)
        self.work(one)
        self.agent.send_signal(signal.SIGCONT)
        self.wait_until(lambda: self.ask()["stages"]["waiting"] == 0)
        for number, past, calls in ((first, before, 2 * (CALLS + 2)), (second, before_other, CALLS + 2)):
            row, throttles = self.check(past, number, calls)
            self.assertIn(throttles, range(0, 5))
            self.assertGreater(row["lost"], 0)
            self.assertGreater(row["delivered"], 0)
        agent = self.ask()
        self.assertTrue(agent["running"])
        self.assertEqual(self.agent.pid, agent["pid"])
        self.assertEqual(1 << 20, agent["ring"]["size"])
        self.assertGreater(agent["ring"]["highest"], agent["ring"]["size"] // 2)
        self.assertEqual(agent["stages"]["lost"], agent["losses"]["ring-full"] + agent["losses"]["budget"])
        self.assertEqual([], agent["missing_hooks"])

    def test_nothing_is_lost_when_nothing_was(self):
        self.start("--without", "signal")
        worker, number = self.start_worker("one")
        before = self.settled(number)
        os.write(worker.stdin.fileno(), b"g")
        self.assertEqual(b"d", os.read(worker.stdout.fileno(), 1))
        row, throttles = self.check(before, number, CALLS + 2)
        if not row["lost"]:  # else this machine was too busy to read them in time
            self.assertEqual(0, throttles)
        self.assertEqual(["signal-hook"], self.ask()["missing_hooks"])

    def test_failed_calls(self):
        """By container, operation and error; what is usual and what is not."""
        self.start()
        path = os.path.join(self.cgroup, "failing")
        number = self.make_cgroup(path)
        failing = f"""if True:
            import os
            with open({os.path.join(path, "cgroup.procs")!r}, "w") as procs:
                procs.write("0")
            for _ in range(5):
                try:
                    os.kill(os.getpid(), 200)
                except OSError:
                    pass
            os.mkdir({os.path.join(self.scratch, "made")!r})
            for _ in range(3):
                try:
                    os.mkdir({os.path.join(self.scratch, "made")!r})
                except FileExistsError:
                    pass
            """
        subprocess.run([sys.executable, "-c", failing], check=True)
        wanted = {"send-signal EINVAL": 5, "name EEXIST": 3}
        self.wait_until(lambda: wanted.items() <= self.of(self.ask(), number)["failed"].items())
        table = run(AGENT, "--stats", "--cgroup", self.cgroup).stdout
        self.assertRegex(table, r"FAILED CALLS(.|\n)*send-signal EINVAL +5\n")
        self.assertEqual({}, self.ask()["others"]["failed"])

    def test_of_one_that_is_dead(self):
        self.start()
        worker, number = self.start_worker("one")
        before = self.settled(number)
        self.wait_until(lambda: self.ask()["stages"]["batches"] > 0)
        self.end(self.agent)
        dead = self.ask()
        self.assertFalse(dead["running"])
        self.assertEqual(before, self.of(dead, number)["generated"])
        self.work(worker)
        row, throttles = self.check(before, number, CALLS + 2)
        self.assertIn(throttles, range(0, 2))
        self.assertGreater(row["waiting"], 0)
        self.assertGreater(row["lost"], 0)
        generated = row["generated"]
        self.start()
        self.wait_until(lambda: self.ask()["stages"]["waiting"] == 0)
        row = self.of(self.ask(), number)
        self.assertEqual((generated, 0), (row["generated"], row["waiting"]))

    def test_clients_that_mean_no_good(self):
        self.start()
        path = f"/run/faasprov/{os.stat(self.cgroup).st_ino}.sock"
        self.assertEqual(0o700, os.stat("/run/faasprov").st_mode & 0o7777)
        clients = []
        try:
            for _ in range(40):
                client = socket.socket(socket.AF_UNIX)
                client.setblocking(False)
                clients.append(client)
                try:
                    client.connect(path)
                    client.send(b"\0\xff{[" * 1000)
                except (BlockingIOError, BrokenPipeError, ConnectionResetError):
                    pass  # too many are waiting, or it has its answer already
            self.assertTrue(self.ask()["running"])
        finally:
            for client in clients:
                client.close()
        self.assertTrue(self.ask()["running"])

        child = os.fork()
        if child == 0:
            code = 1
            try:
                os.setgroups([])
                os.setgid(65534)
                os.setuid(65534)
                socket.socket(socket.AF_UNIX).connect(path)
            except PermissionError:
                code = 42
            finally:
                os._exit(code)
        self.assertEqual(42, os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))

    def test_none(self):
        done = run(AGENT, "--stats", "--cgroup", self.cgroup)
        self.assertEqual((1, ""), (done.returncode, done.stdout))
        self.assertIn("no agent records this cgroup", done.stderr)
        self.start()
        self.end(self.agent, signal.SIGTERM)
        self.assertEqual(1, run(AGENT, "--stats", "--cgroup", self.cgroup).returncode)

    def test_what_a_killed_one_leaves(self):
        self.start()
        path = f"/run/faasprov/{os.stat(self.cgroup).st_ino}.sock"
        run(AGENT, "--unpin", "--cgroup", self.cgroup)
        self.assertTrue(os.path.exists(path))  # it lives
        self.end(self.agent)
        self.assertTrue(os.path.exists(path))
        run(AGENT, "--unpin", "--cgroup", self.cgroup)
        self.assertFalse(os.path.exists(path))
        self.assertEqual(1, run(AGENT, "--stats", "--cgroup", self.cgroup).returncode)

    def test_a_table(self):
        self.start()
        self.start_worker("one")
        done = run(AGENT, "--stats", "--cgroup", self.cgroup)
        self.assertEqual((0, ""), (done.returncode, done.stderr))
        for word in ("stages", "numbered", "losses", "ring-full", "GENERATED", "cgroup "):
            self.assertIn(word, done.stdout)

    def test_usage(self):
        for words in (("--format", "xml"), ("--top", "-1"), ("surplus",), ("--no-such-option",)):
            done = run(AGENT, "--stats", *words)
            self.assertEqual((2, ""), (done.returncode, done.stdout))


if __name__ == "__main__":
    unittest.main()
