"""The fixed set of requests that PetSage must refuse, with what: validation is alive."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from petsage import contract
from petsage.client.checks import carries, origin, problem_code
from petsage.client.exchange import Client, Exchange, Request
from petsage.client.fact import TOO_MANY_REQUESTS, TRANSPORT, Failure
from petsage.client.ping import Marks

TEN_GIB = 10 * 1024**3
ATTEMPTS = 3
# PetSage refuses such a body at once; a proxy that collects bodies first never gets it.
HUGE_BODY_SECONDS = 5.0
# Nothing was sent then, so that nothing is known of what would have come.
NO_CONNECTION = frozenset({Failure.DNS, Failure.REFUSED, Failure.TLS})


@dataclass(frozen=True, slots=True)
class Refusal:
    """A request that must be refused as the problem `code`."""

    name: str
    code: str
    body: bytes = b""
    media_type: str = contract.JSON_MEDIA_TYPE
    method: str = "POST"
    path: str = contract.SMOKE_TEST_PATH
    announced: int | None = None

    @property
    def expected(self) -> str:
        """The status and the code, as the reports show them."""
        return f"{contract.PROBLEMS[self.code][0]} {self.code}"


@dataclass(frozen=True, slots=True)
class Refused:
    """What came of a refusal. `passed` is None where it never got to PetSage, and proves nothing.

    `mismatch` tells that another release than the expected one answered, `unreachable` that no
    connection could be made.
    """

    name: str
    passed: bool | None
    expected: str
    got: str
    mismatch: bool = False
    unreachable: bool = False

    @property
    def shortfall(self) -> str:
        """What was due and what came instead, in words."""
        return f"{self.expected} was due; what came: {self.got}"


REFUSALS = (
    Refusal("missing member", "validation-error", b"{}"),
    Refusal("null", "validation-error", b'{"ping": null}'),
    Refusal("number instead of string", "validation-error", b'{"ping": 42}'),
    Refusal("unknown member", "validation-error", b'{"ping": "x", "pong": "y"}'),
    Refusal("malformed JSON", "malformed-json", b'{"ping": "x"'),
    Refusal("duplicate key", "duplicate-key", b'{"ping": "x", "ping": "y"}'),
    Refusal("not UTF-8", "invalid-unicode", b'{"ping": "\xff\xfe"}'),
    Refusal("wrong media type", "unsupported-media-type", b'{"ping": "x"}', "text/plain"),
    Refusal("body of 10 GiB announced", "body-too-large", announced=TEN_GIB),
    Refusal("wrong method", "method-not-allowed", method="GET"),
    Refusal("unknown path", "not-found", b'{"ping": "x"}', path="/system/no-such-path"),
)


def refuse(
    client: Client,
    marks: Marks,
    refusal: Refusal,
    *,
    expect: str | None,
    timeout: float,
    sleep: Callable[[float], None] = time.sleep,
) -> Refused:
    """Send one of them and return what came of it. What is transient is tried three times."""
    huge = refusal.announced is not None
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(min(0.5, timeout))
        request_id = marks.request_id()
        request = _request(refusal, request_id, expect)
        exchange = client.exchange(request, min(timeout, HUGE_BODY_SECONDS) if huge else timeout)
        refused = _judged(refusal, exchange, request_id, huge=huge)
        if refused.passed or not _transient(exchange) or (huge and refused.passed is None):
            break
    return refused


def _request(refusal: Refusal, request_id: str, expect: str | None) -> Request:
    headers = [
        ("Content-Type", refusal.media_type),
        (contract.REQUEST_ID_HEADER, request_id),
    ]
    if expect is not None:
        headers.append((contract.EXPECT_RELEASE_HEADER, expect))
    return Request(refusal.method, refusal.path, tuple(headers), refusal.body, refusal.announced)


def _transient(exchange: Exchange) -> bool:
    status = exchange.response.status if exchange.response else 0
    # A request that hangs, while pings are answered, is no passing trouble.
    passing = TRANSPORT - {Failure.TIMEOUT}
    return exchange.failure in passing or status == TOO_MANY_REQUESTS or status >= 500


def _judged(refusal: Refusal, exchange: Exchange, request_id: str, *, huge: bool) -> Refused:
    def refused(
        *, passed: bool | None, got: str, mismatch: bool = False, unreachable: bool = False
    ) -> Refused:
        return Refused(refusal.name, passed, refusal.expected, got, mismatch, unreachable)

    response = exchange.response
    if response is None:
        proxy_waits = huge and exchange.failure in (Failure.TIMEOUT, Failure.RESET)
        return refused(
            passed=None if proxy_waits else False,
            got=exchange.detail,
            unreachable=exchange.failure in NO_CONNECTION,
        )
    if origin(response)["worker"] is None:
        # A proxy's 5xx is no refusal: what it asked may have broken over the request.
        broke = response.status >= 500
        return refused(
            passed=False if broke else None,
            got=f"{response.status} from something before PetSage",
        )
    code = problem_code(response)
    got = f"{response.status} {code}".rstrip()
    if got != refusal.expected:
        return refused(passed=False, got=got, mismatch=code == "release-mismatch")
    if not carries(response, request_id):
        return refused(passed=False, got=f"{got}, but with another {contract.REQUEST_ID_HEADER}")
    return refused(passed=True, got=got)
