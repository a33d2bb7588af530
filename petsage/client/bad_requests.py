"""The fixed set of bad requests that PetSage must reject, each with its status and code."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from petsage import contract
from petsage.client.http_client import HttpClient, Request
from petsage.client.probe import MISMATCH_STATUS, Ping, RunIds, has_mark, origin, problem_code
from petsage.client.response import Response, printable
from petsage.client.result import BadRequestOutcome, BadRequestResult, Failure, Judgement

TEN_GIB = 10 * 1024**3
ATTEMPTS = 3
RETRY_SECONDS = 0.5
# PetSage rejects such a body at once; a proxy that collects bodies first never gets it.
HUGE_BODY_SECONDS = 5.0
TOO_MANY_REQUESTS = 429


@dataclass(frozen=True, slots=True)
class BadRequest:
    """A request that must be rejected with the problem `code`.

    `any_code` says that the status alone decides, as an app may have handlers of its own.
    `announced` is a Content-Length of which nothing is sent.
    """

    name: str
    code: str
    body: bytes = b""
    media_type: str = contract.JSON_MEDIA_TYPE
    method: str = "POST"
    path: str = contract.SMOKE_TEST_PATH
    announced: int | None = None
    any_code: bool = False

    @property
    def status(self) -> int:
        """The status of the rejection."""
        return contract.PROBLEMS[self.code].status

    @property
    def expected(self) -> str:
        """The rejection, as the reports show it: the status and, where it counts, the code."""
        return str(self.status) if self.any_code else f"{self.status} {self.code}"


BAD_REQUESTS = (
    BadRequest("missing member", "validation-error", b"{}"),
    BadRequest("null", "validation-error", b'{"ping": null}'),
    BadRequest("number instead of string", "validation-error", b'{"ping": 42}'),
    BadRequest("unknown member", "validation-error", b'{"ping": "x", "pong": "y"}'),
    BadRequest("malformed JSON", "malformed-json", b'{"ping": "x"'),
    BadRequest("duplicate key", "duplicate-key", b'{"ping": "x", "ping": "y"}'),
    BadRequest("not UTF-8", "invalid-unicode", b'{"ping": "\xff\xfe"}'),
    BadRequest("wrong media type", "unsupported-media-type", b'{"ping": "x"}', "text/plain"),
    BadRequest("body of 10 GiB announced", "body-too-large", announced=TEN_GIB),
    BadRequest("wrong method", "method-not-allowed", method="GET", any_code=True),
    BadRequest(
        "unknown path", "not-found", b'{"ping": "x"}', path="/system/no-such-path", any_code=True
    ),
)


def send(
    client: HttpClient,
    ids: RunIds,
    bad_request: BadRequest,
    *,
    expect: str | None,
    timeout: float,
    sleep: Callable[[float], None] = time.sleep,
) -> BadRequestResult:
    """Send one of them, within `timeout` seconds, and return what came of it.

    `expect` is sent as Expect-Release. Transient failures are tried three times.
    """
    huge = bad_request.announced is not None
    headers = (
        ("Accept", contract.JSON_MEDIA_TYPE),
        ("Content-Type", bad_request.media_type),
        *Ping(ids.request_id(), "", expect).headers,
    )
    method, path, body = bad_request.method, bad_request.path, bad_request.body
    request = Request(method, path, headers, body, bad_request.announced)
    for attempt in range(ATTEMPTS):
        if attempt:
            sleep(RETRY_SECONDS)
        exchange = client.request(request, min(timeout, HUGE_BODY_SECONDS) if huge else timeout)
        outcome, got = _judge(bad_request, exchange.result, expect)
        waits = huge and outcome is BadRequestOutcome.NOT_DELIVERED
        if outcome is BadRequestOutcome.REJECTED or waits or not _is_transient(exchange.result):
            break
    response = exchange.result if isinstance(exchange.result, Response) else None
    return BadRequestResult(
        name=bad_request.name,
        expected=bad_request.expected,
        got=got,
        outcome=outcome,
        release=origin(response)["release"] if response else None,
    )


def _is_transient(result: Response | Judgement) -> bool:
    if isinstance(result, Response):
        return result.status == TOO_MANY_REQUESTS or result.status >= 500
    # A request that hangs, while pings get their response, will hang again.
    return not result.permanent and result.failure is not Failure.TIMEOUT


def _judge(
    bad_request: BadRequest, response: Response | Judgement, expect: str | None
) -> tuple[BadRequestOutcome, str]:
    """Return what came of it, and the status and code in words."""
    if isinstance(response, Judgement):
        return BadRequestOutcome.NOT_DELIVERED, response.detail
    status, code = response.status, problem_code(response)
    got = f"{status} {code or ''}".rstrip()
    if expect is not None and _is_of_another_release(response, expect):
        return BadRequestOutcome.OTHER_RELEASE, got
    if not has_mark(response) or status == TOO_MANY_REQUESTS:
        return BadRequestOutcome.NOT_DELIVERED, f"{status} from something before PetSage"
    if status == bad_request.status and (bad_request.any_code or code == bad_request.code):
        return BadRequestOutcome.REJECTED, got
    if status == bad_request.status and code is None:
        kind = printable(response.header("Content-Type") or "no Content-Type", 60)
        got = f"{status} with {kind}: something replaced the body of the response"
        return BadRequestOutcome.NOT_DELIVERED, got
    return BadRequestOutcome.ACCEPTED, got


def _is_of_another_release(response: Response, expect: str) -> bool:
    named = origin(response)
    if named["release"] is None and named["commit"] is None:
        return response.status == MISMATCH_STATUS
    return not contract.release_matches(expect, named["release"], named["commit"])
