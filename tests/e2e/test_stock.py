"""Functions whose watchdog makes no marks, and servers without one: requests from the id header on the wire."""
import json
import os
import unittest

from e2e.test_across import call
from e2e.world import FUNCTIONS, LabCase, needs_recording


@needs_recording
class Stock(LabCase):
    watchdog = "vanilla"

    @classmethod
    def stack(cls):
        return os.path.join(FUNCTIONS, "stock.yml")

    @classmethod
    def start(cls, function, at, plan=None, *options):
        answer = cls.invoke(function, json.dumps(plan or {}), "--path", f"t/{at}", *options)
        if answer["status"] != 200:
            raise AssertionError(f"{function} {at}: {answer}")
        return answer

    @classmethod
    def story(cls):
        cls.named = cls.start("relay", "tree", {"calls": [
            call("relay-py", "tree.1", calls=[call("each", "tree.1.1"), call("plain-python", "tree.1.2")]),
            call("plain-node", "tree.2?next=/function/plain-python/t/tree.2.1")]}, "--header", "X-Call-Id: the-tree")
        # one after the other on kept connections
        for n in range(5):
            cls.start("plain-node", f"row-{n}")
            cls.start("plain-python", f"pow-{n}")
        # several at once
        for function in ("plain-node", "plain-python", "each"):
            cls.invoke_many(function, 8, "t/many?sleep=200")
        # the same name twice
        for n in range(2):
            cls.start("plain-node", f"same-{n}", None, "--header", "X-Call-Id: same-name")

    @classmethod
    def invoke_many(cls, function, number, path):
        cls.lab("invoke", function, "--data", "-", "--path", path, "--count", str(number), "--concurrency", str(number),
                stdin="x")

    def setUp(self):
        self.by_id = {request["id"]: request for request in self.requests}

    def of(self, url):
        found = [r for r in self.requests if r["url"].partition("?")[0] == f"/t/{url}"]
        self.assertEqual(1, len(found), [r["url"] for r in self.requests])
        return found[0]

    def test_each_request_is_one(self):
        """A stock watchdog and the function behind it serve the same request."""
        urls = sorted(r["url"].partition("?")[0] for r in self.requests)
        wanted = ["tree", "tree.1", "tree.1.1", "tree.1.2", "tree.2", "tree.2.1", "same-0", "same-1"] \
            + [f"{name}-{n}" for name in ("row", "pow") for n in range(5)] + 24 * ["many"]
        self.assertEqual(sorted(f"/t/{url}" for url in wanted), urls)

    def test_they_have_ended(self):
        self.assertEqual([], [r["url"] for r in self.requests if not r["last"] or r["status"] != 200])

    def test_who_called(self):
        for url, parent in {"tree": None, "tree.1": "tree", "tree.1.1": "tree.1", "tree.1.2": "tree.1", "tree.2": "tree",
                            "tree.2.1": "tree.2"}.items():
            found = self.of(url)["parent"]
            self.assertEqual(parent and f"/t/{parent}", found and self.by_id[found]["url"].partition("?")[0], url)

    def test_the_name_leads_to_the_whole_tree(self):
        trace = self.ask("trace", "the-tree", "--both")
        self.assert_complete(trace)
        self.assert_sound(trace)
        tree = [self.of(url)["id"] for url in ("tree", "tree.1", "tree.1.1", "tree.1.2", "tree.2", "tree.2.1")]
        self.assertEqual(self.of("tree")["call_id"], "the-tree")
        self.assert_reaches(trace, *tree)
        self.assert_edge(trace, ("process", "handler.*"), "write", ("file", "/tmp/each-tree.1.1"), request=tree[2])
        self.assert_edge(trace, ("process", ".*python.*"), "write", ("file", "/tmp/python-tree.1.2"), request=tree[3])
        self.assert_edge(trace, ("process", ".*node.*"), "write", ("file", "/tmp/node-tree.2"), request=tree[4])
        self.assert_edge(trace, ("request", "plain-node POST .*"), "calls", ("process", ".*node.*"), attribution="derived")
        self.assert_free_of(trace, [r["id"] for r in self.requests if not r["url"].startswith("/t/tree")])

    def test_nothing_is_said_to_be_exact(self):
        export = self.ask("export")
        kinds = {node["id"]: node["kind"] for node in export["nodes"]}
        exact = [edge for edge in export["edges"] if edge["attribution"] == "exact"]
        self.assertEqual([], [(kinds[e["from"]], e["kind"], kinds[e["to"]]) for e in exact][:5])

    def test_files_are_their_requests(self):
        for n in range(5):
            for name, place in (("row", "node"), ("pow", "python")):
                request = self.of(f"{name}-{n}")
                trace = self.ask("trace", request["id"], "--forward")
                self.assert_edge(trace, ("process", ".*"), "write", ("file", f"/tmp/{place}-{name}-{n}"), request=request["id"])

    def test_a_name_borne_twice_merges_nothing(self):
        self.assertNotEqual(self.of("same-0")["id"], self.of("same-1")["id"])
        self.assertEqual("same-name", self.of("same-1")["call_id"])


if __name__ == "__main__":
    unittest.main()
