"""A flask-smorest blueprint that is strict about what it is sent, on whichever Api it stands."""

import re
from collections.abc import Callable, Mapping
from functools import wraps
from io import BytesIO
from typing import Any, NoReturn, TypeVar

from flask import Request, request
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge
from werkzeug.wsgi import get_content_length

from petsage.contract import JSON_MEDIA_TYPE
from petsage.service import strict_json
from petsage.service.errors import answer_http_exception, answer_problem
from petsage.service.lean import never_blocks as never_blocks  # one import brings both
from petsage.service.messages import LeanParser
from petsage.service.problems import Problem, bounded

View = TypeVar("View", bound=Callable[..., Any])

# RFC 9110, sections 5.6.6 and 8.3.1. Not werkzeug's reader: it leaves out what it can't read.
# Each blank can be matched in one way only, so that none of it is slow; possessive groups would
# say so too, but Python 3.11 before 3.11.5 matches them wrongly.
_PARAMETER = (
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)="
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+|\"(?:[^\"\\]|\\.)*\")"
)
_EACH_PARAMETER = re.compile(_PARAMETER)
_JSON = re.compile(rf"{JSON_MEDIA_TYPE}(?:[ \t]*;(?:[ \t]*{_PARAMETER})?)*[ \t]*", re.IGNORECASE)


class StrictParser(LeanParser):
    """Reads JSON bodies strictly, and says what is wrong in the one shape of errors."""

    def load_json(self, req: Request, schema: Any) -> Any:
        """Return the body's value; its size, its media type and its text are looked at in turn."""
        del schema
        body = _whole_body(req)
        _require_plain_json(req)
        return strict_json.loads(body)

    def handle_error(
        self, error: ValidationError, req: Request, schema: Schema, **_: Any
    ) -> NoReturn:
        """Turn marshmallow's errors into a problem."""
        del req
        # marshmallow's frame holds the error, and the error's traceback that frame: a circle which
        # only the garbage collector would find. It made a 422 slower by a tenth.
        error.__traceback__ = None
        errors = {
            location: _in_order(fields, error.data, schema)
            for location, fields in error.messages_dict.items()
        }
        raise Problem("validation-error", errors=bounded(errors)) from None


def _in_order(fields: Any, data: Any, schema: Schema) -> Any:
    """Put the members that the schema knows first, then the others as they came.

    marshmallow finds unknown members in the order of a set, which each process has of its own.
    """
    if type(fields) is not dict or len(fields) < 2 or not isinstance(data, (dict, Mapping)):
        return fields
    places = {name: place for place, name in enumerate(data)}
    places |= {field.data_key or name: -1 for name, field in schema.load_fields.items()}
    return dict(sorted(fields.items(), key=lambda item: places.get(item[0], -1)))


def _whole_body(req: Request) -> bytes:
    try:
        return _read_body(req)
    except HTTPException:
        raise
    except Exception:
        # What other servers make of a broken chunk, or of a client that is gone; each in its way.
        raise ClientDisconnected from None


def _read_body(req: Request) -> bytes:
    limit = req.max_content_length
    if limit is None or "wsgi.input_terminated" not in req.environ or "stream" in vars(req):
        # A hook may have read it already. It raises 413 and 400 by itself.
        return req.get_data()
    # The server ends the stream where the body ends: it can be read without werkzeug's guards.
    length = get_content_length(req.environ)
    if length is not None and length > limit:
        raise RequestEntityTooLarge
    body: bytes = req.environ["wsgi.input"].read(limit + 1)
    if len(body) > limit:
        raise RequestEntityTooLarge
    if length is not None and len(body) < length:
        raise ClientDisconnected
    # Who reads it after this finds it whole, as with `get_data`.
    req.environ["wsgi.input"] = BytesIO(body)
    return body


def _require_plain_json(req: Request) -> None:
    if req.environ.get("HTTP_CONTENT_ENCODING", "identity").strip().lower() != "identity":
        raise Problem("unsupported-media-type", "Send the body without a Content-Encoding.")
    content_type = req.environ.get("CONTENT_TYPE", "")
    if content_type == JSON_MEDIA_TYPE:
        return
    if _JSON.fullmatch(content_type) is None:
        raise Problem("unsupported-media-type")
    for name, value in _EACH_PARAMETER.findall(content_type):
        if name.lower() == "charset" and value.strip('"').lower() != "utf-8":
            raise Problem("unsupported-media-type", "Send JSON in UTF-8 (RFC 8259, section 8.1).")


class StrictBlueprint(Blueprint):
    """A blueprint that brings its strict parsing, and the shape of its errors, along."""

    ARGUMENTS_PARSER = StrictParser()

    def __init__(self, name: str, import_name: str, *, tag: str, description: str = "") -> None:
        """Make a blueprint whose routes stand under `tag` in the OpenAPI document."""
        super().__init__(name, import_name, description=description)
        self.tag = tag
        self.register_error_handler(Problem, answer_problem)
        for unread in (RequestEntityTooLarge, ClientDisconnected):
            self.register_error_handler(unread, answer_http_exception)

    def add_url_rule(self, rule: str, *args: Any, **kwargs: Any) -> None:
        """Register a route under the blueprint's tag."""
        # smorest's own decorator hands a None on where the route names no tags.
        tags = kwargs.pop("tags", None) or [self.tag]
        super().add_url_rule(rule, *args, tags=tags, **kwargs)


def without_query(view: View) -> View:
    """Make a view refuse every query parameter."""

    @wraps(view)
    def strict(*args: Any, **kwargs: Any) -> Any:
        # The environ first: it alone is looked at for a request without a query.
        if request.environ.get("QUERY_STRING") and request.args:
            unknown = {"query": {name: ["Unknown field."] for name in request.args}}
            raise Problem(
                "validation-error",
                "This route takes no query parameters.",
                errors=bounded(unknown),
            )
        return view(*args, **kwargs)

    return strict  # type: ignore[return-value]
