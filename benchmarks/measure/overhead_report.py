"""The table, the plots and REPORT.md of an overhead run."""
import os

from . import overhead_result, plot, workloads

ROWS = {
    "a": "a   vanilla watchdog, no recorder",
    "a2": "a2  the same again: the noise",
    "b": "b   marking watchdog, no recorder",
    "n": "n   containers of a, unrecorded, beside the recorder",
    "c": "c   containers of b, recorded: everything on",
    "f": "f   containers of b, the least by BPF: 160 bytes a call",
    "d": "d   strace -f and HTTP log, as ALASTOR",
    "e": "e   bpftrace, the same calls",
}
PUBLISHED = {"ALASTOR": 13.74, "ERINYES": 7.05}
AIM = 1.03


def percent(ratio, sign=1):
    """+3.1 % [+1.0, +5.2]; sign -1 turns a throughput into what was lost of it."""
    if not ratio:
        return "–"
    text = f"{(ratio['ratio'] - 1) * 100:+.1f} %"
    if ratio["low"] is not None:
        text += f" [{(ratio['low'] - 1) * 100:+.1f}, {(ratio['high'] - 1) * 100:+.1f}]"
    return text


def _cells(load, row):
    """load: one of result["rows"]; row: of a variant."""
    about = load["variants"][row]
    ratio = about.get("ratio", {})

    def against(name):
        return ("VOID" if about["lost"] else percent(ratio.get(name))) if ratio else ""

    variant = ROWS[row] + (" (processors taken away)" if row in load["disturbed"] else "")
    cells = [variant, str(about["requests"]), str(about["blocks"])]
    for name in ("p50", "p95", "p99"):
        cells += [f"{about[name]:.1f}" if about[name] is not None else "–", against(name)]
    cells += [f"{about['throughput']:.1f}", against("throughput"), f"{about['cpu_functions']:.2f}", against("cpu_functions"),
              f"{about['cpu_recorder']:.2f}", str(about["failed"]), str(about["lost"]) if row in ("c", "e", "f") else ""]
    return cells


HEAD = ["variant", "requests", "blocks", "p50 ms", "to a", "p95 ms", "to a", "p99 ms", "to a", "req/s", "to a",
        "CPU ms/req, functions", "to a", "recorder", "failed", "lost"]


def _lay_out(head, lines):
    widths = [max(len(line[i]) for line in [head, *lines]) for i in range(len(head))]
    return "\n".join("  ".join(cell.ljust(width) if i == 0 else cell.rjust(width)
                               for i, (cell, width) in enumerate(zip(line, widths))).rstrip() for line in [head, *lines])


def table(result):
    parts = []
    for row in result["rows"]:
        lines = [_cells(row, name) for name in row["variants"]]
        parts.append(f"{row['load']}\n{_lay_out(HEAD, lines)}")
    parts.append(_lay_out(PER_HEAD, _per_request(result)))
    parts.append("\n".join(_facts(result)))
    return "\n\n".join(parts)


PER_HEAD = ["of a request, recorded (c)", "requests", "records", "events stored", "bytes in the store", "bytes on the wire",
            "agent, CPU ms", "aggregator, CPU ms", "events lost"]


def _per_request(result):
    return [[name, str(per["requests"]), f"{per['records']:.0f}", f"{per['events']:.0f}", f"{per['store_bytes']:.0f}",
             f"{per['wire_bytes']:.0f}", *(f"{per[name]:.2f}" if per[name] is not None else "–"
                                           for name in ("cpu_agent", "cpu_aggregator")), str(per["lost"])]
            for name, per in result["per_request"].items() if per]


