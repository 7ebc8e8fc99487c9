"""Reduction changes no answer: what is stored raw, record by record, gives the same graph and the same slices."""
import glob
import json
import os
import shutil
import subprocess
import tempfile
import unittest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
BIN = os.environ.get("FAASPROV_BIN", os.path.join(ROOT, "build", "bin"))
RECORDINGS = sorted(glob.glob(os.path.join(ROOT, "hello-retail", "recordings", "warm-container", "*.recording")))
# Where an answer leads back to its events, whose numbers differ, and names that hold within one answer alone.
OF_THE_STORE = {"id", "from", "to", "batch", "event", "collapsed"}
SLICES_MOST = 100


def ask(program, *arguments):
    done = subprocess.run([os.path.join(BIN, program), *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                          stderr=subprocess.PIPE, text=True, timeout=120, check=False)
    if done.returncode not in (0, 1):
        raise AssertionError(f"{program} {' '.join(arguments)}: {done.returncode}: {done.stderr}")
    return done


def joined(edges):
    """Those that say the same of the same two, together: in raw form more of them can stand one after the other."""
    totals = {}
    for edge in edges:
        said = json.dumps({name: value for name, value in edge.items() if name not in ("first", "last", "count", "bytes")},
                          sort_keys=True)
        total = totals.setdefault(said, {"first": edge["first"], "last": edge["last"], "count": 0, "bytes": 0})
        total["first"], total["last"] = min(total["first"], edge["first"]), max(total["last"], edge["last"])
        total["count"] += edge.get("count") or 1
        total["bytes"] += edge.get("bytes") or 0
    return sorted(f"{said} {json.dumps(total)}" for said, total in totals.items())


def graph(answer):
    """What an answer says, without the order and the names in which it says it."""
    keys = {node["id"]: json.dumps({name: value for name, value in node.items() if name not in OF_THE_STORE}, sort_keys=True)
            for node in answer["nodes"]}
    edges = [{**{name: value for name, value in edge.items() if name not in OF_THE_STORE},
              "from": keys[edge["from"]], "to": keys[edge["to"]]} for edge in answer["edges"]]
    return {"complete": answer["complete"], "lost": answer["lost"],
            "missing": answer["missing"], "nodes": sorted(keys.values()),
            "edges": joined(edges)}


class Stored:
    def __init__(self, path, *options):
        self.path = path
        ask("faasprov-agent", "replay", "--store", path, *options, *RECORDINGS)
        self.whole = self.answer("export")

    def answer(self, *question):
        done = ask("faasprov", *question, "--store", self.path, "--format", "json")
        return json.loads(done.stdout) if done.stdout else None


class RawTest(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.scratch = tempfile.mkdtemp(prefix="faasprov-raw-")
        cls.addClassCleanup(shutil.rmtree, cls.scratch)
        cls.reduced = Stored(os.path.join(cls.scratch, "reduced.db"))
        cls.raw = Stored(os.path.join(cls.scratch, "raw.db"), "--raw")

    def same(self, question, reduced, raw):
        reduced, raw = graph(reduced), graph(raw)
        for part in reduced:
            if reduced[part] != raw[part]:
                only = [sorted(set(a) - set(b))[:3] for a, b in ((reduced[part], raw[part]), (raw[part], reduced[part]))] \
                    if isinstance(reduced[part], list) and part != "missing" else (reduced[part], raw[part])
                self.fail(f"{question}: {part} differ\nreduced: {only[0]}\nraw: {only[1]}")

    def test_more_is_stored(self):
        """Else the other tests compare a store with itself."""
        reduced, raw = (stored.answer("stats")["events"] for stored in (self.reduced, self.raw))
        self.assertGreater(raw, reduced)

    def test_the_whole_graph(self):
        self.assertGreater(len(self.reduced.whole["edges"]), 1000)
        self.same("export", self.reduced.whole, self.raw.whole)

    def test_slices_of_requests(self):
        requests = [node["key"] for node in self.reduced.whole["nodes"] if node["kind"] == "request"]
        self.each([("trace", key.split(":")[-1]) for key in requests], "--both")

    def test_slices_of_objects(self):
        """What several wrote or read: there a record in between would cut."""
        ends = {}
        for edge in self.reduced.whole["edges"]:
            for end in ("from", "to"):
                ends.setdefault(edge[end], set()).add(edge["to" if end == "from" else "from"])
        crossed = [node for node in self.reduced.whole["nodes"]
                   if node["kind"] in ("file", "object") and len(ends.get(node["id"], ())) > 1]
        names = sorted({f"{node['kind']}:{node['label']}" for node in crossed})
        self.assertGreater(len(names), 5)
        self.each([("slice", name) for name in names], "--backward", "--forward")

    def each(self, questions, *directions):
        step = -(-len(questions) // (SLICES_MOST // len(directions)))
        edges = 0
        for question in questions[::step]:
            for direction in directions:
                answers = [stored.answer(*question, direction, "--all") for stored in (self.reduced, self.raw)]
                if None in answers:
                    self.assertEqual(answers[0], answers[1], question)
                    continue
                self.same((*question, direction), *answers)
                edges += len(answers[0]["edges"])
        self.assertGreater(edges, 100, "the slices are empty")


if __name__ == "__main__":
    unittest.main()
