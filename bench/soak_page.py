"""The page that `make soak` writes: what was measured, on what, beside whom, and how to repeat it.

It is made of the raw figures alone, so that measurements taken one by one still make one page.
"""

from __future__ import annotations

from collections.abc import Iterable
from math import inf
from typing import Any

from bench.besieged import MISSING_NODE, OURS, PEERS
from bench.figures import Fared, in_words


def page(circumstances: dict[str, Any], measured: dict[str, Any]) -> str:
    """Return the page as Markdown.

    Args:
        circumstances: what `bench.figures.machine` tells, and the `scale`.
        measured: each measurement by its name: `at`, `seconds` and its `figures`.

    """
    figures = [figure for one in measured.values() for figure in one["figures"]]
    days = sorted({one["at"][:10] for one in measured.values()})
    versions = ", ".join(f"{name} {told}" for name, told in circumstances["versions"].items())
    parts = [
        "# What the service holds out against",
        f"Measured by `make soak` on {' and '.join(days)}, all on the loopback of one machine:"
        f" {circumstances['machine']}; Python {circumstances['python']}, {versions}."
        + _scale_note(circumstances["scale"]),
        _table(
            ["what", "measured", "goal", "reached"],
            (
                [one["name"], one["measured"], one["goal"], "yes" if one["reached"] else "**no**"]
                for one in figures
            ),
        ),
        *_beside([figure for figure in figures if figure["beside"]]),
        "## How to repeat it",
        "`make soak` measures all of it and writes `soak.md`. To measure one, onto the same page:"
        " `.venv/bin/python -m bench.soak NAME`. How long they took here:",
        _table(
            ["NAME", "seconds"],
            ([f"`{name}`", str(one["seconds"])] for name, one in measured.items()),
        ),
    ]
    return "\n\n".join(parts) + "\n"


def _scale_note(scale: float) -> str:
    return "" if scale == 1 else f" Everything at {scale:g} of its size."


def _beside(figures: list[dict[str, Any]]) -> Iterable[str]:
    if not figures:
        return
    there = [name for name in (OURS, *PEERS) if name in figures[0]["beside"]]
    yield "## Beside others"
    yield (
        "The same hostile connections, held at one process each: PetSage; `node:http`, which"
        " responds the same on the same routes with the timeouts that node has by default; and"
        " gunicorn's own workers, which run the very app that PetSage's worker runs. Each cell"
        " has the share of probes that got a response within 10 s, each on a new connection, and"
        " the 99th percentile of the time to those responses. **Bold** is the best of its row."
    )
    yield _table(
        ["held", *there],
        (
            [figure["name"].removesuffix(", one worker"), *_cells(figure["beside"], there)]
            for figure in figures
        ),
    )
    better = [
        figure["name"].removesuffix(", one worker")
        for figure in figures
        if "node" in there and _rank(figure["beside"]["node"]) < _rank(figure["beside"][OURS])
    ]
    if "node" not in there:
        yield MISSING_NODE
    elif better:
        yield f"node does better than PetSage with {', '.join(better)}."
    else:
        yield "node does better than PetSage with none of them."


def _cells(beside: dict[str, Fared], names: list[str]) -> Iterable[str]:
    best = min(_rank(fared) for fared in beside.values())
    for name in names:
        words = in_words(beside[name])
        yield f"**{words}**" if _rank(beside[name]) == best else words


def _rank(fared: Fared) -> tuple[float, float]:
    # As it is told: what reads the same is the same.
    p99 = fared["p99"]
    return -round(fared["share"] or 0, 2), inf if p99 is None else round(p99, 4)


def _table(head: list[str], rows: Iterable[list[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
