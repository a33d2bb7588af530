"""What one ping found, as plain data."""

from __future__ import annotations

import string
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple

from petsage.contract import COMMIT_PREFIX_MIN_DIGITS, release_matches


class Failure(StrEnum):
    """The class of a ping that failed, as the reports name it."""

    DNS = "dns"
    REFUSED = "refused"
    RESET = "reset"
    TLS = "tls"
    TIMEOUT = "timeout"
    SERVER_ERROR = "5xx"
    OTHER_STATUS = "other status"
    WRONG_PONG = "wrong pong"
    NOT_THE_SERVICE = "not the service"


# No response came at all.
TRANSPORT = frozenset({Failure.DNS, Failure.REFUSED, Failure.RESET, Failure.TLS, Failure.TIMEOUT})


class Outcome(StrEnum):
    """What a ping says of the service. The exit code follows from the outcomes at the end."""

    # A correct response of the service.
    CORRECT = "correct"
    # A correct 412: another release than the one that the ping expected responded.
    MISMATCH = "mismatch"
    # The service itself responded incorrectly: its own 5xx, a wrong pong, a broken contract.
    INCORRECT = "incorrect"
    # No response of the service, though its address is known and routable.
    DOWN = "down"
    # Something else responded, or the way is blocked on this side.
    NOT_REACHED = "not-reached"
    RATE_LIMITED = "rate-limited"
    # A correct response of any service that came from a cache, and so proves nothing.
    CACHED = "cached"


class Judgement(NamedTuple):
    """What a ping says, in the terms of a PingResult."""

    outcome: Outcome
    failure: Failure | None = None
    detail: str = ""
    remedy: str = ""
    permanent: bool = False


class NoResponseError(Exception):
    """No response came of a request, for the reason that `judgement` gives."""

    def __init__(
        self,
        failure: Failure,
        detail: str,
        outcome: Outcome = Outcome.DOWN,
        remedy: str = "",
        *,
        permanent: bool = False,
    ) -> None:
        super().__init__(detail)
        self.judgement = Judgement(outcome, failure, detail, remedy, permanent)


def _is_commit(text: str) -> bool:
    return len(text) >= COMMIT_PREFIX_MIN_DIGITS and set(text) <= set(string.hexdigits)


@dataclass(frozen=True, slots=True, kw_only=True)
class PingResult:
    """One ping: when it was due, how long it took, who responded, or how it failed.

    `due_at` is Unix time in seconds; `latency_s` counts from then to the response's last byte.
    `address` is where the ping was sent, as "192.0.2.1:443" or "[2001:db8::1]:443"; None where
    the name did not resolve or a forward proxy chose. `bogus` says that the ping expected a
    release that no service has (a negative control). `failure` is None exactly where `outcome`
    is CORRECT, MISMATCH or CACHED. `detail` is a clause on what came ("302 to https://…"),
    `remedy` a sentence on what to do where the cause is known. `permanent` says that waiting
    can't change it: a redirect, a login, a certificate that does not verify. `log_id` is the
    request id under which the service logs: the one that came back. `skew_s` is how far the
    server's clock is ahead of ours, beyond what the round trip explains. `lost_headers` names
    the headers that something on the way removed or replaced.
    """

    request_id: str
    due_at: float
    latency_s: float
    outcome: Outcome
    bogus: bool = False
    address: str | None = None
    failure: Failure | None = None
    detail: str = ""
    remedy: str = ""
    permanent: bool = False
    status: int | None = None
    release: str | None = None
    commit: str | None = None
    instance: str | None = None
    worker: str | None = None
    log_id: str | None = None
    skew_s: float = 0.0
    retry_after_s: float | None = None
    lost_headers: frozenset[str] = frozenset()

    @property
    def names_release(self) -> bool:
        """Whether the response names its release or commit, be it as `unknown`."""
        return self.release is not None or self.commit is not None

    def names(self, expected: str) -> bool:
        """Return whether the response names `expected` as its release, or as its commit.

        Of two commits either may be the beginning of the other: services other than PetSage often
        show a short one.
        """
        if release_matches(expected, self.release, self.commit):
            return True
        commits = (expected.lower(), (self.release or "").lower())
        shorter, longer = sorted(commits, key=len)
        return all(map(_is_commit, commits)) and longer.startswith(shorter)

    @property
    def of_service(self) -> bool:
        """Whether the service itself responded, correctly or not."""
        return self.outcome in (Outcome.CORRECT, Outcome.MISMATCH, Outcome.INCORRECT)


class BadRequestOutcome(StrEnum):
    """What came of a request that must be rejected."""

    REJECTED = "rejected"
    # A response of the service that is not the documented rejection.
    ACCEPTED = "accepted"
    # Something else responded, or nothing did.
    NOT_DELIVERED = "not-delivered"
    OTHER_RELEASE = "other-release"


@dataclass(frozen=True, slots=True, kw_only=True)
class BadRequestResult:
    """What came of one bad request: status and code, as in "422 validation-error"."""

    name: str
    expected: str
    got: str
    outcome: BadRequestOutcome
    release: str | None = None
