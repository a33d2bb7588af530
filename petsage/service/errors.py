"""Every error as one shape: what Flask, werkzeug and our own rooms raise becomes a problem."""

import re
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, HTTPException

from petsage.contract import PROBLEM_MEDIA_TYPE, PROBLEMS
from petsage.service.envelope import REQUEST_ID_KEY, request_id_of
from petsage.service.lean import never_blocks
from petsage.service.messages import LeanResponse
from petsage.service.problems import (
    DETAILS,
    MAX_DETAIL_BYTES,
    OVER_THE_LIMIT,
    Problem,
    bounded,
    cut,
    problem_body,
)

_CODES = {
    status: code
    for code, (status, *_) in PROBLEMS.items()
    if status not in (HTTPStatus.BAD_REQUEST, HTTPStatus.SERVICE_UNAVAILABLE)
} | {400: "bad-request"}
# Those that a feature's `abort` means just as we do.
_SAID_BY_US = {"bad-request", "not-found", "method-not-allowed", "body-too-large", "internal-error"}


def install(app: Flask) -> None:
    """Answer every error of `app` as a problem."""
    app.register_error_handler(Problem, answer_problem)
    app.register_error_handler(HTTPException, answer_http_exception)


@never_blocks
def answer_problem(problem: Problem) -> Response:
    """Answer a problem that one of our own rooms raised."""
    return _response(problem.body(_request_id()), problem.status, problem.headers.items())


@never_blocks
def answer_http_exception(error: HTTPException) -> Response | HTTPException:
    """Answer an error that Flask or werkzeug raised, or a feature's `abort`."""
    status = error.code or 500
    if error.response is not None or status < 400:
        return error  # complete as it is, such as a redirect of a feature
    if isinstance(error, ClientDisconnected):
        return answer_problem(Problem("incomplete-body"))
    # A status that the contract does not know is a feature's own.
    code = _CODES.get(status) or re.sub(r"[^a-z0-9]+", "-", error.name.lower()).strip("-")
    title = PROBLEMS[code][1] if code in PROBLEMS else error.name
    detail = _words_of_a_feature(error) or _our_words(code) or f"{title}."
    members = _members_of_a_feature(error, code)
    body = problem_body(code, status, title, detail, _request_id(), **members)
    headers = Headers(error.get_headers())
    headers.update(Headers(_data_of(error).get("headers")))
    for of_the_body in ("Content-Type", "Content-Length"):
        headers.remove(of_the_body)
    return _response(body, status, headers)


def _our_words(code: str) -> str | None:
    limit = request.max_content_length
    if code == "body-too-large" and limit is not None:
        return OVER_THE_LIMIT.format(limit=limit)
    return DETAILS[code] if code in _SAID_BY_US else None


def _words_of_a_feature(error: HTTPException) -> str | None:
    """Return what a feature said of its error: `abort(404, "No such pet")`, or smorest's `message`.

    What the router or the parser found has no words but ours; those of a 500 stay in the log.
    """
    if error is request.routing_exception or error.code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return None
    said = _data_of(error).get("message", error.description)
    if not isinstance(said, str) or said == type(error).description:
        return None
    return cut(said, MAX_DETAIL_BYTES)


def _members_of_a_feature(error: HTTPException, code: str) -> dict[str, Any]:
    """Return the `errors` that a feature gave smorest's `abort`; webargs calls them `messages`."""
    if error.code == HTTPStatus.INTERNAL_SERVER_ERROR:
        return {}
    data = _data_of(error)
    given = data.get("errors", data.get("messages"))
    # A validation error has them in any case.
    return bounded({"errors": given or {}}) if given or code == "validation-error" else {}


def _data_of(error: HTTPException) -> Mapping[str, Any]:
    """Return what smorest's and webargs' `abort` add to an error."""
    return getattr(error, "data", None) or {}


def _response(body: bytes, status: int, headers: Iterable[tuple[str, str]]) -> Response:
    response = LeanResponse.of(body, PROBLEM_MEDIA_TYPE, status)
    for name, value in headers:
        response.headers.add(name, value)
    return response


def _request_id() -> str:
    # Where the blueprint stands on somebody else's app, there is no envelope.
    given: str | None = request.environ.get(REQUEST_ID_KEY)
    return given or request_id_of(request.environ)
