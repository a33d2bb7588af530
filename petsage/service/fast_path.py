"""The Flask app, with shortcuts for the service's own routes.

What each shortcut saves is measured by `python -m bench.app_cost --savings`.
"""

from __future__ import annotations

import re
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any

from blinker import Signal
from flask import Flask, Request, Response, signals
from flask.globals import request_ctx
from werkzeug.exceptions import NotFound

from petsage.contract import JSON_MEDIA_TYPE
from petsage.service.problems import json_bytes

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable

    from _typeshed.wsgi import StartResponse, WSGIApplication, WSGIEnvironment
    from werkzeug.routing import MapAdapter, Rule

# Who listens to a signal: blinker keeps these dictionaries for good.
_LISTENERS = [one.receivers for one in vars(signals).values() if isinstance(one, Signal)]
# Where in the environ the rule of an inline request stands once it is found.
_RULE_KEY = "petsage.inline_rule"
# What a trusted proxy may put before every path. It leads to no other host (`//evil.example`),
# leaves no attribute that it is put in, and is not of any length.
_PREFIX = re.compile(r"(?:/[A-Za-z0-9._~%-]{1,100}){0,9}/?")


class CompleteResponse(Response):
    """A response whose body and headers are complete when it is made."""

    sent_as_it_is = False

    @classmethod
    def of(cls, body: bytes, media_type: str, status: int | None = None) -> CompleteResponse:
        """Return a response with a body of a media type."""
        response = cls([body], status, content_type=media_type)
        # Not as `headers=`: werkzeug would take a list of them for any of five types.
        response.headers.add("Content-Length", str(len(body)))
        return response

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send it; unless it may have changed, without a search for a Location or a stream."""
        if not self.sent_as_it_is:
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.response  # type: ignore[return-value]


def json_response(value: object) -> CompleteResponse:
    """Respond 200 with a value that is JSON already: no schema has to make it so."""
    return CompleteResponse.of(json_bytes(value), JSON_MEDIA_TYPE)


class FastFlask(Flask):
    """A Flask app without redirects, whose inline routes are called without any detour.

    Args:
        import_name: as for Flask.
        precondition: called with the environ of each request that a route takes, before anything
            else of the app; raises an error where the request must not be served.

    """

    def __init__(self, import_name: str, precondition: Callable[[WSGIEnvironment], None]) -> None:
        super().__init__(import_name, static_folder=None)
        self._precondition = precondition
        # A redirect would make a GET of a client's POST (RFC 9110, section 15.4.2).
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False
        self.json.ensure_ascii = False  # type: ignore[attr-defined]
        self.json.sort_keys = False  # type: ignore[attr-defined]

    def serve(self, wsgi_app: WSGIApplication, inline: Collection[str]) -> None:
        """Complete the app of the service; whatever is registered later is a feature's.

        Args:
            wsgi_app: this app with middleware that never waits and rewrites no path.
            inline: the endpoints whose views never wait. They answer with a `CompleteResponse`.

        """
        self.wsgi_app = self._served_app = wsgi_app  # type: ignore[method-assign, assignment]
        self._inline_endpoints = frozenset(inline)
        self._own_hooks = deepcopy(self._hooks())

    def _hooks(self) -> tuple[Any, ...]:
        """Return what Flask calls besides a view."""
        return (
            self.url_value_preprocessors,
            self.before_request_funcs,
            self.after_request_funcs,
            self.teardown_request_funcs,
            self.teardown_appcontext_funcs,
            self.error_handler_spec[None],
            type(self.session_interface),
            self.config["TRUSTED_HOSTS"],
        )

    @cached_property
    def _inline_rules(self) -> dict[tuple[str, str], Rule]:
        """The inline routes by method and path: none once a feature has a hook.

        Flask lets nothing be registered after the first request.
        """
        if self._hooks() != self._own_hooks:
            return {}
        return {
            (method, path): rule
            for rule in self.url_map.iter_rules()
            if rule.endpoint in self._inline_endpoints
            for method in (rule.methods or set()) - {"OPTIONS"}
            for path in (rule.rule, f"{rule.rule}/")
        }

    def _inline_rule(self, environ: WSGIEnvironment) -> Rule | None:
        if any(_LISTENERS):
            return None
        return self._inline_rules.get((environ["REQUEST_METHOD"], environ.get("PATH_INFO", "")))

    def runs_inline(self, environ: WSGIEnvironment) -> bool:
        """Return whether this request is served without ever waiting, so that it needs no thread.

        Only routes of the service itself are, and only while no feature has a hook.
        """
        if self.wsgi_app is not self._served_app:
            return False
        environ[_RULE_KEY] = rule = self._inline_rule(environ)
        return rule is not None

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Find an inline route by one look-up; any other as Flask does."""
        if request is None:
            return super().create_url_adapter(request)
        environ = request.environ
        rule = environ.get(_RULE_KEY) or self._inline_rule(environ)
        if rule is not None:
            environ[_RULE_KEY] = request.url_rule = rule
            request.view_args = {}
            return None
        if environ.get("PATH_INFO", "").startswith("//"):
            raise NotFound  # werkzeug would take it for the path with one slash
        if not _PREFIX.fullmatch(environ.get("SCRIPT_NAME", "")):
            environ["SCRIPT_NAME"] = ""
        return super().create_url_adapter(request)

    def full_dispatch_request(self) -> Response:
        """Call an inline view right away, as there are no hooks; any other as Flask does."""
        environ = request_ctx.request.environ
        rule = environ.get(_RULE_KEY)
        if rule is None:
            return super().full_dispatch_request()
        self._got_first_request = True
        response: Any
        try:
            self._precondition(environ)
            response = self.view_functions[rule.endpoint]()
        except Exception as error:
            response = self.handle_user_exception(error)
        response.sent_as_it_is = True
        return response  # type: ignore[no-any-return]

    def preprocess_request(self) -> Any:
        """Check the precondition of a request that a route takes, before any hook."""
        request = request_ctx.request
        if request.routing_exception is None:
            self._precondition(request.environ)
        return super().preprocess_request()
