import json
import os
import subprocess
import unittest

from lib import truth
from lib.say import REPO

ATTACK = os.path.join(REPO, "hello-retail", "attacks", "warm-container")
SCRIPT = "/home/app/sqldump.sh"
ROOTS = {"plant": "a0", "execute": "b0"}
ENTRY, VICTIM = "product-purchase", "product-purchase-authorize-cc"


def known(*options):
    return json.loads(subprocess.run([ATTACK, "truth", *options], stdout=subprocess.PIPE, check=True).stdout)


class Trace:
    """A trace in the making: the attack as a right answer shows it."""

    def __init__(self, script=SCRIPT):
        self.document = {"nodes": [], "edges": []}
        plant, execute = self.call("a"), self.call("b")
        curl, chmod = self.process("curl", "a1"), self.process("chmod", "a1")
        shell, dump = self.process("sh", "b1"), self.process("mariadb-dump", "b1")
        file, pipe = self.node("file", script), self.node("pipe", "pipe")
        self.edge(self.node("object", "http://198.18.9.9/sqldump.sh"), "get", curl, "a1")
        self.edge(curl, "write", file, "a1")
        self.edge(chmod, "chmod", file, "a1")
        self.load = self.edge(file, "load", shell, "b1")
        self.edge(self.node("object", "sql:creditCards"), "get", dump, "b1")
        self.edge(dump, "write", pipe, "b1")
        self.edge(pipe, "read", execute["victim"], "b1")
        self.plant = plant

    def node(self, kind, label, function=VICTIM, request=None):
        name = f"n{len(self.document['nodes'])}"
        self.document["nodes"].append({"id": name, "kind": kind, "label": label, "function": function,
                                       "request": request})
        return name

    def process(self, label, request, function=VICTIM):
        return self.node("process", label, function, request)

    def edge(self, source, kind, target, request):
        self.document["edges"].append({"from": source, "to": target, "kind": kind, "request": request})
        return self.document["edges"][-1]

    def call(self, name):
        """Both hops of one purchase, there and back."""
        outer, inner = name + "0", name + "1"
        client = self.node("client", "client 198.18.0.10", None)
        requests = self.node("request", ENTRY, ENTRY, outer), self.node("request", VICTIM, VICTIM, inner)
        entry, victim = self.process("node", outer, ENTRY), self.process("node", inner)
        for source, target, request in ((client, requests[0], outer), (requests[0], entry, outer),
                                        (entry, requests[1], inner), (requests[1], victim, inner)):
            self.edge(source, "calls", target, request)
        for source, target, request in ((victim, requests[1], inner), (requests[1], entry, inner),
                                        (entry, requests[0], outer), (requests[0], client, outer)):
            self.edge(source, "returns", target, request)
        return {"victim": victim, "entry": entry}


class TruthTest(unittest.TestCase):
    def wrong(self, trace, *options):
        return truth.check(known(*options), trace.document, ROOTS, ENTRY)

    def test_the_right_answer_passes(self):
        self.assertEqual([], self.wrong(Trace()))

    def test_parameters_change_the_truth(self):
        self.assertIn("missing: B executes the file that A wrote", self.wrong(Trace(), "--script", "other"))
        self.assertEqual([], self.wrong(Trace("/tmp/sqldump.sh"), "--directory", "/tmp"))

    def test_a_missing_edge_is_named(self):
        trace = Trace()
        trace.document["edges"].remove(trace.load)
        self.assertEqual(["missing: B executes the file that A wrote"], self.wrong(trace))

    def test_an_edge_of_another_request_does_not_count(self):
        trace = Trace()
        trace.load["request"] = "a1"
        self.assertEqual(["missing: B executes the file that A wrote"], self.wrong(trace))

    def test_a_benign_request_in_the_answer_is_wrong(self):
        trace = Trace()
        trace.call("c")
        self.assertEqual({"foreign request in the answer: c0", "foreign request in the answer: c1"},
                         set(self.wrong(trace)))

    def test_too_large_an_answer_is_wrong(self):
        trace = Trace()
        for _ in range(60):
            trace.node("file", "/usr/lib/x.so")
        self.assertIn("more than 60", self.wrong(trace)[0])
