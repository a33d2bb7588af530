"""The pages: `/`, `/docs`, `/redoc` and `/openapi.json`, each from this origin alone."""

import json
import re
from collections.abc import Iterator
from decimal import Decimal
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Any

from flask import Blueprint, Response, abort, request, url_for
from flask_smorest import Api
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from petsage import contract
from petsage.service.blueprint import StrictBlueprint
from petsage.service.routes import TAG
from petsage.service.schemas import WelcomeOut
from petsage.service.settings import Settings

Document = dict[str, Any]

# No page may load, ask or send anything elsewhere, or stand in somebody's frame.
_POLICY = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
_READING_POLICY = f"default-src 'none'; style-src 'self'; img-src 'self'; {_POLICY}"
# Swagger UI's style sheet holds images (data:), and its script asks for the document.
_DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    f"connect-src 'self'; {_POLICY}"
)

# The files that pages load, and no others.
_SWAGGER_UI, _OURS = files("flask_swagger_ui") / "dist", files("petsage.service") / "web"
_ASSETS = {
    "swagger-ui-bundle.js": (_SWAGGER_UI, "text/javascript; charset=utf-8"),
    "swagger-ui.css": (_SWAGGER_UI, "text/css; charset=utf-8"),
    "docs.js": (_OURS, "text/javascript; charset=utf-8"),
    "docs.css": (_OURS, "text/css; charset=utf-8"),
    "pages.css": (_OURS, "text/css; charset=utf-8"),
    "favicon.svg": (_OURS, "image/svg+xml"),
}


@cache
def _asset(name: str) -> bytes:
    return (_ASSETS[name][0] / name).read_bytes()


@cache
def _assets_version() -> str:
    """Return what stands in the path of every asset: it differs whenever a byte of one does."""
    return sha256(b"".join(map(_asset, _ASSETS))).hexdigest()[:12]


def _asset_url(name: str) -> str:
    return url_for("pages.asset", version=_assets_version(), name=name)


def welcome_blueprint(settings: Settings) -> StrictBlueprint:
    """Return the welcome, which names the release where that is disclosed."""
    blueprint = StrictBlueprint("welcome", __name__, tag=TAG)
    a_page = {"type": "string", "examples": ['<!doctype html>\n<html lang="en">…</html>']}

    @blueprint.route(contract.WELCOME_PATH)
    @blueprint.response(200, WelcomeOut())
    @blueprint.alt_response(200, schema=a_page, content_type="text/html")
    def welcome() -> Response | tuple[dict[str, str], dict[str, str]]:
        """Welcome, and where the documentation is; for a browser a page with links."""
        accepted = request.accept_mimetypes
        if accepted["text/html"] <= accepted[contract.JSON_MEDIA_TYPE]:
            body = {"message": contract.WELCOME_MESSAGE, "docs": url_for("pages.docs")}
            return body, {"Vary": "Accept"}
        values = {"message": contract.WELCOME_MESSAGE, "settings": settings}
        page = _page("welcome.html", _READING_POLICY, **values)
        page.headers["Vary"] = "Accept"
        return page

    return blueprint


def pages_blueprint(api: Api) -> Blueprint:
    """Return the pages about the routes of an Api, and what they load."""
    pages = Blueprint("pages", __name__)

    @cache
    def document() -> Document:
        # As its readers have it: nothing but JSON.
        found: Document = json.loads(json.dumps(api.spec.to_dict(), default=_as_json))
        return found

    @pages.route(contract.OPENAPI_PATH)
    def openapi() -> Response:
        prefix = request.environ.get("SCRIPT_NAME", "").rstrip("/")
        servers = {"servers": [{"url": prefix or "/"}]}
        return Response(pretty({**document(), **servers}), content_type=contract.JSON_MEDIA_TYPE)

    @pages.route(contract.DOCS_PATH)
    def docs() -> Response:
        return _page("docs.html", _DOCS_POLICY, title=api.spec.title)

    @pages.route(contract.REDOC_PATH)
    def redoc() -> Response:
        return _page("redoc.html", _READING_POLICY, document=document())

    @pages.route(f"{contract.DOCS_PATH}/assets/<version>/<name>")
    def asset(version: str, name: str) -> Response:
        if version != _assets_version() or name not in _ASSETS:
            abort(404)
        content_type = _ASSETS[name][1]
        headers = {"Cache-Control": "public, max-age=31536000, immutable"}
        return Response(_asset(name), content_type=content_type, headers=headers)

    return pages


def _page(template: str, policy: str, **values: object) -> Response:
    return Response(
        _TEMPLATES.get_template(template).render(**values),
        content_type="text/html; charset=utf-8",
        headers={"Content-Security-Policy": policy},
    )


def operations(document: Document) -> Iterator[tuple[str, str, Document]]:
    """Yield the method, the path and the operation of each operation of an OpenAPI document."""
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in _METHODS:
                shared = item.get("parameters", []) + operation.get("parameters", [])
                yield method, path, {**operation, "parameters": shared}


# What else stands at a path is no operation (OpenAPI 3.1, section 4.8.9).
_METHODS = {"get", "put", "post", "delete", "options", "head", "patch", "trace"}


def resolved(document: Document, holder: Any) -> Document:
    """Return what a `$ref` of this document leads to, or the holder itself without one."""
    for _ in range(10):  # a reference may lead to itself
        if not isinstance(holder, dict) or "$ref" not in holder:
            break
        found: Any = document
        for name in holder["$ref"].removeprefix("#/").split("/"):
            found = found.get(name) if isinstance(found, dict) else None
        holder = found
    return holder if isinstance(holder, dict) else {}


def members(document: Document, schema: Any) -> Document | None:
    """Return the members of a flat object by their names; None for any other schema."""
    found: Document = resolved(document, schema).get("properties", {})
    flat = not any(_NESTING & resolved(document, member).keys() for member in found.values())
    return found if found and flat else None


_NESTING = {"properties", "additionalProperties", "items", "anyOf", "oneOf", "allOf"}


def kind(document: Document, schema: Any) -> str:
    """Return the type of a flat schema in words, such as `string or null` or its one value."""
    schema = resolved(document, schema)
    values = schema.get("enum", [])
    if len(values) == 1:
        return json.dumps(values[0], ensure_ascii=False)
    kinds = schema.get("type", "any")
    return " or ".join(kinds) if isinstance(kinds, list) else str(kinds)


def _as_json(value: object) -> object:
    # The limits of a feature's schema may be dates or Decimals.
    return float(value) if isinstance(value, Decimal) else str(value)


def pretty(value: Any) -> str:
    """Return a value as JSON for people."""
    return json.dumps(value, ensure_ascii=False, indent=2)


def prose(text: str) -> Markup:
    """Return a description as HTML: backticks make code, an empty line ends a paragraph."""
    paragraphs = re.sub(r"`([^`]*)`", r"<code>\1</code>", str(escape(text))).split("\n\n")
    return Markup("\n".join(f"<p>{one}</p>" for one in paragraphs))  # noqa: S704 - escaped above


_TEMPLATES = Environment(
    loader=PackageLoader("petsage.service", "web"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.globals.update(asset=_asset_url, url_for=url_for, operations=operations)
_TEMPLATES.globals.update(resolved=resolved, members=members, kind=kind)
_TEMPLATES.filters.update(prose=prose, pretty=pretty)
