"""Flask without what no request here needs, through its public hooks alone.

Every request is still routed, parsed, validated, stamped and logged. What each shortcut saves
is measured by `python -m bench.app_cost --savings`; what saves less than 2 % is left out.
"""

from collections.abc import Callable, Iterable
from functools import cached_property, wraps
from inspect import CO_COROUTINE
from types import FunctionType
from typing import TYPE_CHECKING, Any

from flask import Flask, Request, Response
from flask.globals import app_ctx, request_ctx
from flask.sessions import NullSession, SessionInterface, SessionMixin
from flask.signals import appcontext_tearing_down, request_tearing_down
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import HTTPException, NotFound
from werkzeug.routing import MapAdapter, Rule

from petsage.contract import JSON_MEDIA_TYPE
from petsage.service.json_text import json_text

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment


class LeanRequest(Request):
    """A request that is taken apart when it is asked for a part, and not before."""

    def __init__(
        self, environ: "WSGIEnvironment", populate_request: bool = True, shallow: bool = False
    ) -> None:
        # Not `super().__init__`: see `__getattr__`.
        self.environ = environ
        self.shallow = shallow
        self.method = environ["REQUEST_METHOD"].upper()
        if populate_request and not shallow:
            environ["werkzeug.request"] = self

    def __getattr__(self, name: str) -> Any:
        """Have werkzeug take the request apart, the first time that something is missing."""
        if "headers" not in vars(self):
            super().__init__(self.environ, populate_request=False, shallow=self.shallow)
            return getattr(self, name)
        raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")

    @cached_property
    def max_content_length(self) -> int | None:  # type: ignore[override]
        """Bytes that the body may have; a view may set it. Flask would look at it three times."""
        limit: int | None = app_ctx.app.config["MAX_CONTENT_LENGTH"]
        return limit

    def close(self) -> None:
        """Close the files of a form, if there are any."""
        if "files" in vars(self):
            super().close()


