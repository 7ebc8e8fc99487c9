"""What is asked of Hello, Retail!, and how much of it at a time."""
import itertools
import json

CUSTOMERS = (("1001", "alice", {}), ("1002", "bob", {"creditCard": "4012888888881881"}), ("1003", "carol", {}),
             ("1004", "dave", {}), ("1005", "erin", {"creditCard": "4012888888881881"}), ("1001", "frank", {}))
PHOTOGRAPHERS = ("ines", "juri", "kim")


def _call(path, body=None):
    return {"path": f"/function/{path}", **({} if body is None else {"body": body})}


def _product(number):
    return {"schema": "hello-retail/product-create/1", "origin": "benchmark", "timeOrigin": "2026-01-01T00:00:00Z",
            "data": {"id": str(2000 + number), "brand": "Ostra", "name": f"Bag {number}", "description": "Canvas",
                     "category": ("bags", "shoes", "shirts")[number % 3], "price": 20 + number}}


# name: the requests, which are made in turn; each is some calls, one after the other, and has one latency
WORKLOADS = {
    "purchase": [[_call("product-purchase", {"id": product, "user": user, **card})] for product, user, card in CUSTOMERS],
    "catalog-api": [[_call("product-catalog-api/products", {"category": "shoes"})], [_call("product-catalog-api/categories")],
                    [_call("product-catalog-api/products", {"category": "shirts"})]],
    "catalog-builder": [[_call("product-catalog-builder", _product(n))] for n in range(12)],
    # An order and its delivery, which takes three times as long: a median of both would be between the two.  Each has a picture
    # of its own: two deliveries of one picture at the same time write the same file, and one may be refused.
    "photos": [[_call("product-photos/request", {"id": str(1001 + n), "name": f"product {n}"}),
                _call("product-photos/photos", {"id": str(1001 + n), "photographer": PHOTOGRAPHERS[n % 3],
                                                "url": f"http://198.18.0.26/{1001 + n}.png"})] for n in range(5)],
}
MAIN = "purchase"  # what the published figures are about; measured most thoroughly

# What the aims are about, closed loops of MAIN on these rows, is measured in every block.  The rest is measured in one of five,
# another part in each, on the one pair of labs the first time and on the other the second.  Rivals are measured with the first
# containers only: what is far from the others shows so in few blocks, and time is what intervals are made of.
ALWAYS = ("a", "a2", "b", "c")
EVERY = 5
SELDOM = {"n": (0, 3), "f": (0, 2), "d": (1,), "e": (3,)}  # in which blocks of five: rows of the loads that are in every block
RIVALS = ("d", "e")


def requests(options):
    """{name: requests} of the run: the chosen workloads, or the one function that was named instead."""
    if options.function:
        bodies = [json.loads(body) for body in options.body or []] or [None]
        return {options.function: [[_call(options.function, body)] for body in bodies]}
    return {name: WORKLOADS[name] for name in options.workloads}


def loads(options, capacity):
    """capacity: {workload: requests per second that a vanilla watchdog's functions answer}"""
    made, turns = [], itertools.cycle(range(EVERY))
    for name in capacity:
        main = name == MAIN or len(capacity) == 1
        turn = None if main else next(turns)
        for n in options.concurrency if main else options.others:
            rows = ALWAYS + (("n", "f", "d", "e") if main else ("d",))
            made.append({"name": f"{name}, closed, {n} at a time", "workload": name, "mode": "closed", "concurrency": n,
                         "rows": rows, "turn": turn})
        turn = next(turns) if main and options.rates else None
        for share in options.rates if main else ():
            made.append({"name": f"{name}, open, {share:g} % of capacity", "workload": name, "mode": "open",
                         "share": share, "rate": round(capacity[name] * share / 100, 2), "rows": ALWAYS,
                         "turn": turn})
    return made


def chunks(loads_):
    """Loads that share one start of the recorders: those of one workload and mode."""
    found = {}
    for load in loads_:
        found.setdefault((load["workload"], load["mode"]), []).append(load)
    return list(found.values())


def rows(load, block, blocks, first=True):
    """Which variants that load is measured on in that block: none, where it is another's turn.

    first: of the first generation of containers, the only one that the rivals have.
    """
    known = [row for row in load["rows"] if first or row not in RIVALS]
    if blocks < EVERY:
        return known
    if load["turn"] is not None:
        return known if block % EVERY == load["turn"] else []
    return [row for row in known if row not in SELDOM or block % EVERY in SELDOM[row]]
