"""Holds the slice of an attack against what is known of it (attacks/*.json).

An edge is right when it belongs to one of the attack's own requests, or to a call
made on their behalf that the truth foresees and that lies within the time in
which the client waited; any other edge is wrong.  What the truth asks for and no
edge shows is missing.

What an attack takes may hold what others have put there before (`takes`): which
requests those were, their client's own log says.  Their edges are right, too, and
counted apart; they need not be shown.
"""
import collections
import re
from datetime import datetime, timezone

TOLERANCE = 0.05  # seconds between the client's clock readings and the kernel's records


class Verdict:
    def __init__(self, edges, right, taken, wanted, found, nodes, right_nodes, wrong, missing):
        self.edges, self.right, self.taken, self.wanted, self.found = edges, right, taken, wanted, found
        self.nodes, self.right_nodes = nodes, right_nodes
        self.wrong, self.missing = wrong, missing
        self.precision = right / edges if edges else 0.0
        self.recall = found / wanted if wanted else 1.0
        self.node_precision = right_nodes / nodes if nodes else 0.0

    @property
    def perfect(self):
        return self.precision == 1 and self.recall == 1 and self.node_precision == 1


def judge(truth, trace, answers, others=()):
    """answers: {role: {"request": id, "sent": seconds, "answered": seconds}}
    others: the same, and "function", of requests that were not the attack's"""
    nodes = {node["id"]: node for node in trace["nodes"]}
    chains = {role: _chain(truth["calls"][role], trace, nodes, about) for role, about in answers.items()}
    taken = _taken(truth, trace, nodes, answers, others) - set().union(*chains.values())
    ours = taken.union(*chains.values())
    right = [edge for edge in trace["edges"] if edge.get("request") in ours]
    touched = {edge[end] for edge in right for end in ("from", "to")}
    right_nodes = [node for node in trace["nodes"] if node["id"] in touched and node.get("request") in (None, *ours)]
    missing = [f"{wanted['role']}: {wanted['why']}" for wanted in truth["must"]
               if not any(_fits(wanted, edge, nodes, chains) for edge in right)]
    wrong = [_words(edge, nodes) for edge in trace["edges"] if edge.get("request") not in ours]
    return Verdict(len(trace["edges"]), len(right), sum(edge["request"] in taken for edge in right), len(truth["must"]),
                   len(truth["must"]) - len(missing), len(nodes), len(right_nodes), wrong, missing)


def _taken(truth, trace, nodes, answers, others):
    """Those of others that can have put something into what was taken: begun before that was over."""
    requests = set()
    for what in truth.get("takes", ()):
        until = answers[what["role"]]["answered"]
        for about in others:
            if about["function"] == what["function"]:
                requests |= _chain(what["calls"], trace, nodes, {**about, "answered": min(about["answered"], until)})
    return requests


def _chain(foreseen, trace, nodes, about):
    """The request and those made on its behalf, as far as the truth foresees them."""
    begun = {request["id"]: _seconds(request["first"]) for request in trace["requests"]}
    left = collections.Counter(foreseen)
    chain, grown = set(), [about["request"]]
    for request in grown:
        function = next((n["function"] for n in trace["nodes"] if n["kind"] == "request" and n["request"] == request), None)
        inside = about["sent"] - TOLERANCE <= begun.get(request, 0) <= about["answered"] + TOLERANCE
        if not left[function] or not inside:
            continue
        left[function] -= 1
        chain.add(request)
        for edge in trace["edges"]:
            source, target = nodes[edge["from"]], nodes[edge["to"]]
            if edge["kind"] == "calls" and (source["kind"], target["kind"]) == ("process", "request") \
                    and source.get("request") == request and target["request"] not in grown:
                grown.append(target["request"])
    return chain


def _seconds(text):
    whole, _, fraction = text.rstrip("Z").partition(".")
    return datetime.fromisoformat(whole).replace(tzinfo=timezone.utc).timestamp() + float(f"0.{fraction or 0}")


def _fits(wanted, edge, nodes, chains):
    if edge["kind"] not in wanted["kind"] or edge["request"] not in chains[wanted["role"]]:
        return False
    ends = nodes[edge["from"]], nodes[edge["to"]]
    if "function" in wanted and wanted["function"] not in {node.get("function") for node in ends}:
        return False
    return _is(ends[0], wanted["from"]) and _is(ends[1], wanted["to"])


def _is(node, wanted):
    return node["kind"] == wanted["kind"] and re.fullmatch(wanted.get("label", ".*"), node["label"], re.DOTALL) is not None \
        and wanted.get("function", node.get("function")) == node.get("function")


def _words(edge, nodes):
    ends = [f"{n['label']} ({n['kind']}{', ' + n['function'] if n.get('function') else ''})"
            for n in (nodes[edge["from"]], nodes[edge["to"]])]
    return (f"{ends[0]} --{edge['kind']}--> {ends[1]}, request {edge.get('request') or '-'}, "
            f"{edge['attribution']} {edge.get('rule') or ''}, batch {edge.get('batch')} event {edge.get('event')}")
