"""What comes in and goes out, without what no request here needs: requests, bodies, answers.

Through the public hooks of Flask, werkzeug and webargs alone, and with the same results. What each
shortcut saves is measured by `python -m bench.app_cost --savings`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import wraps
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from flask import Request, Response, has_app_context
from flask.globals import app_ctx, request_ctx
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser

from petsage.contract import JSON_MEDIA_TYPE
from petsage.service.json_text import json_text

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

# RFC 9110, sections 15.3.5 and 15.4.5.
_BODILESS = (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED)


class LeanRequest(Request):
    """A request that is taken apart when it is asked for a part, and not before."""

    _whole = False
    _limit: int | None = None

    def __init__(
        self, environ: WSGIEnvironment, populate_request: bool = True, shallow: bool = False
    ) -> None:
        # Not `super().__init__`: see `__getattr__`.
        self.environ = environ
        self.shallow = shallow
        self.method = environ["REQUEST_METHOD"].upper()
        if populate_request and not shallow:
            environ["werkzeug.request"] = self

    def __getattr__(self, name: str) -> Any:
        """Have werkzeug take the request apart, the first time that something is missing."""
        if self._whole or "environ" not in vars(self):
            raise AttributeError(f"{type(self).__name__!r} object has no attribute {name!r}")
        parts = vars(Request(self.environ, populate_request=False, shallow=self.shallow))
        for part, value in parts.items():
            # What a hook has set stays, and so does what another thread has just put there.
            vars(self).setdefault(part, value)
        self._whole = True
        return getattr(self, name)

    @property
    def max_content_length(self) -> int | None:
        """Bytes that the body may have; a view may set it. Flask would look for it three times."""
        if self._limit is not None or not has_app_context():
            return self._limit
        limit: int | None = app_ctx.app.config["MAX_CONTENT_LENGTH"]
        return limit

    @max_content_length.setter
    def max_content_length(self, value: int | None) -> None:
        self._limit = value

    def close(self) -> None:
        """Close the files of a form, if there are any, and let go of what led nowhere."""
        if "files" in vars(self):
            super().close()
        # A 404's traceback leads back to this request: a circle that only the garbage collector
        # would find, at the cost of other requests. Not without the 404 itself: a hook may close
        # the files long before somebody asks for it.
        fault = self.routing_exception
        if fault is not None:
            fault.__traceback__ = fault.__context__ = None


class LeanResponse(Response):
    """An answer whose whole body and headers are known when it is made."""

    _body: object = None
    _closed_by_another = False

    @classmethod
    def of(cls, body: bytes, media_type: str, status: int | None = None) -> LeanResponse:
        """Return an answer with a body of a media type."""
        response = cls([body], status, content_type=media_type)
        # Not as `headers=`: werkzeug would take a list of them for any of five types.
        response.headers.add("Content-Length", str(len(body)))
        response._body = response.response
        return response

    def call_on_close(self, func: Callable[[], Any]) -> Callable[[], Any]:
        """Have a function called when the answer is closed."""
        self._closed_by_another = True
        return super().call_on_close(func)

    def __call__(self, environ: WSGIEnvironment, start_response: StartResponse) -> Iterable[bytes]:
        """Send it as it is; werkzeug would look for a Location, a stream and a length first."""
        if (
            self.response is not self._body  # somebody has changed it
            or self._closed_by_another
            or self.status_code in _BODILESS
        ):
            return super().__call__(environ, start_response)
        start_response(self.status, self.headers.to_wsgi_list())
        return () if environ["REQUEST_METHOD"] == "HEAD" else self.response  # type: ignore[return-value]


def as_json(value: object) -> LeanResponse:
    """Answer 200 with a value that is JSON already: no schema has to make it so."""
    return LeanResponse.of(json_text(value), JSON_MEDIA_TYPE)


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
