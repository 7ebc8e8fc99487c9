"""The agents are killed with -9 in the midst of load, and go on: nothing is given to a wrong request, nothing is missing."""
import os
import signal
import threading
import unittest

import yaml

from e2e.judged import ORACLE, VERDICTS, JudgedCase
from e2e.world import needs_recording

KILLS = 2
AT_ONCE = 16
BATCH = 32


@needs_recording
class Killed(JudgedCase):
    nodes = "1"

    @classmethod
    def stack(cls):
        with open(os.path.join(ORACLE, "stack.yml"), encoding="utf-8") as file:
            functions = yaml.safe_load(file)["functions"]
        functions = {name: functions[name] for name in ("oracle-node", "oracle-python", "oracle-callee")}
        for function in functions.values():
            function["handler"] = os.path.join(ORACLE, function["handler"])
            function["labels"] = {"faasprov.node": "1"}
        functions["oracle-alone"] = {**functions["oracle-node"],
                                     "environment": {**functions["oracle-node"]["environment"], "faasprov_assist": "false"}}
        path = os.path.join(cls.scratch, "stack.yml")
        with open(path, "w", encoding="utf-8") as file:
            yaml.safe_dump({"version": 1.0, "provider": {"name": "openfaas"}, "functions": functions}, file)
        return path

    @classmethod
    def story(cls):
        cls.asked = {"oracle-node": 0, "oracle-alone": 0, "oracle-python": 0}
        cls.failed, done = [], threading.Event()

        def load(function):
            try:
                while not done.is_set():
                    cls.lab("invoke", function, "--count", str(BATCH), "--concurrency", str(AT_ONCE), "--path",
                            "?child=1&database=1")
                    cls.asked[function] += BATCH
            except AssertionError as error:
                cls.failed.append(str(error))

        threads = [threading.Thread(target=load, args=(function,)) for function in cls.asked]
        for thread in threads:
            thread.start()
        try:
            for _ in range(KILLS):
                cls.kill_in_the_midst()
        finally:
            done.set()
            for thread in threads:
                thread.join()

    @classmethod
    def kill_in_the_midst(cls):
        from lib import process
        from lib.say import wait_for
        from lib.state import Lab

        os.environ["FAASPROV_LAB"] = cls.home
        try:
            lab, name = Lab(), "agent-node1"
            ready = lab.path(name, "ready")
            before = sum(cls.asked.values())
            wait_for("requests", lambda: cls.failed or sum(cls.asked.values()) >= before + 2 * BATCH, 300)
            pid = process.pid(lab, name)
            with open(f"/proc/{pid}/cmdline", encoding="utf-8") as file:
                argv = file.read().split("\0")[:-1]
            os.kill(pid, signal.SIGKILL)
            wait_for("its end", lambda: not process.alive(lab, name), 60)
            os.unlink(ready)
            process.start(lab, name, "node1", argv)
            process.wait_ready(lab, name, lambda: os.path.exists(ready), 120)
        finally:
            del os.environ["FAASPROV_LAB"]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.lost = cls.ask("stats")["lost"]

    def seen(self, way):
        return sum(row.get(verdict, 0) for row in self.counts for verdict in VERDICTS
                   if row["way"] == way)

    def assert_all_but_lost(self, wanted, seen, what=None):
        self.assertLessEqual(seen, wanted, what)
        self.assertGreaterEqual(seen, wanted - self.lost, what)

    def test_all_were_served(self):
        self.assertEqual([], self.failed)
        self.assert_all_but_lost(sum(self.asked.values()), len([r for r in self.requests if r["function"] in self.asked
                                                                and r["last"] and r["status"] == 200]))

    def test_no_step_is_given_to_a_wrong_request(self):
        self.assertEqual([], [row for row in self.counts if row.get("WRONG")])
        if not self.lost:
            self.assertEqual([], [row for row in self.counts if row.get("MISSED") or row.get("none")])

    def test_every_step_was_seen_and_none_twice(self):
        """The kernel side goes on while there is no agent; what does not fit its ring meanwhile is counted."""
        requests = sum(self.asked.values())
        for way in ("sync", "timer", "pool", "after-pool", "after-call", "child", "after-child"):
            self.assert_all_but_lost(2 * requests, self.seen(way), way)  # a file that is made and written is two operations

    def test_with_the_assist_a_restart_costs_no_certainty(self):
        """What the agent knew of threads and connections it knows again."""
        rows = [row for row in self.counts if row["function"] != "oracle-alone" and row["way"] != "shared"]
        named, right = (sum(row.get(verdict, 0) for row in rows) for verdict in ("named", "right"))
        self.assertLess(named, right / (10 if self.lost else 100))


if __name__ == "__main__":
    unittest.main()
