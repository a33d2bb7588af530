"""One ping: a nonce that nobody can guess goes out, and what came back is a fact."""

from __future__ import annotations

import json
import re
import secrets
import time
from typing import Any

from petsage import contract
from petsage.client.checks import instant, origin, ping_fault
from petsage.client.exchange import Client, Request
from petsage.client.fact import Fact


class Marks:
    """The ids and nonces of one run: new ones each time, and known again by the run's own part."""

    def __init__(self) -> None:
        self.run = secrets.token_hex(8)

    def request_id(self) -> str:
        """Return a new X-Request-ID."""
        return f"petsage-{self.run}-{secrets.token_hex(8)}"

    def nonce(self) -> str:
        """Return a new ping."""
        return f"ping-{self.run}-{secrets.token_urlsafe(16)}"

    def unborne_release(self) -> str:
        """Return a release that no service bears: who serves a request for it compares nothing."""
        return f"no-release-{secrets.token_hex(8)}"


def ping(
    client: Client,
    marks: Marks,
    *,
    expect: str | None = None,
    timeout: float = 10.0,
    due: float | None = None,
) -> Fact:
    """Send one ping and return what came of it within `timeout` seconds.

    `expect` is sent as Expect-Release. `due`, a time.monotonic() value, is the moment from
    which the latency counts where that lies before the call.
    """
    request_id, nonce = marks.request_id(), marks.nonce()
    late = 0.0 if due is None else max(0.0, time.monotonic() - due)
    headers = [
        ("Content-Type", contract.JSON_MEDIA_TYPE),
        (contract.REQUEST_ID_HEADER, request_id),
    ]
    if expect is not None:
        headers.append((contract.EXPECT_RELEASE_HEADER, expect))
    request = Request(
        "POST", contract.SMOKE_TEST_PATH, tuple(headers), json.dumps({"ping": nonce}).encode()
    )
    exchange = client.exchange(request, timeout)
    known: dict[str, Any] = {
        "request_id": request_id,
        "due_at": exchange.began_at - late,
        "latency_s": exchange.elapsed_s + late,
        "phases": exchange.phases,
    }
    response = exchange.response
    if response is None:
        return Fact(
            **known,
            failure=exchange.failure,
            detail=exchange.detail,
            untrusted=exchange.untrusted,
        )
    known |= origin(response) | {
        "status": response.status,
        "retry_after_s": retry_after(response.header("Retry-After"), time.time()),
        "cacheable": "no-store" not in (response.header("Cache-Control") or "").lower(),
    }
    tls = "tls" in exchange.phases
    failure, detail = ping_fault(response, request_id, nonce, marks.run, expect, tls=tls)
    if failure:
        return Fact(**known, failure=failure, detail=detail)
    if response.status == contract.PROBLEMS["release-mismatch"][0]:
        return Fact(**known, mismatch=True)
    timestamp = json.loads(response.body)["timestamp"]
    return Fact(**known, skew_s=_skew(timestamp, time.time(), exchange.elapsed_s))


def retry_after(value: str | None, now: float) -> float | None:
    """Return the seconds that a Retry-After asks to wait (RFC 9110, 10.2.3); `now` is Unix time.

    None where there is no such header, or one that makes no sense.
    """
    if value is None:
        return None
    if re.fullmatch(r"[0-9]{1,9}", value):
        return float(value)
    from email.utils import parsedate_to_datetime

    try:
        return max(0.0, parsedate_to_datetime(value).timestamp() - now)
    except (ValueError, TypeError, OverflowError):
        return None


def _skew(timestamp: str, now: float, elapsed_s: float) -> float:
    """Return the seconds that the server's clock is ahead, less half the round trip.

    `now` is this machine's Unix time at the end of an exchange of `elapsed_s`.
    """
    half = elapsed_s / 2
    ahead = (instant(timestamp) or 0.0) - (now - half)
    return max(0.0, abs(ahead) - half) * (1 if ahead > 0 else -1)
