"""What is wrong with an answer, held against the contract to the letter. It sends nothing."""

from __future__ import annotations

import json
import re
from datetime import datetime
from typing import Any

from petsage import contract
from petsage.client.fact import TOO_MANY_REQUESTS, Failure, bears
from petsage.client.response import Response

_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)
_MEMBERS = {"status", "message", "pong", "timestamp"}
# How nginx, Go and Apache answer plain HTTP on a port of TLS.
_WANTS_TLS = re.compile(rb"to (?:an )?(?:HTTPS|SSL-enabled) (?:server|port)")
_SHOWN = 200
NOT_FOUND = contract.PROBLEMS["not-found"].status


def printable(text: str, limit: int = _SHOWN) -> str:
    """Return what a stranger sent as text that colours no terminal and starts no line."""
    shown = "".join(mark if mark.isprintable() else "?" for mark in text[: limit + 1])
    return shown if len(shown) <= limit else f"{shown[: limit - 1]}…"


def origin(response: Response) -> dict[str, str | None]:
    """Return the release, commit, instance and worker that the answer names."""

    def named(header: str) -> str | None:
        value = response.header(header)
        return printable(value) if value else None

    return {
        "release": named(contract.RELEASE_HEADER),
        "commit": named(contract.COMMIT_HEADER),
        "instance": named(contract.INSTANCE_HEADER),
        "worker": named(contract.WORKER_HEADER),
    }


def strict_object(response: Response, media_type: str) -> dict[str, Any]:
    """Return the JSON object in the answer. Raises ValueError with a phrase where there is none."""
    given = (response.header("Content-Type") or "").partition(";")[0].strip().lower()
    if given != media_type:
        raise ValueError(f"its Content-Type is {printable(given) or 'missing'}, not {media_type}")
    coding = response.header("Content-Encoding") or "identity"
    if coding.lower() != "identity":
        raise ValueError(f"its body is coded as {printable(coding, 60)}, which was not asked for")
    if not response.whole:
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
        raise ValueError("a name stands there twice")
    return found


def ping_fault(
    response: Response, request_id: str, nonce: str, run: str, expect: str | None, *, tls: bool
) -> tuple[Failure | None, str]:
    """Return in which class the answer to a ping is wrong and how, or None and no word.

    `run` is the part that all nonces of this run share; `expect` what went out as
    Expect-Release; `tls` whether the ping went over it.
    """
    status = response.status
    if 300 <= status < 400:
        where = printable(response.header("Location") or "nowhere")
        return Failure.OTHER_STATUS, f"a redirect ({status}) to {where}"
    if status >= 500:
        whose = "PetSage" if response.header(contract.WORKER_HEADER) else "something before PetSage"
        return Failure.SERVER_ERROR, f"{status} from {whose}"
    if status == TOO_MANY_REQUESTS:
        return Failure.OTHER_STATUS, "429: too many requests"
    if not response.header(contract.WORKER_HEADER):
        kind = printable(response.header("Content-Type") or "nothing", 60)
        told = f"{status} with {kind}, without the header {contract.WORKER_HEADER}"
        if status == 400 and _WANTS_TLS.search(response.body):
            told += (
                "; a proxy behind that TLS speaks plain HTTP to a port of TLS"
                if tls
                else "; the server speaks TLS there: try https://"
            )
        return Failure.NOT_PETSAGE, told
    if expect is not None and status == contract.PROBLEMS["release-mismatch"][0]:
        return _mismatch_fault(response, request_id, expect)
    if status != 200:
        return Failure.OTHER_STATUS, f"{status} from PetSage"
    return _pong_fault(response, request_id, nonce, run)


def _mismatch_fault(response: Response, request_id: str, expect: str) -> tuple[Failure | None, str]:
    named = origin(response)
    if not carries(response, request_id):
        return Failure.OTHER_STATUS, f"412 without the {contract.REQUEST_ID_HEADER} that was sent"
    if bears(named["release"], named["commit"], expect):
        return Failure.OTHER_STATUS, "412 from a service that names the very release asked for"
    return None, ""


def carries(response: Response, request_id: str) -> bool:
    """Return whether the answer carries the id that was sent: a cached one does not."""
    return response.header(contract.REQUEST_ID_HEADER) == request_id


def problem_code(response: Response) -> str:
    """Return the `code` of a problem, or nothing where the answer is none."""
    try:
        return printable(str(json.loads(response.body)["code"]), 60)
    except (ValueError, RecursionError, TypeError, KeyError):
        return ""


def _pong_fault(
    response: Response, request_id: str, nonce: str, run: str
) -> tuple[Failure | None, str]:
    def wrong(detail: str) -> tuple[Failure, str]:
        return Failure.WRONG_PONG, detail

    try:
        answer = strict_object(response, contract.JSON_MEDIA_TYPE)
    except ValueError as fault:
        return wrong(f"200 from PetSage, but {fault}")
    pong = answer.get("pong")
    if isinstance(pong, str) and pong != nonce and pong.startswith(f"ping-{run}-"):
        return wrong("the pong of an earlier ping: something caches answers")
    if set(answer) != _MEMBERS:
        odd = ", ".join(sorted(printable(name, 40) for name in set(answer) ^ _MEMBERS)[:5])
        return wrong(f"the answer's members are not the four of the contract: {odd}")
    if pong != nonce:
        return wrong("the pong is not the ping that was sent")
    if answer["status"] != contract.STATUS_OK or answer["message"] != contract.SMOKE_TEST_MESSAGE:
        return wrong("the answer's status or message is not that of the contract")
    if not carries(response, request_id):
        return wrong(f"the answer does not carry the {contract.REQUEST_ID_HEADER} that was sent")
    if instant(answer["timestamp"]) is None:
        return wrong("the timestamp is not RFC 3339 in UTC with microseconds and Z")
    return None, ""


def instant(timestamp: object) -> float | None:
    """Return the Unix time of a timestamp in the form of the contract, or None."""
    if not isinstance(timestamp, str) or not _TIMESTAMP.fullmatch(timestamp):
        return None
    try:
        return datetime.fromisoformat(timestamp).timestamp()
    except (ValueError, OverflowError):
        return None
