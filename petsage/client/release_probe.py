"""Pings any service that tells its release: in a JSON member, a header or its text."""

from __future__ import annotations

import json
import re
import shlex
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from petsage import contract
from petsage.client.http_client import HttpClient, Request
from petsage.client.probe import (
    MISMATCH_STATUS,
    Ping,
    Probe,
    RunIds,
    common_judgement,
    mismatch,
    not_the_service,
    origin,
)
from petsage.client.response import Response, printable
from petsage.client.result import Failure, Judgement, Outcome
from petsage.client.target import TOKEN

_OLD = re.compile(r"(?:^|,)[ \t]*0*[1-9][0-9]*[ \t]*(?:,|$)")
_WORD = re.compile(r"(?<![a-z])(?:hit|stale|updating)(?![a-z])", re.IGNORECASE)
# RFC 9211, section 2.1. With `fwd=stale` the request went to the service.
_PARAMETER = re.compile(r";[ \t]*hit(?![^ \t;,])")
_STATUSES = {
    "X-Cache": _WORD,
    "CF-Cache-Status": _WORD,
    "Cache-Status": _PARAMETER,
    # What nginx's and others' documentation name it.
    "X-Cache-Status": _WORD,
    "X-Proxy-Cache": _WORD,
    "X-Vercel-Cache": _WORD,
    "X-Nextjs-Cache": _WORD,
}
_SHOWN = 80


class _MissingError(Exception):
    """The response does not tell its release; the argument says what is there instead."""


@dataclass(frozen=True, slots=True)
class ReleaseSource:
    """Where a response tells its release: `kind` is json, header or text, `given` its value."""

    kind: str
    given: str
    read: Callable[[Response], str]


def release_source(
    *, json: str | None = None, header: str | None = None, text: str | None = None
) -> ReleaseSource | None:
    """Return where --release-json, --release-header or --release-text find the release.

    None where none of them is given. Raises ValueError with a sentence where one of them is
    broken, or more than one is given.
    """
    if sum(given is not None for given in (json, header, text)) > 1:
        raise ValueError("give only one of --release-json, --release-header and --release-text")
    if json is not None:
        names = _names_from(json)
        return ReleaseSource("json", json, lambda response: _json(response, names))
    if header is not None:
        if not TOKEN.fullmatch(header):
            raise ValueError(f"{header!r} is no name of a header")
        return ReleaseSource("header", header, lambda response: _header(response, header))
    if text is None:
        return None
    try:
        pattern = re.compile(text)
    except re.error as error:
        raise ValueError(f"{text!r} is no regular expression: {error}") from None
    if not pattern.groups:
        raise ValueError(f"{text!r} has no group; put the release in parentheses")
    return ReleaseSource("text", text, lambda response: _text(response, pattern))


def _names_from(pointer: str) -> list[str]:
    """Return the names on the way to a member: a plain name or a pointer (RFC 6901)."""
    if not pointer:
        raise ValueError("the release is a member: give its name, or a pointer such as /build/sha")
    if not pointer.startswith("/"):
        return [pointer]
    if re.search(r"~(?![01])", pointer):
        raise ValueError(f"{pointer!r} is no JSON pointer: '~' is written as '~0'")
    names = pointer.split("/")[1:]
    return [name.replace("~1", "/").replace("~0", "~") for name in names]