class LeanResponse(Response):
    """An answer whose whole body and headers are known when it is made."""

    def __call__(
        self, environ: "WSGIEnvironment", start_response: "StartResponse"
    ) -> Iterable[bytes]:
        """Send it as it is; werkzeug would look for a Location, a stream and a length first."""
        start_response(self.status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.response  # type: ignore[return-value]


def as_json(value: object) -> LeanResponse:
    """Answer 200 with a value that is JSON already: no schema has to make it so."""
    return lean_response(json_text(value), JSON_MEDIA_TYPE)


def lean_response(body: bytes, media_type: str, status: int | None = None) -> LeanResponse:
    """Answer with a body of a media type."""
    response = LeanResponse([body], status, content_type=media_type)
    # Not as `headers=`: werkzeug would take a list of them for any of five types.
    response.headers.add("Content-Length", str(len(body)))
    return response


class LeanParser(FlaskParser):
    """Parses a body by its schema right away, where a view asks for nothing else."""

    def use_args(
        self, argmap: Any, req: Any = None, *, location: str | None = None, **options: Any
    ) -> Callable[..., Any]:
        """Return a decorator that hands the parsed arguments to a view."""
        if location != "json" or req or options or not isinstance(argmap, Schema):
            return super().use_args(argmap, req, location=location, **options)

        def decorator(view: Callable[..., Any]) -> Callable[..., Any]:
            @wraps(view)
            def parsing(*args: Any, **kwargs: Any) -> Any:
                return view(*args, self._load(argmap), **kwargs)

            return parsing

        return decorator

    def _load(self, schema: Schema) -> Any:
        # The request itself, and not Flask's proxy, which looks it up at each attribute.
        request = request_ctx.request
        try:
            return schema.load(self.load_json(request, schema))
        except ValidationError as error:
            error.messages = {"json": error.messages}
            self.handle_error(error, request, schema, error_status_code=None, error_headers=None)


class NoSession(SessionInterface):
    """Sessions for an API that has none: one empty session that can't be written to."""

    _session = NullSession()

    def open_session(self, app: Flask, request: Request) -> SessionMixin:
        """Return the empty session."""
        del app, request
        return self._session

    def save_session(self, app: Flask, session: SessionMixin, response: Response) -> None:
        """Save nothing."""


class LeanAdapter(MapAdapter):
    """Finds a path without variables by one look-up; whatever else, as werkzeug does."""

    def __init__(self, app: "LeanFlask", request: Request) -> None:
        environ = request.environ
        path: str = environ.get("PATH_INFO", "")
        if not path.isascii():
            # PEP 3333 hands paths over as Latin-1.
            path = path.encode("latin-1").decode(errors="replace")
        # Not `bind_to_environ`: it encodes the host as IDNA for each request.
        super().__init__(
            app.url_map,
            server_name=environ.get("HTTP_HOST") or environ["SERVER_NAME"],
            script_name=environ.get("SCRIPT_NAME") or "/",
            subdomain="",
            url_scheme=environ["wsgi.url_scheme"],
            path_info=f"/{path.lstrip('/')}" if path[:1] != "/" else path,
            default_method=environ["REQUEST_METHOD"],
            query_args=environ.get("QUERY_STRING", ""),
        )
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


class LeanFlask(Flask):
    """A Flask app for an API: no sessions, no redirects, quick routing."""

    request_class = LeanRequest
    session_interface = NoSession()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # A redirect would make a GET of a client's POST (RFC 9110, section 15.4.2).
        self.url_map.strict_slashes = False
        self.url_map.merge_slashes = False
        self.json.ensure_ascii = False  # type: ignore[attr-defined]
        self.json.sort_keys = False  # type: ignore[attr-defined]

    @cached_property
    def rules_without_variables(self) -> dict[tuple[str, str], Rule]:
        """Each rule without variables, by method and path; Flask takes no rules while it serves."""
        return {
            (method, path): rule
            for rule in self.url_map.iter_rules()
            if not rule.arguments
            for method in rule.methods or ()
            for path in (rule.rule.rstrip("/"), rule.rule.rstrip("/") + "/")
        }

    def create_url_adapter(self, request: Request | None) -> MapAdapter | None:
        """Return what matches the URL of a request."""
        if request is None:
            return super().create_url_adapter(None)
        return LeanAdapter(self, request)

    def ensure_sync(self, func: Callable[..., Any]) -> Callable[..., Any]:
        """Tell by the flag of its code that a function is no coroutine; inspect looks further."""
        if isinstance(func, FunctionType) and not func.__code__.co_flags & CO_COROUTINE:
            return func
        return super().ensure_sync(func)

    def preprocess_request(self) -> Any:
        """Call what is to be called before each request; no blueprint of ours adds to that."""
        if self.url_value_preprocessors or self.before_request_funcs.keys() != {None}:
            return super().preprocess_request()
        for function in self.before_request_funcs[None]:
            answer = self.ensure_sync(function)()
            if answer is not None:
                return answer
        return None

    def do_teardown_request(self, *exc: Any) -> None:
        """Tear down what is to be torn down after a request, which is nothing of ours."""
        if self.teardown_request_funcs or request_tearing_down.receivers:
            super().do_teardown_request(*exc)

    def do_teardown_appcontext(self, *exc: Any) -> None:
        """Tear down what is to be torn down with an app context, which is nothing of ours."""
        if self.teardown_appcontext_funcs or appcontext_tearing_down.receivers:
            super().do_teardown_appcontext(*exc)

    def never_blocks(self, environ: dict[str, Any]) -> bool:
        """Tell the server whether it may serve this request without a thread."""
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"]
        rule = self.rules_without_variables.get((method, path))
        if rule is None:
            try:
                rule, _ = self.url_map.bind("").match(path, method, return_rule=True)
            except HTTPException:
                return True  # 404 or 405: no view is called
        return rule.endpoint in self._endpoints_that_never_block

    @cached_property
    def _endpoints_that_never_block(self) -> frozenset[str]:
        return frozenset(
            endpoint
            for endpoint, view in self.view_functions.items()
            if getattr(view, "never_blocks", False)
        )
