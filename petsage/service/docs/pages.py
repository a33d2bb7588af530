"""The pages: `/`, `/docs`, `/redoc` and `/openapi.json`, each from this origin alone.

Whatever stands before a path comes in through `base_of`, which lets through nothing but a path.
"""

import json
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from flask import Blueprint, Response, abort, request
from flask_smorest import Api
from jinja2 import Environment, PackageLoader, StrictUndefined

from petsage.contract import (
    DOCS_PATH,
    JSON_MEDIA_TYPE,
    OPENAPI_PATH,
    READY_PATH,
    REDOC_PATH,
    SYSTEM_HEALTH_PATH,
    VERSION_PATH,
    WELCOME_MESSAGE,
    WELCOME_PATH,
)
from petsage.service.docs import assets, reading
from petsage.service.docs.assets import Content, content_of
from petsage.service.lean import never_blocks
from petsage.service.routes import TAG
from petsage.service.schemas import WelcomeOut
from petsage.service.strict_blueprint import StrictBlueprint

ASSETS_PATH = f"{DOCS_PATH}/assets"
HTML = "text/html; charset=utf-8"

# No page may load, ask or send anything elsewhere, or stand in somebody's frame.
_POLICY = "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
READING_POLICY = f"default-src 'none'; style-src 'self'; img-src 'self'; {_POLICY}"
# Swagger UI's style sheet holds images (data:), and its script asks for the document.
DOCS_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    f"connect-src 'self'; {_POLICY}"
)
# A page is rendered once for each prefix that it is asked for under; a caller may invent many.
KEPT_PAGES = 8
LONGEST_PREFIX = 200

_TEMPLATES = Environment(
    loader=PackageLoader("petsage.service.docs"),
    autoescape=True,
    undefined=StrictUndefined,
    trim_blocks=True,
    lstrip_blocks=True,
)
_TEMPLATES.filters |= {"prose": reading.prose, "pretty": reading.pretty}


def base_of(script_root: str) -> str:
    """Return the path that the app stands under, safe in any URL, HTML or JSON; often empty.

    A proxy may hand on what its client said, so that no prefix may lead to another host
    (`//evil.example`), leave the attribute it is put in, or be of any length.
    """
    segments = [segment for segment in script_root.split("/") if segment not in ("", ".", "..")]
    base = "".join(f"/{quote(segment, safe='%')}" for segment in segments)
    return base if len(base) <= LONGEST_PREFIX else ""


def _render(template: str, base: str, **values: object) -> bytes:
    page = _TEMPLATES.get_template(template).render(
        assets=f"{base}{ASSETS_PATH}/{assets.version()}",
        docs=base + DOCS_PATH,
        redoc=base + REDOC_PATH,
        openapi=base + OPENAPI_PATH,
        **values,
    )
    return page.encode()


def _answer(content: Content, headers: dict[str, str]) -> Response:
    compressed = request.accept_encodings["gzip"] > 0
    response = Response(
        content.gzipped if compressed else content.plain,
        content_type=content.content_type,
        headers={"Vary": "Accept-Encoding", **headers},
    )
    if compressed:
        response.content_encoding = "gzip"
    return response


welcome_blueprint = StrictBlueprint("welcome", __name__, tag=TAG)
_A_PAGE = {"type": "string", "examples": ['<!doctype html>\n<html lang="en">…</html>']}


@welcome_blueprint.route(WELCOME_PATH)
@never_blocks
@welcome_blueprint.response(200, WelcomeOut())
@welcome_blueprint.alt_response(200, schema=_A_PAGE, content_type="text/html")
def welcome() -> Response | tuple[dict[str, str], dict[str, str]]:
    """Welcome, and where the documentation is; for a browser a page with links."""
    base = base_of(request.script_root)
    vary = {"Vary": "Accept"}
    accepted = request.accept_mimetypes
    if accepted["text/html"] > accepted[JSON_MEDIA_TYPE]:
        return Response(
            _welcome_page(base),
            content_type=HTML,
            headers={"Content-Security-Policy": READING_POLICY, **vary},
        )
    return {"message": WELCOME_MESSAGE, "docs": base + DOCS_PATH}, vary


@lru_cache(KEPT_PAGES)
def _welcome_page(base: str) -> bytes:
    return _render(
        "welcome.html",
        base,
        message=WELCOME_MESSAGE,
        health=base + SYSTEM_HEALTH_PATH,
        ready=base + READY_PATH,
        version=base + VERSION_PATH,
    )


def pages_blueprint(api: Api) -> Blueprint:
    """Return the pages about the routes of an Api, and what they load.

    Unlike the welcome they are no views that never block: the first of each takes some 30 ms.
    """
    pages = Blueprint("pages", __name__)

    def document(base: str) -> dict[str, Any]:
        found = api.spec.to_dict()
        first = {"openapi": found["openapi"], "info": found["info"]}
        whole = {**first, "servers": [{"url": base or "/"}], **found}
        # As its readers have it: nothing but JSON.
        described: dict[str, Any] = json.loads(reading.pretty(whole))
        return described

    @lru_cache(KEPT_PAGES)
    def openapi_content(base: str) -> Content:
        return content_of(reading.pretty(document(base)).encode(), JSON_MEDIA_TYPE)

    @lru_cache(KEPT_PAGES)
    def docs_content(base: str) -> Content:
        return content_of(_render("docs.html", base, title=api.spec.title), HTML)

    @lru_cache(KEPT_PAGES)
    def redoc_content(base: str) -> Content:
        described = document(base)
        page = _render(
            "redoc.html",
            base,
            document=described,
            operations=reading.operations(described),
            problems=described["x-problems"],
            problem_members=reading.problem_members(described),
        )
        return content_of(page, HTML)

    @pages.route(OPENAPI_PATH)
    def openapi() -> Response:
        return _answer(openapi_content(base_of(request.script_root)), {})

    @pages.route(DOCS_PATH)
    def docs() -> Response:
        policy = {"Content-Security-Policy": DOCS_POLICY}
        return _answer(docs_content(base_of(request.script_root)), policy)

    @pages.route(REDOC_PATH)
    def redoc() -> Response:
        policy = {"Content-Security-Policy": READING_POLICY}
        return _answer(redoc_content(base_of(request.script_root)), policy)

    @pages.route(f"{ASSETS_PATH}/<version>/<name>")
    def asset(version: str, name: str) -> Response:
        found = assets.asset(version, name)
        if found is None:
            abort(404)
        return _answer(found, {"Cache-Control": "public, max-age=31536000, immutable"})

    return pages
