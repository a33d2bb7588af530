"""Pings any service that tells its release: in a JSON member, a header or its text."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from petsage import contract
from petsage.client.http_client import HttpClient, Request
from petsage.client.probe import (
    MISMATCH_STATUS,
    RunIds,
    Verdict,
    gateway_verdict,
    origin,
    other_verdict,
    ping_with,
)
from petsage.client.response import Response, printable
from petsage.client.result import Failure, Outcome, PingResult

_HIT = re.compile(r"(?<![a-z])(?:hit|stale|updating)(?![a-z])", re.IGNORECASE)
_CACHE_HEADERS = ("X-Cache", "CF-Cache-Status", "Cache-Status")
_SHOWN = 80


class _MissingError(Exception):
    """The response does not tell its release; the argument says what is there instead."""


@dataclass(frozen=True, slots=True)
class ReleaseSource:
    """Where a response tells its release: `option` is as the user wrote it."""

    option: str
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
        return ReleaseSource(f"--release-json {json}", lambda response: _json(response, names))
    if header is not None:
        if not re.fullmatch(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+", header):
            raise ValueError(f"{header!r} is no name of a header")
        return ReleaseSource(
            f"--release-header {header}", lambda response: _header(response, header)
        )
    if text is not None:
        try:
            pattern = re.compile(text)
        except re.error as error:
            raise ValueError(f"{text!r} is no regular expression: {error}") from None
        if not pattern.groups:
            raise ValueError(f"{text!r} has no group; put the release in parentheses")
        return ReleaseSource(f"--release-text {text}", lambda response: _text(response, pattern))
    return None


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
    _check_body(response)
    try:
        # A number stays as it is written: 1.10 is not 1.1.
        value = json.loads(response.body, parse_int=str, parse_float=str, parse_constant=str)
    except (ValueError, RecursionError):
        raise _MissingError(f"the body is no JSON: {_excerpt(response)}") from None
    at = ""
    for name in names:
        value = _member(value, name, at)
        at = f"{at}/{name}"
    if isinstance(value, str) and value.strip():
        return value.strip()
    raise _MissingError(f"{_shown(at)} is {'empty' if isinstance(value, str) else _kind(value)}")


def _member(value: Any, name: str, at: str) -> Any:
    where = f"{_shown(at)} is" if at else "the body is"
    if isinstance(value, list):
        if re.fullmatch("0|[1-9][0-9]{0,8}", name) and int(name) < len(value):
            return value[int(name)]
        raise _MissingError(f"{where} an array of {len(value)} without {_shown(name)}")
    if not isinstance(value, dict):
        raise _MissingError(f"{where} {_kind(value)} and has no member {_shown(name)}")
    if name not in value:
        members = ", ".join(_shown(member) for member in list(value)[:10]) or "none"
        owner = f"{_shown(at)} has" if at else "the object has"
        raise _MissingError(f"{owner} no member {_shown(name)}; its members: {members}")
    return value[name]


def _header(response: Response, name: str) -> str:
    value = response.header(name)
    if value:
        return value
    there = ", ".join(_shown(given) for given in list(response.headers)[:20]) or "none"
    raise _MissingError(f"there is no header {name}; the headers: {there}")


def _text(response: Response, pattern: re.Pattern[str]) -> str:
    _check_coding(response)
    match = pattern.search(response.body.decode(errors="replace"))
    if match and match[1] and match[1].strip():
        return match[1].strip()
    raise _MissingError(f"the expression does not match the text: {_excerpt(response)}")


def _check_body(response: Response) -> None:
    _check_coding(response)
    if not response.complete:
        raise _MissingError("the body is too large")


def _check_coding(response: Response) -> None:
    coding = response.header("Content-Encoding") or "identity"
    if coding.lower() != "identity":
        raise _MissingError(f"the body is coded as {_shown(coding)}, which was not asked for")


def _excerpt(response: Response) -> str:
    text = response.body[: _SHOWN * 4 + 4].decode(errors="replace")
    return repr(printable(text, _SHOWN)) if text else "it is empty"


def _shown(name: str) -> str:
    return printable(name, 40)


def _kind(value: Any) -> str:
    if value is None:
        return "null"
    kinds = {dict: "an object", list: "an array", bool: "true or false"}
    return kinds.get(type(value), "a string")


def cache_hit(response: Response) -> str | None:
    """Return which header says that the response comes from a cache, or None."""
    age = response.header("Age") or ""
    if re.fullmatch("[0-9]{1,18}", age) and int(age):
        return f"Age: {age}"
    for name in _CACHE_HEADERS:
        value = response.header(name) or ""
        if _HIT.search(value):
            return f"{name}: {printable(value, 60)}"
    return None


class ReleaseProbe:
    """Pings the exact URL of any service with GET. Threads may share it."""

    def __init__(self, client: HttpClient, ids: RunIds, source: ReleaseSource) -> None:
        self._client, self._ids, self._source = client, ids, source

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
        request_id = self._ids.request_id()
        sent = self._ids.bogus_release() if bogus else expect
        headers = [
            ("Accept", "*/*"),
            ("Cache-Control", "no-cache"),
            (contract.REQUEST_ID_HEADER, request_id),
        ]
        if sent is not None:
            headers.append((contract.EXPECT_RELEASE_HEADER, sent))
        known, exchange = ping_with(
            self._client, Request("GET", "", tuple(headers)), request_id, timeout, due
        )
        response = exchange.response
        if response is None:
            return PingResult(**known, bogus=bogus)
        named = origin(response)
        release, missing = self._release_of(response)
        verdict = self._judge(response, release, missing, sent)
        return PingResult(
            **known,
            bogus=bogus,
            release=release,
            instance=named["instance"],
            worker=named["worker"],
            outcome=verdict.outcome,
            failure=verdict.failure,
            detail=verdict.detail,
            remedy=verdict.remedy,
            permanent=verdict.permanent,
        )

    def _release_of(self, response: Response) -> tuple[str | None, str]:
        """Return the release that the response tells, or None and what is there instead."""
        try:
            return printable(self._source.read(response)), ""
        except _MissingError as missing:
            return None, str(missing)

    def _judge(
        self, response: Response, release: str | None, missing: str, sent: str | None
    ) -> Verdict:
        """Return what the response says; `sent` is what went out as Expect-Release."""
        status = response.status
        if sent is not None and status == MISMATCH_STATUS:
            if release is not None and contract.release_matches(sent, release, None):
                detail = "412 from a service that names the very release asked for"
                return Verdict(Outcome.INCORRECT, Failure.OTHER_STATUS, detail)
            return Verdict(Outcome.MISMATCH)
        verdict = gateway_verdict(response, self._client.target, "")
        if verdict is not None:
            return verdict
        if 200 <= status < 300:
            if release is None:
                detail = f"{status}, but {missing}"
                return Verdict(
                    Outcome.NOT_REACHED,
                    Failure.NOT_THE_SERVICE,
                    detail,
                    f"Check the URL and {self._source.option}.",
                )
            hit = cache_hit(response)
            if hit is not None:
                return Verdict(Outcome.CACHED, detail=f"from a cache ({hit})")
            return Verdict(Outcome.CORRECT)
        if status >= 500 and release is not None:
            detail = f"{status} from release {release}"
            return Verdict(Outcome.INCORRECT, Failure.SERVER_ERROR, detail)
        return other_verdict(response, self._client)
