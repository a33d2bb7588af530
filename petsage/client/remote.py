"""The deployed service, as the loops ask it: a signal may end each question."""

from __future__ import annotations

from petsage.client.exchange import Client
from petsage.client.fact import Fact
from petsage.client.interrupts import Interrupts
from petsage.client.ping import Marks, ping
from petsage.client.refusals import Refusal, Refused, refuse


class Remote:
    """Asks one service on behalf of one run. `timeout` (seconds) is that of each refusal."""

    def __init__(
        self,
        client: Client,
        marks: Marks,
        interrupts: Interrupts,
        *,
        expected: str | None,
        timeout: float,
    ) -> None:
        self._client, self._marks = client, marks
        self._expected, self._timeout = expected, timeout
        self._ping = interrupts.during(ping)
        self._refuse = interrupts.during(refuse)

    def ping(self, expect: str | None, timeout: float) -> Fact:
        """Send one ping."""
        return self._ping(self._client, self._marks, expect=expect, timeout=timeout)

    def control(self, timeout: float) -> Fact:
        """Send a ping that expects a release which no service bears."""
        return self.ping(self._marks.unborne_release(), timeout)

    def refuse(self, refusal: Refusal) -> Refused:
        """Send a request that must be refused."""
        return self._refuse(
            self._client, self._marks, refusal, expect=self._expected, timeout=self._timeout
        )