def _facts(result):
    facts = [f"events lost: {result['lost']}" + ("  (must be 0: the rows of that workload are void)" if result["lost"] else ""),
             f"invocations marked: {result['begun']}"]
    if result["memory"]:
        agent, aggregator = result["memory"]["agent-node1"], result["memory"]["aggregator"]
        facts += [
            f"agent: {agent['rss_kib'] / 1024:.1f} MiB resident, {agent['peak_kib'] / 1024:.1f} at most, "
            f"{agent['maps_kib'] / 1024:.1f} in BPF maps; aggregator: {aggregator['rss_kib'] / 1024:.1f} MiB, "
            f"{aggregator['peak_kib'] / 1024:.1f} at most"]
    if result["rivals_lost"].get("e") is not None:
        facts.append(f"bpftrace lost: {result['rivals_lost']['e']} events, as it says itself")
    memory = result["memory_kib"]
    facts.append("memory per container (MiB, with what records it alone): " + ", ".join(
        f"{name} {kib / 1024:.1f}" for name, kib in memory.items()))
    cold = result["cold_start"]
    if cold:
        facts.append("cold start (median ms): " + ", ".join(
            f"{row} {c['median_ms']:.0f}" + (f" ({percent(c['ratio'])})" if c["ratio"] else "") for row, c in cold.items()))
    if result["foreign"]:
        facts.append(f"NOT ALONE: up to {result['foreign']} recorders of others hooked this kernel's system calls during the run")
    facts += [f"not measured: {name}: {why}" for name, why in result["not_measured"].items()]
    return facts


# --- plots ------------------------------------------------------------------------

def plots(result):
    """{file name: SVG}"""
    made = {}
    for name, title in (("p50", "Median latency against (a)"), ("p99", "99th percentile of latency against (a)"),
                        ("cpu_functions", "Processor time of the functions per request against (a)")):
        groups = []
        for row in result["rows"]:
            rows = [(ROWS[v], *[(r[k] - 1) * 100 if r[k] is not None else None for k in ("ratio", "low", "high")])
                    for v, about in row["variants"].items() if v != "a" and (r := about["ratio"][name])]
            groups.append((row["load"], rows))
        made[f"{name}.svg"] = plot.intervals(title, groups, limit=120)
    closed = next((row for row in result["rows"] if row["mode"] == "closed" and " 5 at a time" in row["load"]), None)
    if closed:
        series = [(ROWS[v], sorted(value / 1000 for s in result["slices"] if s["row"] == v and s["load"] == closed["load"]
                                   for value in s["latency_us"])) for v in closed["variants"]]
        made["latency.svg"] = plot.distribution(f"Latency of a request, {closed['load']}", series)
    opened = sorted((row for row in result["rows"] if row["mode"] == "open"), key=lambda row: row["rate"])
    if opened:
        made["saturation.svg"] = plot.curves(
            f"{opened[0]['workload']}: latency by the rate at which requests are due (p50, and p99 dashed)", "per second", "ms",
            [(ROWS[v], name == "p99", [(row["rate"], row["variants"][v][name]) for row in opened if v in row["variants"]])
             for v in ("a", "b", "c") for name in ("p50", "p99")])
    return made


# --- REPORT.md ----------------------------------------------------------------------

def write(result, home):
    os.makedirs(os.path.join(home, "plots"), exist_ok=True)
    for name, svg in plots(result).items():
        with open(os.path.join(home, "plots", name), "w") as file:
            file.write(svg)
    with open(os.path.join(home, "REPORT.md"), "w") as file:
        file.write(report(result))


def _markdown(head, lines):
    return "\n".join(["| " + " | ".join(line) + " |" for line in [head, ["---"] * len(head), *lines]])


