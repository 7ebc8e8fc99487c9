"""The agent stays within its memory whatever is made to flood it, and what it cannot remember or keep is counted.

FAASPROV_FLOOD=100000 makes so many of each kind (default 5,000), and tries the usual memory, too."""
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import unittest

from e2e.world import BIN, checked, needs_recording, run
from recorded_cgroup import AGENT, WAIT, RecordedCgroup, text_of

FLOOD = os.path.join(os.path.dirname(BIN), "tests", "fp_flood")
N = int(os.environ.get("FAASPROV_FLOOD", "5000"))
KEPT = 256  # connections that the flood leaves open
MIB = 1 << 20


class Watch(threading.Thread):
    """Looks again and again at all that a process takes: its pages, each shared one in part, and what the kernel
    charges for its maps and programs.  The ring's pages are among both."""

    def __init__(self, pid, ring):
        super().__init__(daemon=True)
        self.pid, self.ring, self.most, self.stopped = pid, ring, 0, threading.Event()
        self.parts = {}

    def charged(self):
        sizes = {}
        for fd in os.listdir(f"/proc/{self.pid}/fdinfo"):
            try:
                info = text_of(f"/proc/{self.pid}/fdinfo/{fd}")
            except OSError:
                continue
            number = re.search(r"^(map_id|prog_id):\s*(\d+)", info, re.M)
            size = re.search(r"^memlock:\s*(\d+)", info, re.M)
            if number and size:
                sizes[number.groups()] = int(size.group(1))
        return sum(sizes.values())

    def look(self):
        rollup = text_of(f"/proc/{self.pid}/smaps_rollup")
        pss = {key: int(value) << 10 for key, value in re.findall(r"^(Pss\w*):\s*(\d+) kB", rollup, re.M)}
        parts = {"pages": pss["Pss"], "anonymous": pss["Pss_Anon"], "kernel": self.charged()}
        mapped = self.ring if pss["Pss_File"] + pss["Pss_Shmem"] > self.ring else 0
        total = parts["pages"] + parts["kernel"] - mapped
        if total > self.most:
            self.most, self.parts = total, parts

    def run(self):
        while not self.stopped.wait(0.02):
            try:
                self.look()
            except OSError:
                return  # it has ended

    def stop(self):
        self.stopped.set()
        self.join()


