"""Names that Node's pool looks up for several requests at once: what is done for each lookup is its own request's."""
import collections
import json
import os
import re
import shutil
import subprocess
import unittest

import yaml

from e2e.world import FUNCTIONS, LabCase, needs_recording

AT_ONCE, REQUESTS = 8, 48
NAMES = {  # what the requests of each way ask for, one after the other or at once
    "different": ["first.{}.y.example", "second.{}.y.example", "third.{}.y.example"],
    "same": ["same.y.example"],
    "service": [],
}
FILES = {  # which files are read for it, how often
    "different": {"/etc/hosts": 3},
    "same": {"/etc/hosts": 1},
    "service": {"/etc/hosts": 1, "/etc/services": 1},
}


class Lookups(LabCase):
    """The same function under another program; who extends it says what became of it."""
    nodes = "1"
    program = "node"

    @classmethod
    def stack(cls):
        home = os.path.join(cls.scratch, "stack")
        for name in ("lookups", "services"):
            shutil.copytree(os.path.join(FUNCTIONS, name), os.path.join(home, name))
        cls.prepare(os.path.join(home, "lookups"))
        environment = {"mode": "http", "fprocess": f"{cls.program} function/server.js", "upstream_url": "http://127.0.0.1:5000",
                       "at_once": str(AT_ONCE)}
        path = os.path.join(home, "stack.yml")
        with open(path, "w") as file:
            yaml.safe_dump({
                "version": 1.0, "provider": {"name": "openfaas"}, "x-nameserver": "198.18.0.30",
                "x-services": {"programs": {"anything": {"address": "198.18.0.30", "port": 7, "run": "services/anything"}}},
                "functions": {"lookups": {"lang": "binary", "handler": "lookups", "environment": environment}}}, file)
        return path

    @classmethod
    def prepare(cls, home):
        pass

    @classmethod
    def story(cls):
        cls.truth = {}  # token: request
        cls.way_of = {}  # request: way
        for way in NAMES:
            tokens = "\n".join(f"{way}{number:03d}" for number in range(REQUESTS))
            out = cls.lab("invoke", "lookups", "--path", "/" + way, "--data", "-", "--lines", "--json", "--concurrency", str(AT_ONCE), stdin=tokens)
            for answer in map(json.loads, out.splitlines()):
                cls.truth[answer["body"]] = answer["request"]
                cls.way_of[answer["request"]] = way

    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        graph = cls.ask("export")
        nodes = {node["id"]: node for node in graph["nodes"]}
        cls.read = [(edge, nodes[edge["from"]]["label"]) for edge in graph["edges"] if edge["kind"] in ("get", "read")]
        cls.ambiguous = [(edge["rule"], edge["kind"], nodes[edge["from"]]["label"], nodes[edge["to"]]["label"])
                         for edge in graph["edges"] if edge["attribution"] == "ambiguous"]

    def judged(self):
        """Of what was asked for with a token in its name: (right, ambiguous with the right one among those named, wrong)."""
        right = ambiguous = 0
        wrong = []
        for edge, label in self.read:
            token = re.search(r"^dns:\w+\.(\w+)\.y\.example$", label)
            if not token:
                continue
            request = self.truth[token.group(1)]
            if edge["request"] == request and edge["rule"] in ("assist", "sole", "turn"):
                right += 1
            elif edge["attribution"] == "ambiguous" and request in edge["candidates"]:
                ambiguous += 1
            else:
                wrong.append((label, edge["rule"], edge["request"], request))
        return right, ambiguous, wrong

    def done_for_each(self, what):
        """{way: {how often it was done for a request: how many requests}}, not counting what is ambiguous."""
        counts = {request: 0 for request in self.way_of}
        for edge, label in self.read:
            if label == what and edge["request"] in counts:
                counts[edge["request"]] += edge["count"]
        ways = {way: collections.Counter() for way in NAMES}
        for request, count in counts.items():
            ways[self.way_of[request]][count] += 1
        return {way: dict(counter) for way, counter in ways.items()}


@needs_recording
class SymbolsAreThere(Lookups):
    def test_each_question_is_its_request_s(self):
        self.assertEqual((len(NAMES["different"]) * REQUESTS, 0, []), self.judged())

    def test_the_same_question_is_each_ones_once(self):
        self.assertEqual({"different": {0: REQUESTS}, "same": {1: REQUESTS}, "service": {0: REQUESTS}},
                         self.done_for_each("dns:same.y.example"))

    def test_each_read_is_some_request_s_that_looks_up(self):
        for file in ("/etc/hosts", "/etc/services"):
            self.assertEqual({way: {FILES[way].get(file, 0): REQUESTS} for way in FILES}, self.done_for_each(file), file)

    def test_nothing_is_ambiguous(self):
        self.assertEqual([], self.ambiguous[:5], len(self.ambiguous))


@needs_recording
@unittest.skipUnless(shutil.which("strip"), "needs strip")
class SymbolsAreStripped(Lookups):
    """Nobody knows then what the pool's threads run: as it was, ambiguous and never wrong."""
    program = "function/node"

    @classmethod
    def prepare(cls, home):
        subprocess.run(["strip", "-o", os.path.join(home, "node"), os.path.realpath(shutil.which("node"))], check=True)

    def test_no_question_is_given_to_a_wrong_request(self):
        right, ambiguous, wrong = self.judged()
        self.assertEqual([], wrong)
        self.assertEqual(len(NAMES["different"]) * REQUESTS, right + ambiguous)
        self.assertGreater(ambiguous, 0, "no two were at once: nothing was tested")

    def test_nobody_has_more_reads_than_it_made(self):
        for file in ("/etc/hosts", "/etc/services"):
            for way, counts in self.done_for_each(file).items():
                self.assertLessEqual(max(counts), FILES[way].get(file, 0), (file, way))


if __name__ == "__main__":
    unittest.main()
