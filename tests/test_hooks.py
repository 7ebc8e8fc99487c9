"""A hook that the kernel refuses is a loss of a kind of its own, which every answer mentions."""
import glob
import json
import os
import re
import shutil
import tempfile
import unittest

from e2e.world import BIN, checked, needs_recording, run


@needs_recording
class MissingHookTest(unittest.TestCase):
    def setUp(self):
        self.scratch = tempfile.mkdtemp(prefix="faasprov-hooks-")
        self.addCleanup(shutil.rmtree, self.scratch)
        self.store = os.path.join(self.scratch, "run.db")

    def record(self, *options):
        checked(os.path.join(BIN, "faasprov-agent"), "run", "--store", self.store, *options, "--", "sh", "-c",
                "sleep 60 & kill $!; cat /etc/passwd >/dev/null")
        request = json.loads(self.ask("export"))["requests"][0]["id"]
        return json.loads(self.ask("trace", request))

    def ask(self, *question):
        return checked(os.path.join(BIN, "faasprov"), *question, "--store", self.store, "--format", "json")

    def test_it_is_mentioned(self):
        trace = self.record("--without", "signal")
        self.assertNotIn("signal", {edge["kind"] for edge in trace["edges"]})
        self.assertFalse(trace["complete"])
        self.assertEqual({"signal-hook"}, {missing["cause"] for missing in trace["missing"]})
        self.assertEqual(1, trace["lost"])
        self.assertEqual(["signal-hook"], [loss["cause"] for loss in json.loads(self.ask("stats"))["losses"]])

    def test_two_are_two(self):
        trace = self.record("--without", "signal,ring")
        self.assertEqual(["ring-hook", "signal-hook"], sorted({missing["cause"] for missing in trace["missing"]}))

    def test_nothing_is_mentioned_when_all_are_there(self):
        trace = self.record()
        self.assertIn("signal", {edge["kind"] for edge in trace["edges"]})
        self.assertTrue(trace["complete"], trace["missing"])

    def test_the_probe_says_of_each_what_it_is(self):
        """What the other tests of this machine rest on is there, and so is said to be."""
        hooks = dict(re.split(r"  +| (?=seen$|not seen)", line, maxsplit=1)
                     for line in checked(os.path.join(BIN, "faasprov-agent"), "--probe").splitlines())
        for hook in ("signals to other processes", "operations through io_uring", "where datagrams go (IPv4)",
                     "who sent datagrams (IPv6)", "processes that come from other cgroups"):
            self.assertEqual("seen", hooks[hook])
        self.assertEqual([], glob.glob("/sys/fs/cgroup/**/faasprov-probe-*", recursive=True))

    def test_one_that_is_not_to_be_done_without(self):
        for word in ("open", "signal,open", ""):
            done = run(os.path.join(BIN, "faasprov-agent"), "run", "--without", word, "--", "true")
            self.assertEqual((2, ""), (done.returncode, done.stdout))
            self.assertIn("--without", done.stderr)


if __name__ == "__main__":
    unittest.main()
