"""Attribution against functions that say themselves, by the name of a file, which request each of their steps is of."""
import os
import subprocess
import unittest

from e2e.judged import ORACLE, VERDICTS, JudgedCase
from e2e.world import needs_recording

# What several requests send over one connection at once by a protocol of their own is told apart by nobody, nor is the
# work of a process that reads its orders by itself: all are named.
UNKNOWN = {"unknown", "lines"}
# Nor, until its first answer, what a client of Redis may have held back: two operations of each of the first at once.
AT_FIRST = {"shared": 2 * 4}
# Runtimes without an assist.
UNASSISTED = ("oracle-go", "oracle-c")


@needs_recording
class SeveralAtOnce(JudgedCase):
    requests_each = 40

    @classmethod
    def stack(cls):
        subprocess.run([os.path.join(ORACLE, "build")], check=True)
        return os.path.join(ORACLE, "stack.yml")

    @classmethod
    def story(cls):
        for function in ("oracle-node", "oracle-python", "oracle-asyncio"):
            cls.lab("invoke", function, "--count", "10")
            cls.lab("invoke", function, "--count", "10", "--concurrency", "8")
            cls.lab("invoke", function, "--count", "10", "--concurrency", "4", "--path", "?pools=1")
            cls.lab("invoke", function, "--count", "10", "--concurrency", "4", "--path", "?child=1&behind=1&database=1&unknown=1")
        for function in UNASSISTED:
            cls.lab("invoke", function, "--count", "10", "--path", "?child=1")
            cls.lab("invoke", function, "--count", "20", "--concurrency", "8")
        for function in ("oracle-streaming", "oracle-serializing"):
            cls.lab("invoke", function, "--count", "20", "--concurrency", "4")

    def total(self, verdict):
        return {row["way"]: row[verdict] for row in self.counts if row.get(verdict)}

    def test_no_step_is_given_to_a_wrong_request(self):
        self.assertEqual({}, self.total("WRONG"))

    def test_what_is_ambiguous_names_the_right_request(self):
        self.assertEqual({}, self.total("MISSED"))

    def test_no_step_is_left_without_a_request(self):
        self.assertEqual({}, self.total("none"))

    def seen(self, way, function=None):
        return sum(row.get(verdict, 0) for row in self.counts
                   if row["way"] == way and function in (None, row["function"]) for verdict in VERDICTS)

    def test_every_step_of_every_request_was_seen(self):
        # a file that is made and written is two operations
        for way in ("sync", "timer", "pool", "after-pool", "after-call"):
            self.assertEqual(2 * 2 * self.requests_each, self.seen(way), way)
        for way in ("aio-sync", "aio-timer", "aio-pool", "aio-task-a", "aio-task-b"):
            self.assertEqual(2 * self.requests_each, self.seen(way), way)
        for way in ("process", "process-later", "process-answer", "after-process", "thread", "thread-later", "thread-answer",
                    "after-thread", "early-pool", "early-pool-later", "after-early", "late-pool", "late-pool-later",
                    "after-late", "made-pool", "made-pool-later", "after-made", "lines", "after-lines"):
            self.assertEqual(2 * 10, self.seen(way), way)
        for way in ("pooled", "after-pooled", "shared", "unknown", "aio-behind", "aio-child", "aio-after-child"):
            self.assertEqual(2 * 10, self.seen(way), way)
        for way in ("fork-sync", "fork-pipe-file", "fork-child", "fork-behind"):
            self.assertEqual(2 * 2 * 20, self.seen(way), way)
        for way in ("go-sync", "go-goroutine-a", "go-after-call", "c-sync", "c-pool", "c-after-pool"):
            self.assertEqual(2 * 30, self.seen(way), way)
        for way in ("go-child", "c-child"):
            self.assertEqual(2 * 10, self.seen(way), way)

    def test_pipes_sockets_and_arguments_were_judged(self):
        for way, times in (("pipe", 20), ("go-pipe", 10), ("fork-pipe", 40)):
            self.assertGreaterEqual(self.seen(way), times, way)
        for function, times in (("node", 40), ("python", 40), ("asyncio", 40), ("go", 30), ("c", 30)):
            self.assertGreaterEqual(self.seen("socket", f"oracle-{function}"), times, function)
        for function, times in (("node", 10), ("go", 10), ("c", 10)):
            self.assertGreaterEqual(self.seen("argv", f"oracle-{function}"), times, function)

    def test_with_the_assist_nothing_is_ambiguous(self):
        self.assertEqual([], [row for row in self.counts if row.get("named", 0) > AT_FIRST.get(row["way"], 0)
                              and row["way"] not in UNKNOWN and row["function"] not in UNASSISTED])

    def test_a_process_tree_of_a_request_is_exact(self):
        # what comes out of a pipe is its maker's, by a rule of its own
        rows = [row for row in self.counts if row["way"].startswith("fork-") and row["way"] != "fork-pipe"]
        self.assertEqual({"exact"}, {row["attribution"] for row in rows})


if __name__ == "__main__":
    unittest.main()
