"""Attribution against functions that say themselves, by the name of a file, which request each of their steps is of."""
import json
import os
import subprocess
import sys
import unittest

from e2e.world import ROOT, LabCase, needs_recording

ORACLE = os.path.join(ROOT, "tests", "oracle")
# Steps that are still going on when the request has been answered: docs/attribution.md says how often they go astray.
BEHIND = {"behind"}


@needs_recording
class SeveralAtOnce(LabCase):
    requests_each = 40

    @classmethod
    def stack(cls):
        return os.path.join(ORACLE, "stack.yml")

    @classmethod
    def story(cls):
        for function in ("oracle-node", "oracle-python"):
            cls.lab("invoke", function, "--count", "10")
            cls.lab("invoke", function, "--count", "20", "--concurrency", "8")
            cls.lab("invoke", function, "--count", "10", "--concurrency", "4", "--path", "?child=1&behind=1")

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        done = subprocess.run([sys.executable, os.path.join(ORACLE, "evaluate"), "--json", cls.store],
                              stdout=subprocess.PIPE, check=True)
        cls.counts = json.loads(done.stdout)

    def total(self, verdict, leave_out=frozenset()):
        return {row["way"]: row[verdict] for row in self.counts if row.get(verdict) and row["way"] not in leave_out}

    def test_no_step_is_given_to_a_wrong_request(self):
        self.assertEqual({}, self.total("WRONG", BEHIND))

    def test_what_is_ambiguous_names_the_right_request(self):
        self.assertEqual({}, self.total("MISSED", BEHIND))

    def test_no_step_is_left_without_a_request(self):
        self.assertEqual({}, self.total("none", BEHIND))

    def seen(self, way):
        return sum(row.get(verdict, 0) for row in self.counts if row["way"] == way
                   for verdict in ("right", "WRONG", "named", "MISSED", "none"))

    def test_every_step_of_every_request_was_seen(self):
        for way in ("sync", "timer", "pool", "after-pool", "after-call"):
            # a file that is made and written is two operations
            self.assertEqual(2 * 2 * self.requests_each, self.seen(way), way)

    def test_waiting_and_coming_back_is_told_apart(self):
        for way in ("sync", "timer", "after-call"):
            right = sum(row.get("right", 0) for row in self.counts if row["way"] == way)
            self.assertEqual(self.seen(way), right, way)


if __name__ == "__main__":
    unittest.main()
