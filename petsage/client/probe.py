"""Pings a PetSage service: sends a nonce that nobody can guess and judges what came back."""

from __future__ import annotations

import json
import re
import secrets
import time
from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from urllib.parse import urljoin, urlsplit

from petsage import contract
from petsage.client.http_client import HttpClient, Request
from petsage.client.response import Response, printable
from petsage.client.result import Failure, Judgement, Outcome, PingResult
from petsage.client.target import Target

MISMATCH_STATUS = contract.PROBLEMS["release-mismatch"].status
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_MEMBERS = {"status", "message", "pong", "timestamp"}
_ORIGIN_HEADERS = {
    "release": contract.RELEASE_HEADER,
    "commit": contract.COMMIT_HEADER,
    "instance": contract.INSTANCE_HEADER,
    "worker": contract.WORKER_HEADER,
}
# How nginx, Go and Apache respond to plain HTTP on a port of TLS.
_WANTS_TLS = re.compile(rb"to (?:an )?(?:HTTPS|SSL-enabled) (?:server|port)")


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
class Ping:
    """What is sent with one ping; `expected` is the release in Expect-Release."""

    request_id: str
    nonce: str
    expected: str | None

    @property
    def headers(self) -> tuple[tuple[str, str], ...]:
        """The headers that go out with it, to whatever service."""
        headers = ((contract.REQUEST_ID_HEADER, self.request_id),)
        if self.expected is None:
            return headers
        return (*headers, (contract.EXPECT_RELEASE_HEADER, self.expected))


class Probe(ABC):
    """Pings one service. Any number of threads may share it."""

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
        """Send one ping and return what came of it within `timeout` seconds.

        `expect` is sent as Expect-Release; with `bogus` a release that no service has is sent
        instead. `due`, a time.monotonic() value, is the moment from which the latency counts
        where that lies before the call.
        """
        release = self._ids.bogus_release() if bogus else expect
        ping = Ping(self._ids.request_id(), self._ids.nonce(), release)
        late_s = 0.0 if due is None else max(0.0, time.monotonic() - due)
        exchange = self._client.request(self._request(ping), timeout)
        result, known = exchange.result, dict[str, Any]()
        if isinstance(result, Response):
            judgement, known = self._judge(ping, result, exchange.elapsed_s)
            known["status"] = result.status
            known["retry_after_s"] = retry_after(result.header("Retry-After"), time.time())
        else:
            judgement = result
        return PingResult(
            request_id=ping.request_id,
            due_at=exchange.began_at - late_s,
            latency_s=exchange.elapsed_s + late_s,
            address=exchange.address,
            bogus=bogus,
            **judgement._asdict(),
            **known,
        )

    @abstractmethod
    def _request(self, ping: Ping) -> Request:
        """Return the request to send."""

    @abstractmethod
    def _judge(
        self, ping: Ping, response: Response, elapsed_s: float
    ) -> tuple[Judgement, dict[str, Any]]:
        """Return what the response says, and the members of the PingResult that it tells."""


class PetSageProbe(Probe):
    """Pings `POST /system/smoke-test` of a PetSage service."""

    def _request(self, ping: Ping) -> Request:
        media = contract.JSON_MEDIA_TYPE
        headers = (("Accept", media), ("Content-Type", media), *ping.headers)
        body = json.dumps({"ping": ping.nonce}).encode()
        return Request("POST", contract.SMOKE_TEST_PATH, headers, body)

    def _judge(
        self, ping: Ping, response: Response, elapsed_s: float
    ) -> tuple[Judgement, dict[str, Any]]:
        known: dict[str, Any] = {**origin(response)}
        judgement = self._judgement_of(ping, response)
        if judgement.outcome in (Outcome.CORRECT, Outcome.MISMATCH, Outcome.INCORRECT):
            known["lost_headers"] = lost_headers(response, ping.request_id)
            known["log_id"] = _log_id(response, ping.request_id)
        if judgement.outcome is Outcome.CORRECT:
            timestamp = _unix_time_of(json.loads(response.body)["timestamp"]) or 0.0
            known["skew_s"] = _skew(timestamp, time.time(), elapsed_s)
        return judgement, known

    def _judgement_of(self, ping: Ping, response: Response) -> Judgement:
        status, client = response.status, self._client
        if ping.expected is not None and status == MISMATCH_STATUS:
            return mismatch(ping.expected, **origin(response))
        judgement = common_judgement(response, client, contract.SMOKE_TEST_PATH)
        if judgement is not None:
            return judgement
        if not has_mark(response):
            return not_the_service(response, client, ", without a mark of PetSage")
        if status == 200:
            try:
                _check_pong(_strict_object(response), ping.nonce, self._ids.run)
            except ValueError as error:
                return Judgement(Outcome.INCORRECT, Failure.WRONG_PONG, str(error))
            return Judgement(Outcome.CORRECT)
        detail = f"{status} {problem_code(response) or ''}".rstrip() + " from PetSage itself"
        if status >= 500:
            return Judgement(Outcome.INCORRECT, Failure.SERVER_ERROR, detail)
        if status in (404, 405):
            detail = f"{status} from PetSage at {client.target.path}{contract.SMOKE_TEST_PATH}"
            remedy = "Give the base URL, under which PetSage has its routes."
            return Judgement(Outcome.NOT_REACHED, Failure.OTHER_STATUS, detail, remedy)
        return Judgement(Outcome.INCORRECT, Failure.OTHER_STATUS, detail)


