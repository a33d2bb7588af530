"""Says on stderr how far a rollout is: who answers, as a bar, and what has failed."""

from __future__ import annotations

from collections import Counter, deque
from typing import TextIO

from petsage.client.fact import Fact
from petsage.client.findings import row_phrase
from petsage.client.outcome import RolloutOutcome
from petsage.client.progress import Speaker

# The bar is of the answers of the last seconds: those of the whole run would hide the switch.
_RECENT_SECONDS = 5
_BAR = 20
_PLAIN_SECONDS = 5.0


class RolloutProgress(Speaker):
    """Call it after each ping; `clear` before anything else is written."""

    def __init__(
        self,
        stream: TextIO | None,
        *,
        live: bool,
        rate: float,
        deadline: float = 900.0,
        after_command: float | None = None,
    ) -> None:
        super().__init__(stream, live=live, plain_every_s=_PLAIN_SECONDS)
        self._watches_on = (
            f"until {deadline:g} s (bound it with --after-command)"
            if after_command is None
            else f"for up to {after_command:g} s"
        )
        self._recent: deque[str] = deque(maxlen=max(_BAR, round(rate * _RECENT_SECONDS)))
        self._told_exit = False

    def __call__(self, outcome: RolloutOutcome, fact: Fact | None) -> None:
        """Say how the rollout goes, unless it has just been said. `fact` is the latest one."""
        if fact is not None and fact.failure is None:
            self._recent.append(outcome.tally.release_of(fact))
        deploy = outcome.deploy
        if deploy and deploy.exit_code and not self._told_exit:
            how = f"failed with exit code {deploy.exit_code}"
            if deploy.fault:
                how = f"could not be started ({deploy.fault})"
            self._told_exit = self.say_above(
                f"petsage: {deploy.argv[0]!r} {how}; watching on"
                f" for {outcome.expected} {self._watches_on}. Ctrl-C ends it with a report.\n",
                wait=False,
            )
        if self.is_time():
            self.say(self._line(outcome))

    def _line(self, outcome: RolloutOutcome) -> str:
        tally, row, elapsed = outcome.tally, outcome.row, self.elapsed_s
        parts = [
            f"{elapsed:.0f} s",
            f"{(tally.sent + outcome.in_flight) / max(elapsed, 0.001):.1f}/s",
        ]
        if self._recent:
            parts.append(self._shares(outcome))
        failed = sum(tally.failed.values())
        parts.append(f"{failed} failed of {tally.sent}")
        if tally.last_failure and tally.last_failure.failure:
            status = tally.last_failure.status
            told = f" ({status})" if status not in (None, 200) else ""
            parts.append(f"last: {tally.last_failure.failure.value}{told}")
        if outcome.in_flight > 1:
            parts.append(f"{outcome.in_flight} under way")
        deploy = outcome.deploy
        if deploy and row.waiting and deploy.exit_code == 0:
            parts.append(
                f"the command has ended; waiting for {outcome.expected} {self._watches_on}"
            )
        elif row.waiting:
            parts.append(f"waiting for {outcome.expected}")
        else:
            parts.append(row_phrase(row))
        if deploy and deploy.started_at is None and not tally.answered:
            parts.append("PetSage has not answered yet, and so the command is not started")
        if deploy and deploy.started_at and not deploy.ended_at:
            parts.append("the command runs")
        elif deploy and deploy.exit_code:
            parts.append(f"the command failed ({deploy.exit_code})")
        return "  ".join(parts)

    def _shares(self, outcome: RolloutOutcome) -> str:
        """Return the bar of who answers, and its key."""
        counts = Counter(self._recent)
        new = outcome.expected
        # The expected release stands first; full blocks are its own.
        names = sorted(counts, key=lambda name: (name != new, name))
        bar, key, filled, seen = "", [], 0, 0
        for index, name in enumerate(names):
            own = name == new
            fill = "█" if own else "░▒▓"[index % 3]
            seen += counts[name]
            until = round(_BAR * seen / len(self._recent))
            bar += fill * (until - filled)
            filled = until
            key.append(f"{name} {100 * counts[name] / len(self._recent):.0f} %")
        return f"{bar} {', '.join(key[:4])}"
