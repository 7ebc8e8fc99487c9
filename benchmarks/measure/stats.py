"""Ratios with their uncertainty.

Measurements come in blocks: within one block every variant has been measured
under nearly the same conditions.  A bootstrap draws whole blocks, so that what
disturbed both sides of a ratio stays on both sides of it.
"""
import random

DRAWS = 1000


def quantile(ordered, q):
    """Of a sorted list; between two values, in proportion."""
    if not ordered:
        return None
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def interval(values):
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    return [quantile(ordered, 0.025), quantile(ordered, 0.975)]


def draws(count, number=DRAWS, seed=1):
    """`number` times `count` indices, drawn with replacement; the same for all variants, so that pairs stay pairs."""
    source = random.Random(seed)
    return [[source.randrange(count) for _ in range(count)] for _ in range(number)]


def ratio(ours, theirs, measure, drawn):
    """measure(blocks) of ours over that of theirs: {"ratio", "low", "high"}, or None when there is nothing to divide.

    ours, theirs: one entry per block, in the same order.
    """
    def of(indices):
        above = measure([ours[i] for i in indices])
        below = measure([theirs[i] for i in indices])
        return above / below if above is not None and below else None

    point = of(range(len(ours)))
    if point is None:
        return None
    both = interval(of(indices) for indices in drawn) if len(ours) > 1 else None
    return {"ratio": point, "low": both[0] if both else None, "high": both[1] if both else None}


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None
