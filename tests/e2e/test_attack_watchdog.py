"""A function against its watchdog and its limits: whatever it does is recorded as its deed, and shown to whoever asks."""
import glob
import json
import os
import unittest

from e2e.world import BIN, FUNCTIONS, LabCase, checked, needs_recording, run
from test_raw import graph

DEEDS = {
    # deed: the findings it must show as {kind: something that must be said of it}, and no other
    "forge": {"refused-mark": "not the container's watchdog"},
    "forge_in_child": {"refused-mark": "not the container's watchdog"},
    "lie": {"false-assist": "has not served"},
    "lie_for_another": {"false-assist": "has read nothing"},
    "kill": {"watchdog-signalled": "SIGKILL"},
    "trace": {"watchdog-controlled": "ptrace"},
    "memory": {"watchdog-memory": "/proc/1/mem"},
    "across": {"watchdog-controlled": "vm-write", "watchdog-read": "vm-read"},
    "steal": {"watchdog-controlled": "get-fd", "watchdog-port": "accept, port 8080"},
    "leave": {"name-spaces-changed": "unshare, flags 0x10020000", "mounts-changed": "mount, tmpfs, "},
    "ask_kernel": {"kernel-asked": "bpf, flags 0x5, error EPERM"},
    "scan": {"probing": "connect, error ECONNREFUSED, 127.0.0.1:1, 127.0.0.1:2,"},
    "guess": {"probing": "open, error ENOENT, /srv/user0/.ssh/id_rsa"},
    "pry": {"refused": "open, error EACCES, /tmp/private/key, /tmp/private/cert"},
    "replace": {"watchdog-signalled": "SIGTERM", "watchdog-port": "bind, port 8080"},
}


