"""From slices of load to ratios with intervals."""
from . import machine, stats

QUANTILES = {"p50": 0.5, "p95": 0.95, "p99": 0.99}


def assemble(run, loads, blocks, more):
    """One JSON document of all that was measured."""
    return {"benchmark": "overhead", "version": 1, "machine": machine.describe(), "loads": loads, "blocks": blocks,
            "slices": run.slices, "recording": run.recorded, **more}


def evaluate(result):
    """Adds rows, losses and ratios to what was measured."""
    said = [group["agent"] for group in result["recording"]["groups"]]
    result["lost"] = sum(one.get("lost", 0) + one.get("invalid", 0) for one in said)
    result["stored_events"] = sum(one.get("stored", 0) for one in said)
    result["begun"] = sum(one.get("begun", 0) for one in said)
    result["foreign"] = max((s["foreign_recorders"] or 0 for s in result["slices"]), default=0)
    result["rows"] = [evaluate_load(result, load["name"]) for load in result["loads"]]
    result["per_request"] = _per_request(result)
    result["cold_start"] = _cold(result["cold"])


def evaluate_load(result, load):
    slices = [s for s in result["slices"] if s["load"] == load]
    rows = sorted({s["row"] for s in slices}, key="a a2 b n c d".split().index)
    by_row = {row: sorted((s for s in slices if s["row"] == row), key=lambda s: s["block"]) for row in rows}
    drawn = stats.draws(len(by_row["a"]))
    return {"load": load, "variants": {row: _variant(by_row[row], by_row["a"], row, drawn) for row in rows}}


def _variant(ours, base, row, drawn):
    found = {name: measure(ours) for name, measure in MEASURES.items()}
    about = {"requests": sum(len(s["latency_us"]) for s in ours), "failed": sum(s["failed"] + s["dropped"] for s in ours),
             **found}
    if row != "a":
        about["ratio"] = {name: stats.ratio(ours, base, measure, drawn) for name, measure in MEASURES.items()}
    return about


def _latency(q):
    def of(slices):
        pooled = sorted(value for s in slices for value in s["latency_us"])
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
    "cpu_all": lambda slices: _per(slices, ["functions", "agent", "aggregator", "strace and proxy",
                                            "gateway and database"]),
    "cpu_recorder": lambda slices: _per(slices, ["agent", "aggregator", "strace and proxy"]),
    "cpu_agent": lambda slices: _per(slices, ["agent"]),
    "cpu_aggregator": lambda slices: _per(slices, ["aggregator"]),
}


def _per_request(result):
    groups = [g for g in result["recording"]["groups"] if g["requests"]]
    requests = sum(g["requests"] for g in groups)
    if not requests:
        return None
    memory = [g["memory"] for g in groups if g["memory"]]
    return {"requests": requests, "events": sum(g["agent"].get("stored", 0) for g in groups) / requests,
            "records": sum(g["agent"].get("records", 0) for g in groups) / requests,
            "wire_bytes": sum(g["wire"] for g in groups) / requests, "store_bytes": result["store_bytes"] / requests,
            "memory": {who: {key: max(m[who][key] for m in memory) for key in memory[0][who]} for who in memory[0]}}


def _cold(times):
    base, drawn = times["a"], stats.draws(len(times["a"])) if times["a"] else []

    def median(values):
        return stats.quantile(sorted(values), 0.5)

    return {row: {"median_ms": median(values) * 1000, "count": len(values),
                  "ratio": stats.ratio(values, base, median, drawn) if row != "a" else None}
            for row, values in times.items() if values}