def origin(response: Response) -> dict[str, str | None]:
    """Return the release, commit, instance and worker that the response's headers name."""
    return {
        name: printable(response.header(header) or "") or None
        for name, header in _ORIGIN_HEADERS.items()
    }


def problem_code(response: Response) -> str | None:
    """Return the code of a problem of PetSage's, or None where the body is none."""
    kind = _member(response, "type")
    if not isinstance(kind, str) or not kind.startswith(contract.PROBLEM_TYPE_PREFIX):
        return None
    return printable(kind.removeprefix(contract.PROBLEM_TYPE_PREFIX), 60)


def has_mark(response: Response) -> bool:
    """Return whether the response is PetSage's: a header, a problem or a pong says so."""
    if any(response.header(name) for name in _ORIGIN_HEADERS.values()):
        return True
    return problem_code(response) is not None or _member(response, "pong") is not None


def _member(response: Response, name: str) -> Any:
    """Return a member of the JSON object in the body; None where there is no such one."""
    try:
        return json.loads(response.body)[name]
    except (ValueError, RecursionError, TypeError, KeyError):
        return None


def lost_headers(response: Response, request_id: str) -> frozenset[str]:
    """Return the names of the headers that something removed or replaced on the way.

    A service that does not disclose its release still names its worker: only where that is
    missing too are the headers of the release known to be lost.
    """
    lost = set()
    if not response.header(contract.WORKER_HEADER):
        lost |= {name for name in _ORIGIN_HEADERS.values() if not response.header(name)}
    if response.header(contract.REQUEST_ID_HEADER) != request_id:
        lost.add(contract.REQUEST_ID_HEADER)
    if "no-store" not in (response.header("Cache-Control") or "").lower():
        lost.add("Cache-Control")
    return frozenset(lost)


def _log_id(response: Response, request_id: str) -> str:
    """Return the id under which the service logs: what a proxy put in the place of ours."""
    given = response.header(contract.REQUEST_ID_HEADER) or ""
    return given if re.fullmatch(contract.REQUEST_ID_PATTERN, given) else request_id


def mismatch(
    expected: str, release: str | None, commit: str | None = None, **_: str | None
) -> Judgement:
    """Judge a 412 to a request with Expect-Release, which nothing else responds with.

    A proxy may have removed the headers and replaced the page: the status remains.
    """
    if not contract.release_matches(expected, release, commit):
        return Judgement(Outcome.MISMATCH)
    detail = "412 from a service that names the very release asked for"
    return Judgement(Outcome.INCORRECT, Failure.OTHER_STATUS, detail)


