"""What one ping found, as plain data. No verdict is passed here, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from petsage import contract


class Failure(StrEnum):
    """The class in which a ping failed; the words are those of the reports."""

    DNS = "dns"
    REFUSED = "refused"
    RESET = "reset"
    TLS = "tls"
    TIMEOUT = "timeout"
    SERVER_ERROR = "5xx"
    OTHER_STATUS = "other status"
    WRONG_PONG = "wrong pong"
    NOT_PETSAGE = "not PetSage"


TRANSPORT = frozenset({Failure.DNS, Failure.REFUSED, Failure.RESET, Failure.TLS, Failure.TIMEOUT})
TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True, kw_only=True)
class Fact:
    """One ping: when it was due, how long it took, who answered, or how it failed.

    `due_at` is Unix time in seconds and `latency_s` counts from it to the last byte of the
    answer. `phases` gives the seconds of each phase that was begun: dns, connect, tls, write,
    wait, read. `mismatch` is a right 412: the answer of another release than the one that was
    expected. `skew_s` is how far the server's clock is ahead of ours, beyond what the round
    trip explains.
    """

    request_id: str
    due_at: float
    latency_s: float
    phases: Mapping[str, float] = field(default_factory=dict)
    failure: Failure | None = None
    detail: str = ""
    status: int | None = None
    mismatch: bool = False
    release: str | None = None
    commit: str | None = None
    instance: str | None = None
    worker: str | None = None
    skew_s: float = 0.0
    cacheable: bool = False
    retry_after_s: float | None = None
    untrusted: bool = False

    @property
    def names_release(self) -> bool:
        """Whether the answer says which release it came from, be it that none is known."""
        return self.release is not None or self.commit is not None

    def tells_of_release(self, *, control: bool) -> bool:
        """Whether this tells of a release: what it answers with, or that it fails.

        A `control` ping asks for a release that no service bears: its answer tells of none, unless
        it names one.
        """
        return self.names_release or self.failure is not None or not control

    @property
    def redirect(self) -> bool:
        """Whether the answer points elsewhere."""
        return self.status is not None and 300 <= self.status < 400

    @property
    def transient(self) -> bool:
        """Whether the same ping may well succeed a moment later."""
        if self.failure is None or self.untrusted:
            return False
        return (
            self.failure in TRANSPORT
            or self.failure is Failure.SERVER_ERROR
            or self.status == TOO_MANY_REQUESTS
        )

    def bears(self, expected: str) -> bool:
        """Return whether the answer names `expected` as its release or its commit's beginning."""
        return bears(self.release, self.commit, expected)


def bears(release: str | None, commit: str | None, expected: str) -> bool:
    """Return whether a release and a commit, as the headers name them, are the `expected` one.

    A commit counts by its first seven hex digits or more, in either case.
    """
    if expected == contract.UNKNOWN_RELEASE:
        return False
    if release == expected:
        return True
    return (
        commit is not None
        and len(expected) >= contract.COMMIT_PREFIX_MIN_DIGITS
        and set(expected) <= set("0123456789abcdefABCDEF")
        and commit.lower().startswith(expected.lower())
    )
