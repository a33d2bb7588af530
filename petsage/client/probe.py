"""Pings a PetSage service: sends a nonce that nobody can guess and judges what came back."""

from __future__ import annotations

import json
import re
import secrets
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol
from urllib.parse import urljoin, urlsplit

from petsage import contract
from petsage.client.http_client import Exchange, HttpClient, Request
from petsage.client.response import Response, printable
from petsage.client.result import Failure, Outcome, PingResult
from petsage.client.target import Target

MISMATCH_STATUS = contract.PROBLEMS["release-mismatch"].status
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_MEMBERS = {"status", "message", "pong", "timestamp"}
_ORIGIN_HEADERS = (
    contract.WORKER_HEADER,
    contract.RELEASE_HEADER,
    contract.COMMIT_HEADER,
    contract.INSTANCE_HEADER,
)
# How nginx, Go and Apache respond to plain HTTP on a port of TLS.
_WANTS_TLS = re.compile(rb"to (?:an )?(?:HTTPS|SSL-enabled) (?:server|port)")


class Probe(Protocol):
    """What the loops know of a service: how to ping it."""

    def ping(
        self, *, expect: str | None, timeout: float, bogus: bool = False, due: float | None = None
    ) -> PingResult:
        """Send one ping and return what came of it within `timeout` seconds.

        `expect` is sent as Expect-Release; with `bogus` a release that no service has is sent
        instead. `due`, a time.monotonic() value, is the moment from which the latency counts
        where that lies before the call.
        """

    @property
    def addresses(self) -> tuple[str, ...]:
        """The latest list of the service's addresses; none where a proxy chooses."""

    @property
    def warnings(self) -> list[str]:
        """Sentences on the URL and on the addresses."""


class RunIds:
    """The ids and nonces of one run: new ones each time, with a part that they share."""

    def __init__(self) -> None:
        self.run = secrets.token_hex(8)

    def request_id(self) -> str:
        """Return a new X-Request-ID."""
        return f"petsage-{self.run}-{secrets.token_hex(8)}"

    def nonce(self) -> str:
        """Return a new ping."""
        return f"ping-{self.run}-{secrets.token_urlsafe(16)}"

    def bogus_release(self) -> str:
        """Return a release that no service has: who serves a request for it compares nothing."""
        return f"no-release-{secrets.token_hex(8)}"


@dataclass(frozen=True, slots=True)
class Verdict:
    """What a response says of the service, in the terms of a PingResult."""

    outcome: Outcome
    failure: Failure | None = None
    detail: str = ""
    remedy: str = ""
    permanent: bool = False


def origin(response: Response) -> dict[str, str | None]:
    """Return the release, commit, instance and worker that the response's headers name."""

    def named(header: str) -> str | None:
        value = response.header(header)
        return printable(value) if value else None

    return {
        "release": named(contract.RELEASE_HEADER),
        "commit": named(contract.COMMIT_HEADER),
        "instance": named(contract.INSTANCE_HEADER),
        "worker": named(contract.WORKER_HEADER),
    }


def problem_code(response: Response) -> str | None:
    """Return the code of a problem of PetSage's, or None where the body is none."""
    try:
        kind = json.loads(response.body)["type"]
    except (ValueError, RecursionError, TypeError, KeyError):
        return None
    if not isinstance(kind, str) or not kind.startswith(contract.PROBLEM_TYPE_PREFIX):
        return None
    return printable(kind.removeprefix(contract.PROBLEM_TYPE_PREFIX), 60)


def has_mark(response: Response) -> bool:
    """Return whether the response is PetSage's: a header, a problem or a pong says so."""
    if any(response.header(name) for name in _ORIGIN_HEADERS):
        return True
    if problem_code(response) is not None:
        return True
    try:
        body = json.loads(response.body)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and "pong" in body


def lost_headers(response: Response, request_id: str) -> frozenset[str]:
    """Return the names of the headers that something removed or replaced on the way.

    A service that does not disclose its release still names its worker: only where that is
    missing too are the headers of the release known to be lost.
    """
    lost = set()
    if not response.header(contract.WORKER_HEADER):
        lost |= {name for name in _ORIGIN_HEADERS if not response.header(name)}
    if response.header(contract.REQUEST_ID_HEADER) != request_id:
        lost.add(contract.REQUEST_ID_HEADER)
    if "no-store" not in (response.header("Cache-Control") or "").lower():
        lost.add("Cache-Control")
    return frozenset(lost)


def ping_with(
    client: HttpClient, request: Request, request_id: str, timeout: float, due: float | None
) -> tuple[dict[str, Any], Exchange]:
    """Send a ping and return what is known of its PingResult whatever came back."""
    late = 0.0 if due is None else max(0.0, time.monotonic() - due)
    exchange = client.request(request, timeout)
    known: dict[str, Any] = {
        "request_id": request_id,
        "due_at": exchange.began_at - late,
        "latency_s": exchange.elapsed_s + late,
        "phases": exchange.phases,
        "address": exchange.address,
    }
    response = exchange.response
    if response is None:
        known |= {
            "outcome": exchange.outcome,
            "failure": exchange.failure,
            "detail": exchange.detail,
            "remedy": exchange.remedy,
            "permanent": exchange.permanent,
        }
    else:
        known |= {
            "status": response.status,
            "retry_after_s": retry_after(response.header("Retry-After"), time.time()),
        }
    return known, exchange