def common_judgement(response: Response, client: HttpClient, path: str) -> Judgement | None:
    """Return what a redirect, a login or a rate limit says, whatever the service; else None.

    `path` is that of the request under the target's own.
    """
    status = response.status
    if status == 429:
        detail, remedy = "429 Too Many Requests", "Ping less often: raise --interval "
        remedy += "(smoke-test) or lower --rate (rollout)."
        return Judgement(Outcome.RATE_LIMITED, Failure.OTHER_STATUS, detail, remedy)
    if 300 <= status < 400:
        detail = f"{status} to {printable(response.header('Location') or 'nowhere')}"
        remedy = _redirect_remedy(client.target, path, response.header("Location"))
    elif status in (401, 403, 407):
        detail = f"{status}: a login or a firewall responded"
        remedy = "Pass what it asks for, such as -H 'Authorization: Bearer TOKEN', or let this "
        remedy += "machine through."
    else:
        return None
    return Judgement(Outcome.NOT_REACHED, Failure.OTHER_STATUS, detail, remedy, permanent=True)


def _redirect_remedy(target: Target, path: str, location: str | None) -> str:
    """Return what to do about a redirect of a request for `path` under the target's own."""
    asked = target.url + path
    try:
        to = urlsplit(urljoin(asked, location or ""))
    except ValueError:
        return ""
    if not location or to.scheme not in ("http", "https") or not to.netloc:
        return ""
    if to.geturl() == asked or (path and to.geturl() == f"{asked}/"):
        return "The URL redirects to itself: check what stands before the service."
    if not path:
        return f"If the release is there, give {printable(to.geturl())} as the URL."
    if not to.path.rstrip("/").endswith(path):
        return "If that is a login, pass what it asks for with -H; else correct the URL."
    # A ping has a path that the user did not write.
    base = to.path.rstrip("/").removesuffix(path)
    return f"Give {printable(f'{to.scheme}://{to.netloc}{base}')} as the URL."


def not_the_service(response: Response, client: HttpClient, hint: str = "") -> Judgement:
    """Return what a response says that is not the service's; `hint` follows its media type."""
    status, tls, remedy = response.status, client.target.tls, ""
    if status >= 500 and status != 501:
        detail = f"{status} from something before the service"
        if client.proxy and not tls:
            detail += f", perhaps from the proxy {client.proxy}"
        return Judgement(Outcome.DOWN, Failure.SERVER_ERROR, detail)
    detail = f"{status} with {printable(response.header('Content-Type') or 'no Content-Type', 60)}"
    if status == 400 and _WANTS_TLS.search(response.body):
        hint = ": a proxy behind the TLS speaks plain HTTP to a port of TLS"
        if not tls:
            hint, remedy = ": the server speaks TLS there", "Give the URL with https://."
    return Judgement(Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE, detail + hint, remedy)


def _check_pong(body: dict[str, Any], nonce: str, run: str) -> None:
    """Raise ValueError with a clause where the members are not, to the letter, the contract's."""
    pong = body.get("pong")
    if isinstance(pong, str) and pong != nonce and pong.startswith(f"ping-{run}-"):
        raise ValueError("the pong of an earlier ping: something caches responses")
    if set(body) != _MEMBERS:
        odd = ", ".join(sorted(printable(name, 40) for name in set(body) ^ _MEMBERS)[:5])
        raise ValueError(f"the response's members are not the four of the contract: {odd}")
    if pong != nonce:
        raise ValueError("the pong is not the ping that was sent")
    if body["status"] != contract.STATUS_OK or body["message"] != contract.SMOKE_TEST_MESSAGE:
        raise ValueError("the response's status or message is not that of the contract")
    if _unix_time_of(body["timestamp"]) is None:
        raise ValueError("the timestamp is not RFC 3339 in UTC with microseconds and Z")


def _strict_object(response: Response) -> dict[str, Any]:
    """Return the JSON object in the response. Raises ValueError with a clause."""
    given = (response.header("Content-Type") or "").partition(";")[0].strip().lower()
    if given != contract.JSON_MEDIA_TYPE:
        shown = printable(given) or "missing"
        raise ValueError(f"200 from PetSage, but its Content-Type is {shown}")
    coding = response.header("Content-Encoding") or "identity"
    if coding.lower() != "identity":
        raise ValueError(f"200 from PetSage, but its body is coded as {printable(coding, 60)}")
    if not response.complete:
        raise ValueError("200 from PetSage, but its body is far too large")
    try:
        value = json.loads(response.body.decode(), object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        raise ValueError("200 from PetSage, but its body is no strict JSON") from None
    if not isinstance(value, dict):
        raise ValueError("200 from PetSage, but its body is no JSON object")
    return value


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) != len(pairs):
        raise ValueError("an object names a key twice")
    return found


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