@needs_recording
class AgainstTheWatchdog(LabCase):
    nodes = "1"

    @classmethod
    def stack(cls):
        return os.path.join(FUNCTIONS, "rogue.yml")

    @classmethod
    def story(cls):
        cls.benign, cls.deeds = [cls.invoke("rogue", "")], {}
        left, lied = (cls.invoke("crowd", "") for _ in range(2))
        if (left["body"], lied["body"]) != ("left", "done"):
            raise AssertionError(f"the crowd did not do as it was to: {left}, {lied}")
        cls.benign.append(left)
        cls.deeds["lie_for_another"] = lied["request"]
        for deed in DEEDS:
            if deed in cls.deeds:
                continue
            answer = cls.invoke("usurper" if deed == "replace" else "rogue", deed)
            if answer["body"] != f"{deed}: done":
                raise AssertionError(f"{deed} did not work: {answer}")
            cls.deeds[deed] = answer["request"]
            if deed != "replace":
                cls.benign.append(cls.invoke("rogue", ""))
        for path in ("pretend", "after"):
            cls.invoke("pretender", "", "--path", path)
        # threads that end must not seem to lie: their memory is soon another's
        cls.benign += [cls.invoke("workers", "{}") for _ in range(8)]

    @classmethod
    def up_options(cls):
        return ["--record", os.path.join(cls.scratch, "recordings")]

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        recordings = sorted(glob.glob(os.path.join(cls.scratch, "recordings", "*.recording")))
        for name, options in (("reduced", ()), ("raw", ("--raw",))):
            store = os.path.join(cls.scratch, f"{name}.db")
            checked(os.path.join(BIN, "faasprov-agent"), "replay", "--store", store, *options, *recordings)
            setattr(cls, name, store)

    def setUp(self):
        self.pretended = {request["url"]: request["id"] for request in self.requests if request["function"] == "pretender"}

    def findings(self, *arguments):
        return self.ask("flag", *arguments)["findings"]

    def test_every_deed_is_found_and_nothing_else(self):
        for deed, request in self.deeds.items():
            with self.subTest(deed):
                found = {finding["kind"]: " ".join(finding["reasons"]) for finding in self.findings("--request", request)}
                self.assertEqual(set(DEEDS[deed]), set(found))
                for kind, words in DEEDS[deed].items():
                    self.assertIn(words, found[kind])

    def test_all_are_of_the_requests_that_did_them(self):
        self.assertEqual({*self.deeds.values(), self.pretended["/pretend"]}, {finding["request"] for finding in self.findings()})
        for finding in self.findings():
            self.assertEqual("derived", finding["attribution"])
            self.assertTrue(finding["techniques"])

    def test_the_evidence_is_there(self):
        for finding in self.findings():
            kinds = {node["id"]: node["kind"] for node in finding["nodes"]}
            for edge in finding["edges"]:
                self.assertEqual(("process", "shows", "finding"), (kinds[edge["from"]], edge["kind"], kinds[edge["to"]]))
                self.assertGreater(edge["batch"], 0)

    def test_forged_marks_are_counted_exactly(self):
        for deed in ("forge", "forge_in_child"):
            self.assertEqual([4], [finding["count"] for finding in self.findings("--request", self.deeds[deed])])

    def test_a_false_word_about_another_process_s_request_is_not_believed(self):
        trace = self.ask("trace", self.deeds["lie_for_another"], "--forward")
        for name in ("lied", "true"):
            edges = self.edges(trace, ("process", ".*"), "write", ("file", f"/tmp/{name}"))
            self.assertEqual({self.deeds["lie_for_another"]}, {edge["request"] for edge in edges}, name)

    def test_they_changed_nothing(self):
        """All requests have their begin, their end and no other; the forged one is not there."""
        ids = {request["id"] for request in self.requests}
        self.assertEqual({answer["request"] for answer in self.benign} | set(self.deeds.values()) | set(self.pretended.values()), ids)
        for request in self.requests:
            self.assertIsNotNone(request["last"], request)

    def test_who_only_says_that_it_is_the_watchdog_is_not(self):
        """Where no watchdog marks, a child's HELLO makes it none: its marks are refused, and what it does is recorded."""
        self.assertEqual({"/pretend", "/after"}, set(self.pretended))
        finding, = self.findings("--request", self.pretended["/pretend"])
        self.assertEqual(("refused-mark", 3), (finding["kind"], finding["count"]))
        trace = self.ask("trace", self.pretended["/pretend"], "--forward")
        self.assertTrue([edge for edge in self.edges(trace, ("process", ".*"), "write", ("file", "/tmp/hidden")) if edge["bytes"]])

    def test_a_list_of_requests_counts_them(self):
        counted = {request["id"]: request["findings"] for request in self.requests}
        for deed, request in self.deeds.items():
            self.assertEqual(len(DEEDS[deed]), counted[request], deed)
        self.assertEqual([0], sorted({counted[answer["request"]] for answer in self.benign}))

    def test_a_trace_says_so_first(self):
        trace = self.ask("trace", self.deeds["memory"])
        self.assertEqual(["watchdog-memory"], [finding["kind"] for finding in trace["findings"]])
        self.assertEqual(1, len(self.edges(trace, ("process", "python3.*"), "shows", ("finding", "watchdog-memory"))))
        # also where one looks back only
        self.assertEqual(1, len(self.ask("trace", self.deeds["memory"], "--backward")["findings"]))
        text = checked(os.path.join(BIN, "faasprov"), "trace", self.deeds["memory"], "--store", self.store)
        self.assertIn("  findings   watchdog-memory: /proc/1/mem, by python3", text)

    def test_a_benign_request_has_none(self):
        trace = self.ask("trace", self.benign[0]["request"])
        self.assertEqual([], trace["findings"])
        done = run(os.path.join(BIN, "faasprov"), "flag", "--request", self.benign[0]["request"], "--store", self.store)
        self.assertEqual((1, ""), (done.returncode, done.stdout))

    def test_what_failed_is_told_and_leads_nowhere(self):
        trace = self.ask("trace", self.deeds["guess"])
        failed = [failure for node in trace["nodes"] for failure in (node.get("attributes") or {}).get("failed", ())]
        self.assertEqual(sorted(f"/srv/user{number}/.ssh/id_rsa" for number in range(15)),
                         sorted(name for failure in failed for name in failure["names"] if "id_rsa" in name))
        self.assertEqual([], [node for node in trace["nodes"] if node["kind"] == "file" and "id_rsa" in node["label"]])
        text = checked(os.path.join(BIN, "faasprov"), "trace", self.deeds["guess"], "--max-nodes", "200", "--store", self.store)
        self.assertIn("failed: open ENOENT (/srv/user0/.ssh/id_rsa)", text)

    def test_failures_are_counted(self):
        finding, = self.findings("--request", self.deeds["scan"])
        self.assertEqual(30, finding["count"])
        finding, = self.findings("--request", self.deeds["pry"])
        self.assertEqual(3, finding["count"])

    def test_raw_says_the_same(self):
        """Failures that the agent has put together, and each by itself."""
        for question in (("export",), *(("trace", self.deeds[deed], "--both") for deed in ("scan", "guess", "pry"))):
            answers = [graph(json.loads(checked(os.path.join(BIN, "faasprov"), *question, "--store", store, "--format", "json")))
                       for store in (self.reduced, self.raw)]
            for part in answers[0]:
                self.assertEqual(answers[0][part], answers[1][part], f"{question}: {part}")
        events = [json.loads(checked(os.path.join(BIN, "faasprov"), "stats", "--store", store, "--format", "json"))["events"]
                  for store in (self.reduced, self.raw)]
        self.assertLess(events[0] + 500, events[1])

    def test_a_picture_shows_it(self):
        picture = checked(os.path.join(BIN, "faasprov"), "trace", self.deeds["kill"], "--format", "dot", "--store", self.store)
        self.assertIn("watchdog-signalled", picture)


if __name__ == "__main__":
    unittest.main()
