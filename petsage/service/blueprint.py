"""A flask-smorest blueprint that is strict about what it is sent, on whichever Api it stands."""

import re
from io import BytesIO
from typing import Any, NoReturn

from flask import Request, request
from flask.blueprints import BlueprintSetupState
from flask.globals import request_ctx
from flask_smorest import Blueprint
from marshmallow import Schema, ValidationError
from webargs.flaskparser import FlaskParser
from werkzeug.exceptions import ClientDisconnected, HTTPException, RequestEntityTooLarge

from petsage.contract import JSON_MEDIA_TYPE
from petsage.service import strict_json
from petsage.service.error_handlers import respond_http_exception, respond_problem
from petsage.service.expect_release import require_release
from petsage.service.fast_path import FastFlask
from petsage.service.problems import Problem, bounded
from petsage.service.settings import Settings

# RFC 9110, sections 5.6.6 and 8.3.1. Not werkzeug's reader: it leaves out what it can't read.
# Each blank can be matched in one way only, so that none of it is slow; possessive groups would
# say so too, but Python 3.11 before 3.11.5 matches them wrongly.
_PARAMETER = (
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+)="
    r"([!#$%&'*+.^_`|~0-9A-Za-z-]+|\"(?:[^\"\\]|\\.)*\")"
)
_EACH_PARAMETER = re.compile(_PARAMETER)
_JSON = re.compile(rf"{JSON_MEDIA_TYPE}(?:[ \t]*;(?:[ \t]*{_PARAMETER})?)*[ \t]*", re.IGNORECASE)


class StrictParser(FlaskParser):
    """Reads JSON bodies strictly, and says what is wrong in the one shape of errors."""

    def load_json(self, req: Request, schema: Any) -> Any:
        """Return the body's value; its size, its media type and its text are looked at in turn."""
        del schema
        body = _body(req)
        _require_plain_json(req)
        return strict_json.loads(body)

    def get_default_request(self) -> Request:
        """Return the request itself, and not the proxy that looks it up at each attribute."""
        return request_ctx.request

    def handle_error(
        self, error: ValidationError, req: Request, schema: Schema, **_: Any
    ) -> NoReturn:
        """Turn marshmallow's errors into a problem."""
        del req
        # marshmallow's frame holds the error, and the error's traceback that frame: a cycle which
        # only the garbage collector would find. It made a 422 slower by a tenth.
        error.__traceback__ = None
        errors: dict[str, Any] = error.messages_dict
        detail = None
        if "json" in errors:
            if not isinstance(error.data, dict) and not schema.many:
                detail = "Send a JSON object."
            errors["json"] = _in_order(errors["json"], error.data, schema)
        raise Problem("validation-error", detail, errors=bounded(errors)) from None


def _in_order(messages: Any, data: Any, schema: Schema) -> Any:
    """Put the members that the schema knows first, then the others as they came.

    marshmallow finds unknown members in the order of a set, which each process has of its own.
    """
    if not isinstance(messages, dict) or len(messages) < 2 or not isinstance(data, dict):
        return messages
    known = (field.data_key or name for name, field in schema.load_fields.items())
    return {name: messages[name] for name in dict.fromkeys((*known, *data)) if name in messages}


def _body(req: Request) -> bytes:
    source = req.environ["wsgi.input"]
    # A server that has received the body hands it over in memory: it is copied no further, and
    # whoever reads it later finds it there. Not where a hook has begun to read it.
    received = type(source) is BytesIO and "wsgi.input_terminated" in req.environ
    try:
        body = source.getvalue() if received and "stream" not in vars(req) else req.get_data()
    except HTTPException:  # 413 or 400
        raise
    except Exception:
        # What other servers make of a broken chunk, or of a client that is gone; each in its way.
        raise ClientDisconnected from None
    if received and (limit := req.max_content_length) is not None and len(body) > limit:
        raise RequestEntityTooLarge
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
        self.register_error_handler(Problem, respond_problem)
        for unread in (RequestEntityTooLarge, ClientDisconnected):
            self.register_error_handler(unread, respond_http_exception)
        self.record(_expect_no_release)

    def add_url_rule(self, rule: str, *args: Any, **kwargs: Any) -> None:
        """Register a route under the blueprint's tag."""
        # smorest's own decorator hands a None on where the route names no tags.
        tags = kwargs.pop("tags", None) or [self.tag]
        super().add_url_rule(rule, *args, tags=tags, **kwargs)


def _expect_no_release(state: BlueprintSetupState) -> None:
    """Have an app that knows no release reject every `Expect-Release` on these routes."""
    if not isinstance(state.app, FastFlask):
        hooks = state.app.before_request_funcs.setdefault(state.name, [])
        hooks.append(lambda: require_release(Settings(), request.environ))


def reject_query() -> None:
    """Raise a problem if the request has a query parameter."""
    # The environ first: it alone is looked at for a request without a query.
    if request.environ.get("QUERY_STRING") and request.args:
        unknown = {name: ["Unknown field."] for name in request.args}
        errors = bounded({"query": unknown})
        raise Problem("validation-error", "This route takes no query parameters.", errors=errors)
