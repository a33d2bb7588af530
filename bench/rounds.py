"""Side by side: the same measurement of each contender in turns, and how they compare."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import TypeVar

Key = TypeVar("Key")
Result = TypeVar("Result")


def in_turns(rounds: int, measures: Mapping[Key, Callable[[], Result]]) -> dict[Key, list[Result]]:
    """Take each measurement once a round; each round begins with another one."""
    results: dict[Key, list[Result]] = {name: [] for name in measures}
    names = list(measures)
    for number in range(rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            results[name].append(measures[name]())
    return results


def ratio(ours: Sequence[float], theirs: Sequence[float]) -> float:
    """Return the median of the ratios of each round: what disturbs a round disturbs both."""
    return median(mine / other for mine, other in zip(ours, theirs, strict=True))
