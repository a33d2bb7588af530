"""What a streak of responses detects of a fleet with stale instances, by simulated balancers.

`python -m bench.detection [RUNS]` prints the tables of docs/detection.md. The responses go through
the very rule of `petsage smoke-test --expect-release`; the balancer and the fleet are made up.
"""

from __future__ import annotations

import random
import statistics
import sys
from collections.abc import Callable

from petsage.client.result import Outcome, PingResult
from petsage.client.verdict import Streak, excluded_share

FLEETS = ((10, 1), (10, 5), (100, 1), (100, 10), (1_000, 1), (1_000, 100), (10_000, 1))
STREAKS = (20, 300)
# As many pings as a smoke test sends within its --wait of 60 s, some 12 ms each.
MOST_PINGS = 5_000
# Which instance answers the next ping; the first `stale` of them are stale.
Pick = Callable[[], int]


def response(release: str, instance: int = 0) -> PingResult:
    return PingResult(
        request_id="",
        due_at=0.0,
        latency_s=0.0,
        outcome=Outcome.MISMATCH if release == "v42" else Outcome.CORRECT,
        release=release,
        instance=str(instance),
        worker=str(instance),
    )


OLD, NEW = response("v42"), response("v43")


def at_random(draw: random.Random, instances: int, _stale: int) -> Pick:
    return lambda: int(draw.random() * instances)


def round_robin(draw: random.Random, instances: int, _stale: int) -> Pick:
    """Take one after the other, without requests by others in between."""
    turn = draw.randrange(instances)

    def pick() -> int:
        nonlocal turn
        turn = (turn + 1) % instances
        return turn

    return pick


def least_connections(draw: random.Random, instances: int, stale: int) -> Pick:
    """Take one of those without a request; half are, but of the stale ones, slow, only a tenth."""

    def pick() -> int:
        while True:
            one = int(draw.random() * instances)
            if draw.random() < (0.1 if one < stale else 0.5):
                return one

    return pick


def sticky(draw: random.Random, instances: int, _stale: int) -> Pick:
    """Take always the same for the same caller."""
    always = draw.randrange(instances)
    return lambda: always


BALANCERS = {
    "random": at_random,
    "round robin": round_robin,
    "least connections": least_connections,
    "sticky": sticky,
}


def passes(pick: Pick, stale: int, consecutive: int) -> bool:
    """Return whether the streak is complete in time, although some instances are stale."""
    streak = Streak("v43", consecutive)
    for _ in range(MOST_PINGS):
        streak.add(OLD if pick() < stale else NEW)
        if streak.complete():
            return True
    return False


def first_stale(pick: Pick, stale: int) -> int:
    """Return the number of the first ping with a stale response, or more than there are."""
    return next((ping for ping in range(1, MOST_PINGS + 1) if pick() < stale), MOST_PINGS + 1)


def missed(runs: int) -> None:
    """Print how often a stale fleet passes, and how soon a stale response comes."""
    print("| balancer | instances | stale | missed, 20 | missed, 300 | first stale response |")
    print("|---|---|---|---|---|---|")
    for name, balancer in BALANCERS.items():
        for instances, stale in FLEETS:
            draw = random.Random(f"{name} {instances} {stale}")
            shares = [
                sum(passes(balancer(draw, instances, stale), stale, length) for _ in range(runs))
                for length in STREAKS
            ]
            pings = statistics.median(
                first_stale(balancer(draw, instances, stale), stale) for _ in range(runs)
            )
            soon = f"after {pings:,.0f}" if pings <= MOST_PINGS else f"not in {MOST_PINGS:,}"
            cells = [name, f"{instances:,}", str(stale)]
            cells += [f"{share / runs:.0%}" for share in shares]
            print(f"| {' | '.join([*cells, soon])} |")


def all_instances(runs: int) -> None:
    """Print how many pings a healthy fleet needs until every instance is in the streak."""
    print("| instances | random | round robin | sticky |")
    print("|---|---|---|---|")
    for instances in (10, 100, 1_000, 10_000):
        counts = []
        for balancer in (at_random, round_robin):
            draw = random.Random(instances)
            sent = []
            for _ in range(max(3, runs // 20)):
                pick = balancer(draw, instances, 0)
                streak = Streak("v43", 20, instances)
                pings = 0
                while not streak.complete():
                    streak.add(response("v43", pick()))
                    pings += 1
                sent.append(pings)
            counts.append(f"{statistics.median(sent):,.0f}")
        print(f"| {instances:,} | {' | '.join(counts)} | never |")


def bounds() -> None:
    """Print what a streak without an interruption excludes."""
    print("| `--consecutive` | at 95 %, fewer stale responses than |")
    print("|---|---|")
    for consecutive in (3, 20, 60, 100, 300):
        print(f"| {consecutive} | {excluded_share(consecutive, 0):.0%} |")


def main(runs: int) -> None:
    for table in (bounds, lambda: missed(runs), lambda: all_instances(runs)):
        table()
        print()


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 200)
