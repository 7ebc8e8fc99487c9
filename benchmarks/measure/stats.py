"""Ratios with their uncertainty.

Measurements come in blocks: within one block every variant has been measured
under nearly the same conditions.  Blocks are of some containers, and those of
the same containers agree with each other more than with others.  A bootstrap
draws containers, with all their blocks, so that what disturbed both sides of a
ratio stays on both sides of it, and what chance made of some containers shows.
"""
import random
from statistics import NormalDist

DRAWS = 1000
FEWEST = 3  # that can be drawn; of fewer, drawing says nothing
# Student's t, 97.5 %, for 1, 2, ... degrees of freedom; from the last one on the difference is below 4 %.
STUDENT = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160, 2.145, 2.131, 2.120, 2.110,
           2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056, 2.052, 2.048, 2.045, 2.042)


def quantile(ordered, q):
    """Of a sorted list; between two values, in proportion."""
    if not ordered:
        return None
    place = q * (len(ordered) - 1)
    low = int(place)
    high = min(low + 1, len(ordered) - 1)
    return ordered[low] + (ordered[high] - ordered[low]) * (place - low)


def tail(count):
    """Which quantiles of the draws of `count` are the ends of a 95 % interval.

    The plain 0.025 and 0.975 are too narrow for few: a draw scatters like a sample of one less, and
    it knows nothing of the uncertainty of the scatter itself.  Both are made good as for a mean of that many.
    """
    student = STUDENT[min(count - 1, len(STUDENT)) - 1] if count > 1 else STUDENT[0]
    return NormalDist().cdf(-student * (count / max(count - 1, 1)) ** 0.5)


def interval(values, count):
    """Of what a bootstrap over `count` drew."""
    ordered = sorted(value for value in values if value is not None)
    if not ordered:
        return None
    return [quantile(ordered, tail(count)), quantile(ordered, 1 - tail(count))]


class Draws(list):
    """Lists of indices of blocks; `count` is of how many containers each was drawn."""
    count = 0


def draws(containers, number=DRAWS, seed=1):
    """containers: those of each block.  Drawn with replacement, and the same for all variants: pairs stay pairs."""
    source, blocks = random.Random(seed), {}
    for index, one in enumerate(containers):
        blocks.setdefault(one, []).append(index)
    groups = list(blocks.values())
    drawn = Draws([index for _ in groups for index in source.choice(groups)] for _ in range(number) if groups)
    drawn.count = len(groups)
    return drawn


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
    both = interval((of(indices) for indices in drawn), drawn.count) if drawn.count >= FEWEST else None
    return {"ratio": point, "low": both[0] if both else None, "high": both[1] if both else None}


def mean(values):
    values = list(values)
    return sum(values) / len(values) if values else None
