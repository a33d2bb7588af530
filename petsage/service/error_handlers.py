"""The handlers of errors: what Flask, werkzeug, a feature or this service raises is a problem."""

import re
from collections.abc import Mapping
from typing import Any

from flask import Flask, Response, request
from werkzeug.datastructures import Headers
from werkzeug.exceptions import ClientDisconnected, HTTPException, MethodNotAllowed

from petsage.contract import PROBLEM_MEDIA_TYPE, PROBLEMS, ProblemType
from petsage.service import problems
from petsage.service.fast_path import CompleteResponse
from petsage.service.middleware import REQUEST_ID_KEY, request_id_of
from petsage.service.problems import Problem, bounded, cut

_CODES = {
    problem.status: code for code, problem in PROBLEMS.items() if problem.status not in (400, 503)
} | {400: "bad-request"}
# Those that a feature's `abort` means just as the contract does.
_COMMON = {"bad-request", "not-found", "method-not-allowed", "body-too-large", "internal-error"}


def install(app: Flask) -> None:
    """Respond to every error of `app` with a problem."""
    app.register_error_handler(Problem, respond_problem)
    app.register_error_handler(HTTPException, respond_http_exception)


def respond_problem(problem: Problem) -> Response:
    """Respond with a problem."""
    environ = request.environ
    environ[problems.PROBLEM_CODE_KEY] = problem.code
    # Where the blueprint stands on somebody else's app, there is no middleware.
    body = problem.body(environ.get(REQUEST_ID_KEY) or request_id_of(environ))
    response = CompleteResponse.of(body, PROBLEM_MEDIA_TYPE, problem.status)
    response.headers.extend(problem.headers)
    return response


def respond_http_exception(error: HTTPException) -> Response | HTTPException:
    """Respond to an error that Flask or werkzeug raised, or to a feature's `abort`."""
    status = error.code or 500
    if error.response is not None or status < 400:
        return error  # complete as it is, such as a redirect of a feature
    if isinstance(error, ClientDisconnected):
        return respond_problem(Problem("incomplete-body"))
    # The traceback of a 404 leads back to its request: a cycle for the garbage collector.
    error.__traceback__ = error.__context__ = None
    # A status that the contract does not know is a feature's own.
    code = _CODES.get(status) or re.sub(r"[^a-z0-9]+", "-", error.name.lower()).strip("-")
    kind = PROBLEMS.get(code) or ProblemType(status, error.name, "", "")
    # What smorest's and webargs' `abort` add to an error. What a 500 is given stays in the log.
    given = {} if status == 500 else getattr(error, "data", None) or {}
    detail = _detail_of_feature(error, given) or _own_detail(error, code) or f"{kind.title}."
    members: dict[str, Any] = {}
    if (errors := given.get("errors", given.get("messages"))) or code == "validation-error":
        members["errors"] = bounded(errors or {})
    headers = Headers(error.get_headers())
    headers.update(Headers(given.get("headers")))
    for of_the_body in ("Content-Type", "Content-Length"):
        headers.remove(of_the_body)
    return respond_problem(Problem(code, detail, list(headers), kind, **members))


def _detail_of_feature(error: HTTPException, given: Mapping[str, Any]) -> str | None:
    """Return what a feature said of its error: `abort(404, "No such pet")`, or `message=`."""
    said = given.get("message", error.description)
    if error is request.routing_exception or error.code == 500 or said == type(error).description:
        return None
    return cut(said, problems.MAX_TEXT_BYTES) if isinstance(said, str) else None


def _own_detail(error: HTTPException, code: str) -> str | None:
    if isinstance(error, MethodNotAllowed) and error.valid_methods:
        methods = sorted(set(error.valid_methods) - {"HEAD", "OPTIONS"})
        return f"Use {' or '.join(methods or error.valid_methods)}."
    if code == "body-too-large" and (limit := request.max_content_length) is not None:
        return problems.OVER_THE_LIMIT.format(limit=limit)
    return PROBLEMS[code].detail if code in _COMMON else None
