"""The judge of slices: what it calls right, wrong and missing."""
import os
import sys
import unittest

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
import judge  # noqa: E402

TRUTH = {
    "calls": {"one": ["shop", "card"]},
    "must": [{"why": "the card function reads the file", "kind": ["read"], "role": "one", "function": "card",
              "from": {"kind": "file", "label": "/secret"}, "to": {"kind": "process", "label": "cat|sh"}}],
}
ANSWERS = {"one": {"request": "r1", "sent": 100.0, "answered": 102.0}}


def node(name, kind, label, function=None, request=None):
    return {"id": name, "kind": kind, "label": label, "function": function, "request": request}


def edge(source, target, kind, request):
    return {"from": source, "to": target, "kind": kind, "request": request, "attribution": "exact"}


def a_trace():
    return {
        "requests": [{"id": "r1", "first": "1970-01-01T00:01:40.500000000Z"},
                     {"id": "r2", "first": "1970-01-01T00:01:41.000000001Z"}],
        "nodes": [node("n1", "request", "shop", "shop", "r1"), node("n2", "process", "node", "shop", "r1"),
                  node("n3", "request", "card", "card", "r2"), node("n4", "process", "cat", "card", "r2"),
                  node("n5", "file", "/secret", "card")],
        "edges": [edge("n1", "n2", "calls", "r1"), edge("n2", "n3", "calls", "r1"), edge("n3", "n4", "calls", "r2"),
                  edge("n5", "n4", "read", "r2")],
    }


class JudgeTest(unittest.TestCase):
    def judge(self, trace):
        return judge.judge(TRUTH, trace, ANSWERS)

    def test_the_right_slice_is_perfect(self):
        self.assertTrue(self.judge(a_trace()).perfect)

    def test_what_is_not_shown_is_missing(self):
        trace = a_trace()
        trace["edges"].pop()
        verdict = self.judge(trace)
        self.assertEqual((0.0, ["one: the card function reads the file"]), (verdict.recall, verdict.missing))

    def test_an_edge_of_another_request_is_wrong_and_shows_nothing(self):
        trace = a_trace()
        trace["edges"][3]["request"] = "r9"
        verdict = self.judge(trace)
        self.assertEqual((0.75, 0.0, 1), (verdict.precision, verdict.recall, len(verdict.wrong)))

    def test_an_edge_of_no_request_is_wrong(self):
        trace = a_trace()
        trace["edges"].append(edge("n5", "n4", "read", None))
        self.assertEqual(0.8, self.judge(trace).precision)

    def test_a_call_that_the_truth_does_not_foresee_is_wrong(self):
        trace = a_trace()
        trace["requests"].append({"id": "r3", "first": "1970-01-01T00:01:41Z"})
        trace["nodes"].append(node("n6", "request", "card", "card", "r3"))
        trace["edges"] += [edge("n2", "n6", "calls", "r1"), edge("n6", "n4", "calls", "r3")]
        verdict = self.judge(trace)
        self.assertEqual((1, False), (len(verdict.wrong), verdict.perfect))

    def test_a_call_outside_the_time_of_the_attack_is_wrong(self):
        trace = a_trace()
        trace["requests"][1]["first"] = "1970-01-01T00:02:00Z"
        verdict = self.judge(trace)
        self.assertEqual((0.5, 0.0), (verdict.precision, verdict.recall))

    def judge_taken(self, begun="1970-01-01T00:01:39.5Z", function="shop", role="one"):
        """One more request, of another client, wrote what the attack's reads."""
        truth = {**TRUTH, "takes": [{"why": "it counts there", "role": role, "function": "shop", "calls": ["shop", "card"]}]}
        trace = a_trace()
        trace["requests"].append({"id": "r3", "first": begun})
        trace["nodes"].append(node("n6", "process", "node", "card", "r3"))
        trace["nodes"].append(node("n7", "request", "shop", "shop", "r3"))
        trace["edges"] += [edge("n7", "n6", "calls", "r3"), edge("n6", "n5", "write", "r3")]
        log = [{"function": function, "request": "r3", "sent": 99.0, "answered": 110.0}]
        return judge.judge(truth, trace, ANSWERS, log)

    def test_who_put_something_into_what_was_taken_is_right_and_counted_apart(self):
        verdict = self.judge_taken()
        self.assertEqual((True, 6, 2), (verdict.perfect, verdict.right, verdict.taken))

    def test_who_began_after_it_was_taken_is_wrong(self):
        verdict = self.judge_taken(begun="1970-01-01T00:01:43Z")
        self.assertEqual((2, 0), (len(verdict.wrong), verdict.taken))

    def test_who_calls_another_function_is_wrong(self):
        verdict = self.judge_taken(function="card")
        self.assertEqual((2, 0), (len(verdict.wrong), verdict.taken))


if __name__ == "__main__":
    unittest.main()
