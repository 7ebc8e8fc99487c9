"""Holds a trace against what is known of an attack (hello-retail/attacks/*.json).

Labels of the ground truth are regular expressions for the whole label.
"""
import re


def check(truth, trace, roots, entry):
    """What is wrong with the trace: a list of lines, empty when it is right.

    roots: {"plant": invocation id, "execute": invocation id}
    """
    nodes = {node["id"]: node for node in trace["nodes"]}
    chains = {role: _chain(trace, nodes, root) for role, root in roots.items()}
    wrong = [f"missing: {wanted['why']}" for wanted in truth["must"]
             if wanted.get("when", {}).get("entry", entry) == entry
             and not any(_fits(wanted, edge, nodes, chains) for edge in trace["edges"])]
    ours = set().union(*chains.values())
    shown = {node["request"] for node in trace["nodes"] if node.get("request")}
    wrong += [f"foreign request in the answer: {request}" for request in sorted(shown - ours)]
    limit = truth["trace"]["nodes_at_most"]
    if len(nodes) > limit:
        wrong.append(f"{len(nodes)} nodes, more than {limit}")
    return wrong


def _chain(trace, nodes, root):
    """The request and all that were made on its behalf."""
    chain, grown = {root}, True
    while grown:
        grown = False
        for edge in trace["edges"]:
            source, target = nodes[edge["from"]], nodes[edge["to"]]
            if edge["kind"] == "calls" and target["kind"] == "request" and source["kind"] == "process" \
                    and source.get("request") in chain and target["request"] not in chain:
                chain.add(target["request"])
                grown = True
    return chain


def _fits(wanted, edge, nodes, chains):
    ends = (("from", wanted["from"]), ("to", wanted["to"]))
    if edge["kind"] not in wanted["kind"] or not all(_is(nodes[edge[end]], node) for end, node in ends):
        return False
    if edge.get("request") not in chains[wanted["role"]]:
        return False
    if "function" not in wanted:
        return True
    return wanted["function"] in {nodes[edge[end]].get("function") for end, _ in ends}


def _is(node, wanted):
    return node["kind"] == wanted["kind"] \
        and re.fullmatch(wanted.get("label", ".*"), node["label"], re.DOTALL) is not None \
        and wanted.get("function", node.get("function")) == node.get("function")
