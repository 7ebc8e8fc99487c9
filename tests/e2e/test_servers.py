"""Servers of several processes: those of Python that share a listening socket, and Node's cluster with worker threads."""
import os
import unittest

from e2e.judged import VERDICTS, JudgedCase
from e2e.world import FUNCTIONS, needs_recording

REQUESTS = 48
WAYS = {
    "prefork": ("server", "server-later", "server-pool", "server-thread", "server-after-thread"),
    "prefork-alone": ("server", "server-later", "server-pool", "server-thread", "server-after-thread"),
    "prefork-loops": ("loop", "loop-later", "loop-pool", "loop-after-pool"),
    "cluster": ("cluster", "cluster-timer", "cluster-immediate", "cluster-pool", "cluster-after-pool", "cluster-thread",
                "cluster-thread-later", "cluster-after-thread"),
}
ASSISTED = ("prefork", "prefork-loops", "cluster")


@needs_recording
class SeveralProcesses(JudgedCase):
    @classmethod
    def stack(cls):
        return os.path.join(FUNCTIONS, "servers.yml")

    @classmethod
    def story(cls):
        for function in WAYS:
            cls.lab("invoke", function, "--data", "-", "--count", str(REQUESTS), "--concurrency", "16", stdin="x")

    def total(self, verdict, *functions):
        return {(row["function"], row["way"]): row[verdict] for row in self.counts
                if row.get(verdict) and (not functions or row["function"] in functions)}

    def test_no_step_is_given_to_a_wrong_request(self):
        self.assertEqual({}, self.total("WRONG"))

    def test_what_is_ambiguous_names_the_right_request(self):
        self.assertEqual({}, self.total("MISSED"))
        self.assertEqual({}, self.total("none"))

    def test_with_the_assist_nothing_is_ambiguous(self):
        self.assertEqual({}, self.total("named", *ASSISTED))

    def test_every_step_was_seen(self):
        # a file that is made and written is two operations
        for function, ways in WAYS.items():
            for way in ways:
                seen = sum(row.get(verdict, 0) for row in self.counts for verdict in VERDICTS
                           if (row["function"], row["way"]) == (function, way))
                self.assertEqual(2 * REQUESTS, seen, (function, way))

    def test_several_processes_served(self):
        export = self.ask("export")
        nodes = {node["id"]: node for node in export["nodes"]}
        for function, ways in WAYS.items():
            at_work = {nodes[edge["from"]]["attributes"]["host_pid"] for edge in export["edges"] if edge["kind"] == "write"
                       and nodes[edge["from"]].get("function") == function and nodes[edge["to"]]["label"].endswith("." + ways[0])}
            self.assertGreater(len(at_work), 1, function)


if __name__ == "__main__":
    unittest.main()