def report(result):
    about = result["machine"]
    parts = [f"""# What recording costs

Generated by `benchmarks/overhead --report` from the measurements of one run; do not edit.

**Machine** {about['cpu']}, {about['cpus']} processors, {about['memory_mib']} MiB{', virtual' if about['virtual'] else ''};
{about['system']}, kernel {about['kernel']}. **Date** {about['date']}, commit {about['commit']}.
**Run** {result['blocks']} blocks of slices of {result['options']['seconds']:g} s, {result['generations']} generations of containers,
{result['seconds'] / 60:.0f} minutes; a vanilla watchdog's functions, asked by sixteen, answer {_capacity(result)}.

{_quiet(result)}

## In short

{_short(result)}

## Latency, throughput, processor time

Ratios are to variant a within blocks, with 95 % intervals (bootstrap over containers with all their blocks, the wider the fewer there are). Load of a closed loop is sent by so many
callers, each of which waits for its answer; in an open loop requests are due at fixed times and latency counts from then.
Processor time is in milliseconds per request: that of the functions' containers, and that of what records beside them (agent
and aggregator; fp-floor; strace and the proxy; bpftrace). A row in which events were lost is void. Closed loops of purchases on rows a, a2,
b and c are measured in every block, all else in one or two of {workloads.EVERY}, and d and e with the first containers only: `blocks` says in how many.
"""]
    for row in result["rows"]:
        lines = [_cells(row, name) for name in row["variants"]]
        parts.append(f"### {row['load'].capitalize()}\n\n{_markdown(HEAD, lines)}\n")
    parts.append("![median](plots/p50.svg)\n![p99](plots/p99.svg)\n![processor time](plots/cpu_functions.svg)\n"
                 "![latency](plots/latency.svg)\n" +
                 ("![saturation](plots/saturation.svg)\n" if any(row["mode"] == "open" for row in result["rows"]) else ""))
    parts.append(f"## Memory, bytes, losses, cold start\n\n{_markdown(PER_HEAD, _per_request(result))}\n\n" + "\n".join(f"- {fact}" for fact in _facts(result)) + "\n")
    parts.append(_method(result))
    return "\n".join(parts)


def _capacity(result):
    return ", ".join(f"{rate:.0f} of `{name}`" for name, rate in result["capacity"].items()) + " a second"


def _quiet(result):
    noise = [f"{row['load']}: {percent(row['variants']['a2']['ratio']['p50'])}" for row in result["rows"] if "a2" in row["variants"]]
    alone = ("No other recorder was active on this kernel." if not result["foreign"] else
             f"**Others recorded on the same kernel during the run** (up to {result['foreign']} hooks on the exit of system "
             "calls): variants without our recorder were slowed by them, so the ratios are too small by that.")
    stolen = (f"In {result['repeated']} slices the hypervisor took more than {overhead_result.STOLEN_MAX:.0%} of the processors; "
              f"they were repeated, and {result['left_out']} of {len(result['slices'])} left out in the end, each with those of the "
              "same block that it would have been compared with. "
              if result["repeated"] else "")
    few = "" if result["generations"] >= 4 else f"Of {2 * result['generations']} sets of containers no interval says much. "
    return (f"{alone} Other work ran on the same processors: how much that disturbs is seen in row a2, which is variant a "
            f"once more; differences as large as that mean nothing. {stolen}{few}Its p50 against a: {'; '.join(noise)}.")


def _short(result):
    lines = []
    for row in result["rows"]:
        c = row["variants"].get("c")
        if not c:
            continue
        ratio = c["ratio"]
        to_b = [percent(row["variants"].get(name, {}).get("ratio_b", {}).get("p50")) for name in ("c", "f")]
        lines.append([row["load"], *to_b, percent(ratio["p50"]), percent(ratio["p99"]), percent(ratio["throughput"]),
                      "void" if c["lost"] else _verdict(ratio, row)])
    compare = _markdown(["load", "c to b: p50", "f to b: p50", "c: p50", "c: p99", "c: throughput", "aim (at most +3 %)"], lines)
    return f"""{compare}

"c to b" is the same containers with the recorder and without, "f to b" the same with the least that a recorder by BPF can do; the others are to a, the vanilla watchdog.

{_sizes(result)}

Published for the same application: ALASTOR +{PUBLISHED['ALASTOR']} %, ERINYES +{PUBLISHED['ERINYES']} % run time. **Comparable** are
the workload's shape (the purchase workflow of Hello, Retail! on OpenFaaS's watchdog in `http` mode) and the question (how much
longer a request takes when everything is recorded). **Not comparable** are the machines, the gateway (nginx here), the
application (our own implementation, on one machine with its database, so that a request is short and a fixed cost weighs
more), the container runtime, and what is recorded. Row d is ALASTOR's way of recording on this machine, which is the fairer
comparison: but its proxy here is a small compiled one at the entrance only, not mitmproxy in both directions, and strace
follows the function, not the watchdog; both make row d too cheap."""


