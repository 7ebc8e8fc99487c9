"""From slices of load to ratios with intervals."""
import itertools
import os

from . import machine, stats
from lib.say import BadInput

ORDER = ("a", "a2", "b", "n", "c", "f", "d", "e")
# A slice during which the hypervisor gave more than this share of the processors to others says nothing.
STOLEN_MAX = 0.03
VERSION = 4
QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def assemble(run, blocks, more):
    """One JSON document of all that was measured."""
    return {"benchmark": "overhead", "version": VERSION, "machine": machine.describe(), "loads": run.loads, "blocks": blocks,
            "slices": run.slices, "recording": run.recorded, **more}


def stolen(result):
    """The share of all processors that the hypervisor took during a slice."""
    return result["cpu_us"]["stolen"] / (result["wall"] * 1e6 * os.cpu_count())


def evaluate(result):
    """Adds rows, losses and ratios to what was measured."""
    if result.get("version") != VERSION:
        raise BadInput(f"a result of version {result.get('version')}, not {VERSION}: measured by another benchmarks/overhead")
    for one in result["slices"]:
        one["latency_us"].sort()
    result["lost_of"] = {}
    for group in result["recording"]["groups"]:
        of = result["lost_of"]
        of[group["workload"]] = of.get(group["workload"], 0) + group["agent"]["lost"] + group["agent"]["invalid"]
    result["lost"] = sum(result["lost_of"].values())
    result["begun"] = sum(group["agent"].get("begun", 0) for group in result["recording"]["groups"])
    result["foreign"] = max((s["foreign_recorders"] or 0 for s in result["slices"]), default=0)
    measured = {s["load"] for s in result["slices"]}
    result["rows"] = [evaluate_load(result, load) for load in result["loads"] if load["name"] in measured]
    result["repeated"] = sum(s["attempts"] - 1 for s in result["slices"])
    result["left_out"] = sum(row["left_out"] for row in result["rows"])
    result["per_request"] = {name: _per_request(result, name) for name in result["requests"]}
    result["stored"] = _stored(result.get("uninterrupted", []))
    result["memory"] = _memory(result)
    result["cold_start"] = _cold(result["cold"])


def evaluate_load(result, load):
    by_row, disturbed, left_out = {}, [], 0
    for row in ORDER:
        ours = [s for s in result["slices"] if s["load"] == load["name"] and s["row"] == row]
        steady = [s for s in ours if s["stolen"] <= STOLEN_MAX]
        # Where a row has nothing else, what there is is shown, and nothing concluded from it.
        if ours and not steady:
            disturbed.append(row)
            steady = ours
        left_out += len(ours) - len(steady)
        by_row[row] = {s["block"]: s for s in steady}
    variants = {row: _variant(slices, by_row["a"], row) for row, slices in by_row.items() if slices}
    for row in variants.keys() & {"c", "f"} if "b" in variants else ():
        variants[row]["ratio_b"] = _ratios(by_row[row], by_row["b"])
    lost = {"c": result["lost_of"].get(load["workload"], 0), **result["rivals_lost"]}
    for row, about in variants.items():
        about["lost"] = lost.get(row, 0)
    return {"load": load["name"], "workload": load["workload"], "mode": load["mode"], "share": load.get("share"),
            "rate": load.get("rate"), "left_out": left_out, "disturbed": disturbed,
            "variants": variants}


def _variant(ours, base, row):
    """ours, base: {block: slice}; a ratio is formed over the blocks that have both."""
    slices = list(ours.values())
    about = {"requests": sum(len(s["latency_us"]) for s in slices),
             "failed": sum(s["failed"] + s["dropped"] for s in slices), "blocks": len(slices),
             **{name: measure(slices) for name, measure in MEASURES.items()}}
    if row != "a":
        about["ratio"] = _ratios(ours, base)
    return about


def _ratios(ours, base):
    both = sorted(ours.keys() & base.keys())
    drawn = stats.draws([ours[n]["containers"] for n in both])
    return {name: stats.ratio([ours[n] for n in both], [base[n] for n in both], measure, drawn)
            for name, measure in MEASURES.items()}


def _latency(q):
    def of(slices):
        pooled = sorted(itertools.chain.from_iterable(s["latency_us"] for s in slices))  # quick: each is in order
        return stats.quantile(pooled, q) / 1000 if pooled else None
    return of


def _throughput(slices):
    seconds = sum(s["seconds"] for s in slices)
    return sum(len(s["latency_us"]) for s in slices) / seconds if seconds else None


def _per(slices, keys):
    # The processor time of a slice is that of its warming, too.
    requests = sum(len(s["latency_us"]) + s["warmed"] + s["failed"] for s in slices)
    return sum(s["cpu_us"][key] for s in slices for key in keys) / requests / 1000 if requests else None


MEASURES = {
    **{name: _latency(q) for name, q in QUANTILES.items()},
    "throughput": _throughput,
    "cpu_functions": lambda slices: _per(slices, ["functions"]),
    "cpu_recorder": lambda slices: _per(slices, ["agent", "aggregator", "rival"]),
    "cpu_agent": lambda slices: _per(slices, ["agent"]),
    "cpu_aggregator": lambda slices: _per(slices, ["aggregator"]),
}


def _per_request(result, workload):
    groups = [g for g in result["recording"]["groups"] if g["workload"] == workload]
    requests = sum(g["requests"] for g in groups)
    if not requests:
        return None
    slices = {load["name"] for load in result["loads"] if load["workload"] == workload}
    slices = [s for s in result["slices"] if s["row"] == "c" and s["load"] in slices]
    return {"requests": requests, "events": sum(g["agent"].get("stored", 0) for g in groups) / requests,
            "records": sum(g["agent"].get("records", 0) for g in groups) / requests,
            "wire_bytes": sum(g["wire"] for g in groups) / requests,
            "store_bytes": sum(g["store"] for g in groups) / requests, "lost": result["lost_of"].get(workload, 0),
            "cpu_agent": MEASURES["cpu_agent"](slices), "cpu_aggregator": MEASURES["cpu_aggregator"](slices)}


def _stored(taken):
    """[(callers, requests, bytes in the store, bytes on the wire)] of a request; what a start takes is told as of none."""
    if not taken or any(one["lost"] for one in taken):
        return []
    start = next(one for one in taken if not one["concurrency"])
    return [(one["concurrency"], one["requests"], *((one[key] - start[key]) / one["requests"] for key in ("store", "wire")))
            for one in taken if one["requests"]]


def _memory(result):
    """Of agent and aggregator, at most over all starts."""
    memory = [g["memory"] for g in result["recording"]["groups"] if g["memory"]]
    return {who: {key: max(m[who][key] for m in memory) for key in memory[0][who]} for who in memory[0]} if memory else None


def _cold(times):
    base, drawn = times["a"], stats.draws(range(len(times["a"])))

    def median(values):
        return stats.quantile(sorted(values), 0.5)

    return {row: {"median_ms": median(values) * 1000, "count": len(values),
                  "ratio": stats.ratio(values, base, median, drawn) if row != "a" else None}
            for row, values in times.items() if values}