class Flooded(RecordedCgroup):
    kind = "memory"
    limit = ring = None  # MiB

    def go_on(self):
        pass

    def setUp(self):
        super().setUp()
        self.cgroups = 0

    def away(self):
        """An aggregator that takes connections and says nothing."""
        listener = socket.create_server(("127.0.0.1", 0))
        self.addCleanup(listener.close)
        return listener

    def start(self, address):
        self.agent = subprocess.Popen(
            [AGENT, "serve", "--cgroup", self.cgroup, "--ring-size", str(self.ring), "--memory", str(self.limit), "--state",
             self.scratch, "--aggregator", address, "--spool", os.path.join(self.scratch, "spool"), "--runc-root",
             os.path.join(self.scratch, "none"), "--foreground"], stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, self.agent)
        self.watch = Watch(self.agent.pid, self.ring * MIB)
        self.watch.start()
        self.addCleanup(self.watch.stop)
        self.wait_for(self.agent, os.path.join(self.scratch, "ready"))

    def start_flood(self, mode, n):
        self.cgroups += 1
        path = os.path.join(self.cgroup, f"c{self.cgroups}")
        self.make_cgroup(path)
        files = os.path.join(self.scratch, f"files{self.cgroups}")
        os.mkdir(files)

        def enter():
            with open(os.path.join(path, "cgroup.procs"), "w", encoding="ascii") as procs:
                procs.write("0")
        flood = subprocess.Popen([FLOOD, mode, str(n), files], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                 preexec_fn=enter)
        for closes in (flood.stdout.close, lambda: self.end(flood), flood.stdin.close):
            self.addCleanup(closes)
        self.assertEqual(b"r", os.read(flood.stdout.fileno(), 1))
        return flood, os.stat(path).st_ino

    def work(self, *floods):
        for flood in floods:
            os.write(flood.stdin.fileno(), b"g")
        for flood in floods:
            self.assertEqual(b"d", os.read(flood.stdout.fileno(), 1))

    def stats(self):
        done = run(AGENT, "--stats", "--cgroup", self.cgroup, "--format", "json")
        self.assertEqual(0, done.returncode, done.stderr)
        agent, = json.loads(done.stdout)["agents"]
        return agent

    def settled(self):
        def done():
            stages = self.stats()["stages"]
            return stages["waiting"] == 0 and stages["numbered"] == stages["read"] + stages["lost"]
        self.wait_until(done)
        return self.stats()

    def deliver(self, listener, store):
        """The aggregator comes, and takes all that has been waiting for it."""
        address = "%s:%d" % listener.getsockname()
        listener.close()
        state = os.path.join(self.scratch, "aggregator")
        os.mkdir(state)
        aggregator = subprocess.Popen([os.path.join(BIN, "faasprov-aggregator"), "--listen", address, "--store", store,
                                       "--state", state], stderr=subprocess.DEVNULL)
        self.addCleanup(self.end, aggregator)
        self.wait_for(aggregator, os.path.join(state, "ready"))
        self.agent.send_signal(signal.SIGUSR1)
        self.wait_until(lambda: os.path.exists(os.path.join(self.scratch, "flushed")))
        agent = self.settled()
        self.assertEqual(0, agent["stages"]["batches_pending"])
        self.end(self.agent, signal.SIGTERM)
        self.end(aggregator, signal.SIGTERM)
        return agent

    def check(self, rows, store):
        self.watch.stop()
        print(f"{N} of each: at most {self.watch.most / MIB:.1f} of {self.limit} MiB {self.watch.parts}")
        self.assertGreater(self.watch.most, self.ring * MIB)  # it has looked
        self.assertLessEqual(self.watch.most, self.limit * MIB)
        for mode, (number, least) in rows.items():
            row, = [row for row in self.last["containers"] if row["cgroup"] == number]
            self.assertEqual(row["generated"], row["delivered"] + row["lost"], mode)
            self.assertGreaterEqual(row["generated"], least, mode)
        stored = json.loads(checked(os.path.join(BIN, "faasprov"), "stats", "--store", store, "--format",
                                    "json"))
        self.assertEqual(sum(self.last["losses"].values()), stored["lost"])
        checked(os.path.join(BIN, "faasprov"), "verify", "--store", store)
        return stored

    def test_everything_at_once(self):
        listener = self.away()
        self.start("%s:%d" % listener.getsockname())
        rows, floods = {}, []
        for mode, calls in (("paths", 3 * N), ("connections", 7 * N), ("processes", 2 * N)):
            flood, number = self.start_flood(mode, N)
            rows[mode] = number, calls
            floods.append(flood)
        open_ones = max(N // 10, 400)
        for i in range(open_ones // 200):
            flood, number = self.start_flood("requests", 200)
            rows[f"requests {i}"] = number, 200 * 5  # what a watchdog sends and receives is not recorded
            floods.append(flood)
        self.work(*floods)
        self.go_on()
        agent = self.settled()
        begun = agent["stages"]["requests_begun"]
        lost = sum(row["lost"] for row in agent["containers"])
        self.assertLessEqual(begun, open_ones // 200 * 200)
        if not lost:
            self.assertEqual(begun, open_ones // 200 * 200)
        self.assertEqual(0, agent["stages"]["batches_acknowledged"])
        self.assertGreater(agent["spool"]["batches"], 0)
        print({name: table for name, table in agent["tables"].items() if table["entries"]}, agent["losses"])
        store = os.path.join(self.scratch, "store.db")
        self.last = self.deliver(listener, store)
        self.check(rows, store)


@needs_recording
class LittleMemoryTest(Flooded, unittest.TestCase):
    """Hardly more than it needs: tables are pushed to their limits, and say so."""
    limit, ring = 29, 1

    def go_on(self):
        """Where the machine is too busy to read everything, it takes more until the tables are full."""
        deadline = time.monotonic() + WAIT
        while sum(table["forgotten"] for table in self.stats()["tables"].values()) < 500:
            self.assertLess(time.monotonic(), deadline)
            flood, _ = self.start_flood("connections", 2000)
            self.work(flood)
            self.settled()


@needs_recording
@unittest.skipUnless("FAASPROV_FLOOD" in os.environ, "takes long: FAASPROV_FLOOD=100000")
class UsualMemoryTest(Flooded, unittest.TestCase):
    limit, ring = 64, 16


if __name__ == "__main__":
    unittest.main()