def _json(response: Response, names: list[str]) -> str:
    if not response.complete:
        raise _MissingError("the body is too large")
    try:
        # A number stays as it is written: 1.10 is not 1.1.
        value = json.loads(_body(response), parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise _MissingError(f"the body is no JSON: {_excerpt(response)}") from None
    place = ""
    for name in names:
        members = value
        if isinstance(value, list):
            members = {str(at): item for at, item in enumerate(value)}
        if not isinstance(members, dict) or name not in members:
            what = f"{place or 'the body'} is {_description(value)}"
            raise _MissingError(f"{what}, without {_shown(name)}")
        value, place = members[name], f"{place}/{_shown(name)}"
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise _MissingError(f"{place} is {_description(value)}")


def _description(value: Any) -> str:
    if isinstance(value, dict):
        members = ", ".join(map(_shown, list(value)[:10]))
        return f"an object with the members {members}" if value else "an empty object"
    if isinstance(value, list):
        return f"an array of {len(value)}"
    if isinstance(value, str):
        return "a string or number" if value.strip() else "empty"
    return json.dumps(value)


def _header(response: Response, name: str) -> str:
    value = response.header(name)
    if value:
        return value
    there = ", ".join(map(_shown, list(response.headers)[:20])) or "none"
    raise _MissingError(f"there is no header {name}; the headers: {there}")


def _text(response: Response, pattern: re.Pattern[str]) -> str:
    match = pattern.search(_body(response).decode(errors="replace"))
    if match and match[1] and match[1].strip():
        return match[1].strip()
    raise _MissingError(f"the expression does not match the text: {_excerpt(response)}")


def _body(response: Response) -> bytes:
    coding = response.header("Content-Encoding") or "identity"
    if coding.lower() != "identity":
        raise _MissingError(f"the body is coded as {_shown(coding)}, which was not asked for")
    return response.body


def _excerpt(response: Response) -> str:
    text = response.body[: _SHOWN * 4 + 4].decode(errors="replace")
    return repr(printable(text, _SHOWN)) if text else "it is empty"


def _shown(name: str) -> str:
    return printable(name, 40)


def cache_hit(response: Response) -> str | None:
    """Return which header says that the response comes from a cache, or None."""
    for name, hit in ({"Age": _OLD} | _STATUSES).items():
        value = response.header(name) or ""
        if hit.search(value):
            return f"{name}: {printable(value, 60)}"
    return None


def may_be_copy(response: Response) -> bool:
    """Return whether a response of Age 0 may come from a cache as well as from the service.

    Most caches send Age with copies alone, Varnish with each response: one that is no copy has one
    id in its X-Varnish (https://www.varnish-cache.org/docs/2.1/faq/http.html).
    """
    if response.header("Age") is None or any(map(response.header, _STATUSES)):
        return False
    return not re.fullmatch("[0-9]+", response.header("X-Varnish") or "")


class ReleaseProbe(Probe):
    """Pings the exact URL of any service with GET. `now` is the monotonic clock."""

    def __init__(
        self,
        client: HttpClient,
        ids: RunIds,
        source: ReleaseSource,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        super().__init__(client, ids)
        self._source, self._now = source, now
        self._lock = threading.Lock()
        # When the latest response came that counted and of which there may be copies of Age 0.
        self._copied_at: float | None = None

    def _request(self, ping: Ping) -> Request:
        headers = (("Accept", "*/*"), ("Cache-Control", "no-cache"), *ping.headers)
        return Request("GET", "", headers)

    def _judge(
        self, ping: Ping, response: Response, elapsed_s: float
    ) -> tuple[Judgement, dict[str, Any]]:
        release, missing = None, ""
        try:
            release = self._read(response, ping.expected)
        except _MissingError as error:
            missing = str(error)
        named = {**origin(response), "release": release, "commit": None}
        hit = cache_hit(response)
        if hit is None and 200 <= response.status < 300 and release is not None:
            hit = self._young_copy(response, elapsed_s)
        return self._judgement_of(ping, response, release, missing, hit), named

    def _young_copy(self, response: Response, elapsed_s: float) -> str | None:
        """Return what to say of a response that may be a copy of an earlier one, or None.

        Age counts whole seconds: a second after a response, each copy of it has an Age above 0.
        """
        if not may_be_copy(response):
            return None
        with self._lock:
            now = self._now()
            if self._copied_at is not None and now - elapsed_s < self._copied_at + 1:
                return "Age: 0, less than a second after another"
            self._copied_at = now
        return None

    def _read(self, response: Response, expected: str | None) -> str | None:
        """Return the release that the response tells. Raises _MissingError.

        The body of a 412 is about the request. An expression may match any page of a proxy, so
        in the text of a 5xx only the expected release counts.
        """
        kind = self._source.kind
        if response.status == MISMATCH_STATUS and kind != "header":
            return None
        release = printable(self._source.read(response))
        loose = response.status >= 500 and kind == "text"
        named = expected is not None and contract.release_matches(expected, release, release)
        return None if loose and not named else release

    def _judgement_of(
        self,
        ping: Ping,
        response: Response,
        release: str | None,
        missing: str,
        hit: str | None,
    ) -> Judgement:
        """Return what the response says.

        `missing` is what is there where no release is, `hit` what tells that a cache responds.
        """
        status = response.status
        mismatched = ping.expected is not None and status == MISMATCH_STATUS
        if hit is not None and (mismatched or (200 <= status < 300 and release is not None)):
            return Judgement(Outcome.CACHED, detail=f"from a cache ({hit})")
        if ping.expected is not None and mismatched:
            return mismatch(ping.expected, release, release)
        judgement = common_judgement(response, self._client, "")
        if judgement is not None:
            return judgement
        if 200 <= status < 300:
            if release is not None:
                return Judgement(Outcome.CORRECT)
            given = shlex.quote(printable(self._source.given))
            remedy = f"Check the URL and --release-{self._source.kind} {given}."
            detail = f"{status}, but {missing}"
            return Judgement(Outcome.NOT_REACHED, Failure.NOT_THE_SERVICE, detail, remedy)
        # A copy of a 5xx is the cache's, but its caller gets no other.
        if status >= 500 and release is not None and hit is None:
            detail = f"{status} from release {release}"
            return Judgement(Outcome.INCORRECT, Failure.SERVER_ERROR, detail)
        return not_the_service(response, self._client)
