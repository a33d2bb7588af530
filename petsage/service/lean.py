"""Flask without what no request here needs, through its public hooks alone.

Every request is still routed, parsed, validated, stamped and logged. What each shortcut saves
is measured by `python -m bench.app_cost --savings`; what saves less than 2 % is left out.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from functools import cached_property
from inspect import CO_COROUTINE
from itertools import chain
from types import FunctionType
from typing import TYPE_CHECKING, Any, TypeVar

from flask import Flask, Request
from flask.sessions import SecureCookieSessionInterface
from flask.signals import (
    appcontext_popped,
    appcontext_pushed,
    appcontext_tearing_down,
    request_finished,
    request_started,
    request_tearing_down,
)
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import MapAdapter, Rule

from petsage.service.messages import LeanRequest

if TYPE_CHECKING:
    from _typeshed.wsgi import WSGIApplication, WSGIEnvironment

Marked = TypeVar("Marked", bound=Callable[..., Any])


def never_blocks(function: Marked) -> Marked:
    """Mark a view, a hook, an error handler or a URL converter that waits for nothing.

    Where all that a request meets is marked so, the server serves it without a thread.
    """
    function.never_blocks = True  # type: ignore[attr-defined]
    return function


class LeanAdapter(MapAdapter):
    """Finds a path without variables by one look-up; whatever else, as werkzeug does."""

    def __init__(self, app: LeanFlask, request: Request) -> None:
        environ = request.environ
        path = _path_of(environ)
        # Not `bind_to_environ`: it encodes the host as IDNA for each request.
        super().__init__(
            app.url_map,
            server_name="",  # see below
            script_name=environ.get("SCRIPT_NAME") or "/",
            subdomain="",
            url_scheme=environ["wsgi.url_scheme"],
            path_info=f"/{path.lstrip('/')}" if path[:1] != "/" else path,
            default_method=environ["REQUEST_METHOD"],
            query_args=environ.get("QUERY_STRING", ""),
        )
        self._request = request
        self._rules = app.rules_without_variables

    def match(self, *args: Any, **kwargs: Any) -> Any:
        """Return the rule of the request and the values of its variables."""
        if self.path_info.startswith("//"):
            raise NotFound  # werkzeug would take it for the path with one slash
        if not args and kwargs == {"return_rule": True}:
            rule = self._rules.get((self.default_method, self.path_info))
            if rule is not None:
                return rule, {}
        return super().match(*args, **kwargs)

    @property
    def server_name(self) -> str:
        """The host of the request; only who builds a URL asks for it."""
        return self._request.host.lower()

    @server_name.setter
    def server_name(self, _value: str) -> None: ...


class LeanFlask(Flask):
    """A Flask app for an API: no redirects, quick routing, no thread where nothing blocks."""

    request_class = LeanRequest
    _served_by: WSGIApplication | None = None

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A redirect would make a GET of a client's POST (RFC 9110, section 15.4.2).
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False
        self.json.ensure_ascii = False  # type: ignore[attr-defined]
        self.json.sort_keys = False  # type: ignore[attr-defined]

    def serve_by(self, wsgi_app: WSGIApplication) -> None:
        """Put middleware around this app that waits for nothing, and rewrites no path."""
        self.wsgi_app = self._served_by = wsgi_app  # type: ignore[method-assign, assignment]

    @cached_property
    def rules_without_variables(self) -> dict[tuple[str, str], Rule]:
        """What werkzeug finds for each path without variables, and each method.

        Flask takes no rules while it serves.
        """
        adapter = self.url_map.bind("")
        found: dict[tuple[str, str], Rule] = {}
        for rule in self.url_map.iter_rules():
            path = rule.rule.rstrip("/")
            for wanted in () if rule.arguments else (path or "/", f"{path}/"):
                for method in rule.methods or ():
                    # A redirect, a WebSocket, a rule that builds only: none is served as it is.
                    # What else a feature's redirect raises, it raises again for its request.
                    with suppress(Exception):
                        match, values = adapter.match(wanted, method, return_rule=True)
                        if not values:
                            found[method, wanted] = match
        return found

    @property
    def _routes_by_path_alone(self) -> bool:
        return (
            self.config["TRUSTED_HOSTS"] is None
            and self.config["SERVER_NAME"] is None
            and not self.url_map.host_matching
            and not self.url_map.default_subdomain
            and not self.subdomain_matching
        )

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what matches the URL of a request."""
        if request is None or not self._routes_by_path_alone:
            return super().create_url_adapter(request)
        return LeanAdapter(self, request)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Tell by the flag of its code that a function is no coroutine; inspect looks further."""
        if isinstance(func, FunctionType) and not func.__code__.co_flags & CO_COROUTINE:
            return func
        return super().ensure_sync(func)

    def do_teardown_request(self, *exc: Any) -> None:
        """Tear down what is to be torn down after a request, which is nothing of ours."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(*exc)

    def do_teardown_appcontext(self, *exc: Any) -> None:
        """Tear down what is to be torn down with an app context, which is nothing of ours."""
        if self.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
            super().do_teardown_appcontext(*exc)

    def never_blocks(self, environ: WSGIEnvironment) -> bool:
        """Tell the server whether it may serve this request without a thread."""
        if self.wsgi_app is not self._served_by or not self._nothing_blocks_before_a_view:
            return False
        method, path = environ["REQUEST_METHOD"], _path_of(environ)
        rule = self.rules_without_variables.get((method, path))
        if rule is None:
            if not self._finding_never_blocks:
                return False
            if path.startswith("//"):
                return self._no_error_handler_blocks  # see LeanAdapter
            try:
                rule, _ = self.url_map.bind("").match(path, method, return_rule=True)
            except HTTPException:
                return self._no_error_handler_blocks  # 404 or 405: no view is called
            except BaseException:
                return False  # a converter fails: it does so again where Flask answers it
        return rule.endpoint in self._endpoints_that_never_block

    @cached_property
    def _nothing_blocks_before_a_view(self) -> bool:
        sessions = self.session_interface
        registered: tuple[Mapping[Any, Iterable[object]], ...] = (
            self.url_value_preprocessors,
            self.before_request_funcs,
            self.after_request_funcs,
            self.teardown_request_funcs,
            {None: self.teardown_appcontext_funcs},
        )
        return (
            self._routes_by_path_alone
            # Each request opens its session. Flask's own is in the cookie.
            and (type(sessions) is SecureCookieSessionInterface or _all_marked([sessions]))
            and all(_all_marked(hooks) for of in registered for hooks in of.values())
            and not any(signal.receivers for signal in _SIGNALS)
        )

    @cached_property
    def _finding_never_blocks(self) -> bool:
        converters = set(self.url_map.converters.values())
        redirects = (rule.redirect_to for rule in self.url_map.iter_rules())
        return _all_marked(converters - set(self.url_map.default_converters.values())) and (
            _all_marked(redirect for redirect in redirects if callable(redirect))
        )

    @cached_property
    def _no_error_handler_blocks(self) -> bool:
        of_the_app = self.error_handler_spec[None].values()
        return _all_marked(chain.from_iterable(handlers.values() for handlers in of_the_app))

    @cached_property
    def _endpoints_that_never_block(self) -> frozenset[str]:
        views = self.view_functions.items()
        return frozenset(endpoint for endpoint, view in views if _all_marked([view]))


_SIGNALS = (
    appcontext_pushed,
    request_started,
    request_finished,
    request_tearing_down,
    appcontext_tearing_down,
    appcontext_popped,
)


def _all_marked(functions: Iterable[object]) -> bool:
    return all(getattr(function, "never_blocks", False) for function in functions)


def _path_of(environ: WSGIEnvironment) -> str:
    path: str = environ.get("PATH_INFO", "")
    # PEP 3333 hands paths over as Latin-1.
    return path if path.isascii() else path.encode("latin-1").decode(errors="replace")