def _sizes(result):
    """The aims that are not times."""
    aims = []
    for callers, requests, store, wire in result["stored"]:
        aims.append((f"bytes stored for a purchase, {callers} at a time, of {requests}", f"{store:.0f} ({wire:.0f} on the wire)",
                     "under 1024", store < 1024))
    if result["memory"]:
        peak = result["memory"]["agent-node1"]["peak_kib"] / 1024
        aims.append(("agent, resident at most", f"{peak:.1f} MiB", "at most 64 MiB", peak <= 64))
    return _markdown(["", "measured", "aim", ""], [[name, value, aim, "met" if met else "not met"] for name, value, aim, met in aims])


def _verdict(ratio, row):
    """Only what the intervals prove is called met or not met, and nothing where variant a misses the aim against itself."""
    if set(row["disturbed"]) & {"a", "a2", "c"}:
        return "undecided: processors taken away"
    if "a2" not in row["variants"] or _against_aim(row["variants"]["a2"]["ratio"]) == "not met":
        return "undecided: too noisy"
    return _against_aim(ratio)


def _against_aim(ratio):
    if any(ratio[name] is None for name in ("p50", "p99", "throughput")):
        return "undecided: no two to compare"
    # What was lost of throughput counts as what was added to latency.
    costs = [(ratio[name]["low"], ratio[name]["high"]) for name in ("p50", "p99")]
    costs.append((2 - (ratio["throughput"]["high"] or 0), 2 - (ratio["throughput"]["low"] or 0)))
    if any(low is None for low, _ in costs):
        return "undecided: too few blocks"
    if any(low > AIM for low, _ in costs):
        return "not met"
    return "met" if all(high <= AIM for _, high in costs) else "undecided"


def _uninterrupted(result):
    if not result["stored"]:
        return ""
    return f""" Slices begin when what was there before
the agent is recorded; the table above counts that among the bytes of their requests, "In short" does not: that is of loops of {result['options']['uninterrupted']:g} s
each, recorded without interruption, less what a recording of nothing takes."""


def _method(result):
    calls = ", ".join(f"`{name}`" for name in result["alastor_calls"])
    return f"""## How it is measured

Two labs with vanilla watchdogs and two with marking ones are up at the same time, and one for each of d and e, each with its own containers, gateway
and database, on one node. Containers of one function differ for as long as they live, by about 4 % of processor time from lab to
lab here: so the two labs of a kind change their parts from block to block (a and a2; b's, c's and f's containers are always the same, and so are n's and
a's), and all four are started anew for each generation. In each block, for each workload and mode (closed, open), for each load, every variant gets one slice, in random order; before each slice the same load runs for
{result['options']['warm']:g} s unmeasured. The agent's hook is at the exit of *every* system call of the machine, so agent and
aggregator run during the slices of rows c and n only (and the floor during those of f), and start anew for them: otherwise variant a would pay, too.{_uninterrupted(result)} Row n is
what a container pays that nobody records, on a node where the agent runs. Lost records are what the agent counts, over the
whole run. The load generator, the gateway and the database run on the same processors as the functions.

Workloads: `purchase` is product-purchase with get-price, authorize-cc (a shell and two programs, one query) and publish;
`catalog-api` one query; `catalog-builder` three statements; `photos` an order (assign, message by SMTP, record) and then its
delivery (receive, with a download, a shell script and a query; success; report), both through the gateway.

Row d: `strace -f -ff -ttt -s 128` on each function's process with the system calls that ALASTOR logs ({calls}; and
`openat`, `clone3` and `vfork`, by which programs of today do the same), names as in ALASTOR's published raw logs and templates; and a proxy in front of each watchdog
that logs heads and bodies. The watchdog of variant a is `of-watchdog` of this project (docs/watchdog.md), not upstream's.

Row f: of each call that reads, writes, sends, receives, opens, connects, maps or makes a process and succeeds in those containers one record of 160 bytes in a ring, with the time, who, which call and what
came of it; a program reads them ten times a second and throws them away (benchmarks/floor). What that costs is the kernel's, and no recorder by BPF can do without.

Row e: `bpftrace` with a probe at the entry and at the exit of each of the same calls, filtered by the containers' cgroups, a
line of text for each; it runs during its own slices only. It records no requests, no reads and writes, and no descriptors' names.
"""
