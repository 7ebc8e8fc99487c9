"""Pools that call back: a question is its request's, although another request's answer made it go."""
import json
import os
import re
import shutil
import unittest

from e2e.world import FUNCTIONS, LabCase, needs_recording, rewritten_shop

REQUESTS, CONCURRENCY = 96, 8
EDGES = 4 * REQUESTS  # of each way: two questions, and a file that is made and written


@needs_recording
class CallbackPools(LabCase):
    nodes = "1"

    @classmethod
    def stack(cls):
        def change(document, home):
            database = document["x-database"]
            shutil.copytree(os.path.join(FUNCTIONS, "pooled"), os.path.join(home, "functions", "pooled"))
            shutil.copytree(os.path.join(FUNCTIONS, "services"), os.path.join(home, "anything"))
            document["x-services"] = {
                "mariadb": document["x-services"]["mariadb"],
                "programs": {"anything": {"address": "198.18.0.30", "port": 7, "run": "anything/anything"}}}
            document["functions"] = {"pooled": {"lang": "node", "handler": "functions/pooled", "environment": database}}

        return rewritten_shop(cls.scratch, change)

    @classmethod
    def story(cls):
        cls.truth = {}  # token: request
        for way in ("mysql", "single"):
            bodies = [json.dumps({"way": way, "token": f"{way}{number:03d}"}) for number in range(REQUESTS)]
            out = cls.lab("invoke", "pooled", "--data", "-", "--lines", "--json", "--concurrency", str(CONCURRENCY),
                          stdin="\n".join(bodies))
            cls.truth.update({answer["body"]: answer["request"] for answer in map(json.loads, out.splitlines())})

    def judged(self, way):
        """Of all that names a token of the way: (right, ambiguous with the right one among those named, wrong)."""
        graph = self.ask("export")
        nodes = {node["id"]: node for node in graph["nodes"]}
        edges = [(edge, re.search(rf"(first|second|after)_({way}\d+)$", nodes[end]["label"]))
                 for edge in graph["edges"] for end in (edge["from"], edge["to"]) if edge["kind"] in ("get", "put", "write")]
        edges = [(edge, match.group(1), self.truth[match.group(2)]) for edge, match in edges if match]
        verdict = {"right": 0, "ambiguous": 0, "wrong": []}
        for edge, what, request in edges:
            if edge["request"] == request:
                verdict["right"] += 1
            elif edge["attribution"] == "ambiguous" and request in edge["candidates"]:
                verdict["ambiguous"] += 1
            else:
                verdict["wrong"].append((what, edge["rule"], edge["request"], request))
        self.assertEqual(EDGES, len(edges))
        return verdict

    def test_a_known_pool_is_right(self):
        verdict = self.judged("mysql")
        self.assertEqual(([], 0, EDGES), (verdict["wrong"][:5], verdict["ambiguous"], verdict["right"]))

    def test_an_unknown_one_is_never_wrong(self):
        verdict = self.judged("single")
        self.assertEqual([], verdict["wrong"][:5], len(verdict["wrong"]))
        self.assertGreater(verdict["ambiguous"], 0, "nothing had to wait: nothing was tested")


if __name__ == "__main__":
    unittest.main()