class PetSageProbe:
    """Pings `POST /system/smoke-test` of a PetSage service. Threads may share it."""

    def __init__(self, client: HttpClient, ids: RunIds) -> None:
        self._client, self._ids = client, ids

    @property
    def addresses(self) -> tuple[str, ...]:
        """The latest list of the service's addresses; none where a proxy chooses."""
        return self._client.addresses

    @property
    def warnings(self) -> list[str]:
        """Sentences on the URL and on the addresses."""
        return self._client.warnings

    def ping(
        self, *, expect: str | None, timeout: float, bogus: bool = False, due: float | None = None
    ) -> PingResult:
        """Send one ping; see Probe."""
        request_id, nonce = self._ids.request_id(), self._ids.nonce()
        sent = self._ids.bogus_release() if bogus else expect
        headers = [
            ("Accept", contract.JSON_MEDIA_TYPE),
            ("Content-Type", contract.JSON_MEDIA_TYPE),
            (contract.REQUEST_ID_HEADER, request_id),
        ]
        if sent is not None:
            headers.append((contract.EXPECT_RELEASE_HEADER, sent))
        body = json.dumps({"ping": nonce}).encode()
        request = Request("POST", contract.SMOKE_TEST_PATH, tuple(headers), body)
        known, exchange = ping_with(self._client, request, request_id, timeout, due)
        response = exchange.response
        if response is None:
            return PingResult(**known, bogus=bogus)
        verdict, timestamp = self._judge(response, nonce, sent)
        known |= origin(response)
        if verdict.outcome in (Outcome.CORRECT, Outcome.MISMATCH, Outcome.INCORRECT):
            known["lost_headers"] = lost_headers(response, request_id)
            known["log_id"] = _log_id(response, request_id)
        if timestamp is not None:
            known["skew_s"] = _skew(timestamp, time.time(), exchange.elapsed_s)
        return PingResult(
            **known,
            bogus=bogus,
            outcome=verdict.outcome,
            failure=verdict.failure,
            detail=verdict.detail,
            remedy=verdict.remedy,
            permanent=verdict.permanent,
        )

    def _judge(
        self, response: Response, nonce: str, sent: str | None
    ) -> tuple[Verdict, float | None]:
        """Return what the response says, and the Unix time of its timestamp where it is correct.

        `sent` is what went out as Expect-Release.
        """
        status = response.status
        if sent is not None and status == MISMATCH_STATUS:
            return _mismatch(response, sent), None
        verdict = gateway_verdict(response, self._client.target, contract.SMOKE_TEST_PATH)
        if verdict is not None:
            return verdict, None
        if not has_mark(response):
            return other_verdict(response, self._client, ", without a mark of PetSage"), None
        if status >= 500:
            code = problem_code(response)
            detail = f"{status} {code or ''}".rstrip() + " from PetSage itself"
            return Verdict(Outcome.INCORRECT, Failure.SERVER_ERROR, detail), None
        if status in (404, 405):
            path = self._client.target.path + contract.SMOKE_TEST_PATH
            return (
                Verdict(
                    Outcome.NOT_REACHED,
                    Failure.OTHER_STATUS,
                    f"{status} from PetSage at {path}",
                    "Give the base URL, under which PetSage has its routes.",
                ),
                None,
            )
        if status != 200:
            detail = f"{status} {problem_code(response) or ''}".rstrip() + " from PetSage"
            return Verdict(Outcome.INCORRECT, Failure.OTHER_STATUS, detail), None
        return _pong_verdict(response, nonce, self._ids.run)


def gateway_verdict(response: Response, target: Target, path: str) -> Verdict | None:
    """Return the verdict on a redirect, a login or a rate limit; None where it is none of them."""
    status = response.status
    if 300 <= status < 400:
        location = response.header("Location")
        to = printable(location or "nowhere")
        return Verdict(
            Outcome.NOT_REACHED,
            Failure.OTHER_STATUS,
            f"{status} to {to}",
            _redirect_remedy(target, path, location),
            permanent=True,
        )
    if status in (401, 403, 407):
        return Verdict(
            Outcome.NOT_REACHED,
            Failure.OTHER_STATUS,
            f"{status}: a login or a firewall responded",
            "Pass what it asks for, such as -H 'Authorization: Bearer TOKEN', or let this "
            "machine through.",
            permanent=True,
        )
    if status == 429:
        return Verdict(
            Outcome.RATE_LIMITED,
            Failure.OTHER_STATUS,
            "429 Too Many Requests",
            "Ping less often: raise --interval (smoke-test) or lower --rate (rollout).",
        )
    return None


