"""The files that pages load: Swagger UI's, from its package, and a few of our own.

Only what is listed here is served, under a version that changes with the content of any of them.
"""

import gzip
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from importlib.resources import files
from importlib.resources.abc import Traversable

_SWAGGER_UI = files("flask_swagger_ui") / "dist"
_OURS = files("petsage.service.docs") / "static"
_CSS, _JS, _SVG = "text/css; charset=utf-8", "text/javascript; charset=utf-8", "image/svg+xml"
_LISTED: dict[str, tuple[Traversable, str]] = {
    "swagger-ui-bundle.js": (_SWAGGER_UI, _JS),
    "swagger-ui.css": (_SWAGGER_UI, _CSS),
    "docs.js": (_OURS, _JS),
    "docs.css": (_OURS, _CSS),
    "pages.css": (_OURS, _CSS),
    "favicon.svg": (_OURS, _SVG),
}


@dataclass(frozen=True)
class Content:
    """Something to be served, as it is and compressed."""

    plain: bytes
    gzipped: bytes
    content_type: str


def content_of(body: bytes, content_type: str) -> Content:
    """Return a body with its compressed form."""
    return Content(body, gzip.compress(body, mtime=0), content_type)


def _read(name: str) -> bytes:
    folder, _ = _LISTED[name]
    return (folder / name).read_bytes()


@cache
def version() -> str:
    """Return the version of the assets: it differs whenever a byte of one of them does."""
    digest = sha256()
    for name in _LISTED:
        digest.update(sha256(_read(name)).digest())
    return digest.hexdigest()[:12]


@cache
def _asset(name: str) -> Content:
    return content_of(_read(name), _LISTED[name][1])


def asset(asked_version: str, name: str) -> Content | None:
    """Return an asset, or None where there is none of this name and version."""
    return _asset(name) if name in _LISTED and asked_version == version() else None
