"""How well the release proof holds: many random fleets at each share of old responses.

`python -m bench.release_proof [FLEETS]` prints, for each share, how many fleets pass and how many
pass with a claim that is false. The bound promises that the last column stays at or below 5 %.
"""

from __future__ import annotations

import random
import sys

from bench.detection import NEW, OLD
from petsage.client.verdict import Streak

CONSECUTIVE = 20
PINGS = 3_000


def claim(draw: random.Random, old_share: float) -> tuple[int, float] | None:
    """Return the pings that it took and the share claimed, or None where the fleet did not pass."""
    streak = Streak("v43", CONSECUTIVE)
    for sent in range(1, PINGS + 1):
        streak.add(OLD if draw.random() < old_share else NEW)
        if (share := streak.excluded_share) is not None:
            return sent, share
    return None


def main(fleets: int) -> None:
    """Print the table."""
    draw = random.Random(20)
    print(f"{'old':>5} {'passed':>8} {'pings, mean':>12} {'falsely claimed':>16}")
    for percent in range(1, 51):
        claims = [claim(draw, percent / 100) for _ in range(fleets)]
        passed = [one for one in claims if one]
        false = sum(share <= percent / 100 for _, share in passed)
        pings = sum(sent for sent, _ in passed) / max(1, len(passed))
        print(f"{percent:>4}% {len(passed) / fleets:>8.2%} {pings:>12.0f} {false / fleets:>16.2%}")


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 2_000)