def other_verdict(response: Response, client: HttpClient, hint: str = "") -> Verdict:
    """Return the verdict on a response that is not the service's; `hint` goes with its type."""
    status, target = response.status, client.target
    if status >= 500 and status != 501:
        detail = f"{status} from something before the service"
        if client.proxy and not target.tls:
            detail += f", perhaps from the proxy {client.proxy}"
        return Verdict(Outcome.DOWN, Failure.SERVER_ERROR, detail)
    kind = printable(response.header("Content-Type") or "no Content-Type", 60)
    detail, remedy = f"{status} with {kind}{hint}", ""
    if status == 400 and _WANTS_TLS.search(response.body):
        if target.tls:
            detail = "400: a proxy behind the TLS speaks plain HTTP to a port of TLS"
        else:
            detail, remedy = "400: the server speaks TLS there", "Give the URL with https://."
    return Verdict(Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE, detail, remedy)


def _redirect_remedy(target: Target, path: str, location: str | None) -> str:
    """Return what to do about a redirect of a request for `path` under the target's own."""
    scheme = "https" if target.tls else "http"
    asked = f"{target.path}{path}"
    try:
        to = urlsplit(urljoin(f"{scheme}://{target.location}{asked}", location or ""))
    except ValueError:
        return ""
    if to.scheme not in ("http", "https") or not to.netloc:
        return ""
    if not path:
        return f"If the release is there, give {printable(to.geturl())} as the URL."
    if not to.path.rstrip("/").endswith(path):
        return "If that is a login, pass what it asks for with -H; else correct the URL."
    # A ping has a path that the user did not write.
    base = to.path.rstrip("/").removesuffix(path)
    return f"Give {printable(f'{to.scheme}://{to.netloc}{base}')} as the URL."


def _mismatch(response: Response, sent: str) -> Verdict:
    """Judge a 412 to a request with Expect-Release, which nothing else responds with.

    A proxy may have removed the headers and replaced the page: the status remains.
    """
    named = origin(response)
    if contract.release_matches(sent, named["release"], named["commit"]):
        detail = "412 from a service that names the very release asked for"
        return Verdict(Outcome.INCORRECT, Failure.OTHER_STATUS, detail)
    return Verdict(Outcome.MISMATCH)


def _pong_verdict(response: Response, nonce: str, run: str) -> tuple[Verdict, float | None]:
    """Hold a 200 against the contract to the letter."""

    def wrong(detail: str) -> tuple[Verdict, None]:
        return Verdict(Outcome.INCORRECT, Failure.WRONG_PONG, detail), None

    try:
        body = _strict_object(response)
    except ValueError as error:
        return wrong(f"200 from PetSage, but {error}")
    pong = body.get("pong")
    if isinstance(pong, str) and pong != nonce and pong.startswith(f"ping-{run}-"):
        return wrong("the pong of an earlier ping: something caches responses")
    if set(body) != _MEMBERS:
        odd = ", ".join(sorted(printable(name, 40) for name in set(body) ^ _MEMBERS)[:5])
        return wrong(f"the response's members are not the four of the contract: {odd}")
    if pong != nonce:
        return wrong("the pong is not the ping that was sent")
    if body["status"] != contract.STATUS_OK or body["message"] != contract.SMOKE_TEST_MESSAGE:
        return wrong("the response's status or message is not that of the contract")
    timestamp = _unix_time_of(body["timestamp"])
    if timestamp is None:
        return wrong("the timestamp is not RFC 3339 in UTC with microseconds and Z")
    return Verdict(Outcome.CORRECT), timestamp


def _strict_object(response: Response) -> dict[str, Any]:
    """Return the JSON object in the response. Raises ValueError with a clause."""
    given = (response.header("Content-Type") or "").partition(";")[0].strip().lower()
    if given != contract.JSON_MEDIA_TYPE:
        shown = printable(given) or "missing"
        raise ValueError(f"its Content-Type is {shown}, not {contract.JSON_MEDIA_TYPE}")
    coding = response.header("Content-Encoding") or "identity"
    if coding.lower() != "identity":
        raise ValueError(f"its body is coded as {printable(coding, 60)}, which was not asked for")
    if not response.complete:
        raise ValueError("its body is far too large")
    try:
        value = json.loads(response.body.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise ValueError("its body is no strict JSON") from None
    if not isinstance(value, dict):
        raise ValueError("its body is no JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names a key twice")
    return found


def _log_id(response: Response, request_id: str) -> str:
    """Return the id under which the service logs: what a proxy put in the place of ours."""
    given = response.header(contract.REQUEST_ID_HEADER) or ""
    return given if re.fullmatch(contract.REQUEST_ID_PATTERN, given) else request_id


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


def _unix_time_of(timestamp: object) -> float | None:
    """Return the Unix time of a timestamp in the form of the contract, or None."""
    if not isinstance(timestamp, str) or not _TIMESTAMP.fullmatch(timestamp):
        return None
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except (ValueError, OverflowError):
        return None


def _skew(timestamp: float, now: float, elapsed_s: float) -> float:
    """Return the seconds that the server's clock is ahead, less half the round trip.

    `now` is this machine's Unix time at the end of a request of `elapsed_s`.
    """
    half = elapsed_s / 2
    ahead = timestamp - (now - half)
    return max(0.0, abs(ahead) - half) * (1 if ahead > 0 else -1)
