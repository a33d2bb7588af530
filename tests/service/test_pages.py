"""pages: from this origin alone, under a strict policy, and the same behind any prefix."""

import datetime
import json
from decimal import Decimal
from html.parser import HTMLParser
from itertools import chain
from urllib.parse import urlsplit

import pytest
from flask.testing import FlaskClient
from flask.views import MethodView
from hypothesis import given, settings
from hypothesis import strategies as st
from marshmallow import Schema, fields, validate
from openapi_spec_validator import validate as validate_document

from petsage import create_app
from petsage.contract import PROBLEMS
from petsage.service.blueprint import StrictBlueprint
from petsage.service.settings import Release, Settings
from tests.service.conftest import ClientOf

BROWSER = "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,*/*;q=0.8"
HTML = {"Accept": BROWSER}
PAGES = ["/", "/docs", "/redoc"]
ALL = [*PAGES, "/openapi.json"]
WELCOME = {"message": "Welcome to the PetSage API!", "docs": "/docs"}


class Page(HTMLParser):
    """What a page loads, links to, and might run."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.loaded: list[str] = []
        self.links: list[str] = []
        self.ids: list[str] = []
        self.headings: list[int] = []
        self.inline: list[str] = []
        self._tag = ""
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value or "" for name, value in attrs}
        self._tag = tag
        self.loaded += [given[name] for name in ("src", "data-document") if name in given]
        if "href" in given:
            (self.loaded if tag == "link" else self.links).append(given["href"])
        if "id" in given:
            self.ids.append(given["id"])
        if len(tag) == 2 and tag[0] == "h" and tag[1].isdigit():
            self.headings.append(int(tag[1]))
        self.inline += [name for name in given if name.startswith("on") or name == "style"]

    def handle_data(self, data: str) -> None:
        if self._tag in ("script", "style") and data.strip():
            self.inline.append(data)


def policy_of(headers: dict[str, str]) -> dict[str, list[str]]:
    directives = headers["Content-Security-Policy"].split(";")
    return {name: sources for name, *sources in (part.split() for part in directives)}


@pytest.mark.parametrize(
    "accept",
    [
        None,
        "",
        "*/*",
        "application/json",
        "application/json, text/html;q=0.9",
        "text/html, application/json",
        "text/html;q=0.5, */*;q=0.5",
        "text/html;q=0, */*",
        "image/png",
        "nonsense",
        ";;;,,,q=",
        "text/html;q=nan",
    ],
)
def test_the_welcome_is_json_unless_html_is_preferred(
    client: FlaskClient, accept: str | None
) -> None:
    answer = client.get("/", headers={} if accept is None else {"Accept": accept})
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert answer.json == WELCOME
    assert answer.headers["Vary"] == "Accept"


@pytest.mark.parametrize("accept", [BROWSER, "text/html", "text/*", "text/html, */*;q=0.1"])
def test_a_browser_gets_a_page_with_links(client: FlaskClient, accept: str) -> None:
    answer = client.get("/", headers={"Accept": accept})
    assert answer.content_type == "text/html; charset=utf-8"
    assert answer.headers["Vary"] == "Accept"
    assert {"/docs", "/redoc", "/openapi.json", "/system/health"} <= set(Page(answer.text).links)


@pytest.mark.parametrize("path", PAGES)
def test_a_page_runs_nothing_inline_and_loads_nothing_from_elsewhere(
    client: FlaskClient, path: str
) -> None:
    answer = client.get(path, headers=HTML)
    page = Page(answer.text)
    assert answer.text.startswith("<!doctype html>")
    assert page.inline == []
    assert page.loaded
    assert all(urlsplit(url).netloc == "" and url[0] in "/#" for url in page.loaded + page.links)
    policy = policy_of(answer.headers)
    for directive in ("default-src", "frame-ancestors", "base-uri", "form-action"):
        assert policy[directive] == ["'none'"]
    assert policy.get("script-src", ["'self'"]) == ["'self'"]
    assert not {"'unsafe-inline'", "'unsafe-eval'"} & set(chain(*policy.values()))


@pytest.mark.parametrize("path", ["/", "/redoc"])
def test_only_the_page_that_needs_scripts_may_have_any(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers=HTML)
    assert "<script" not in answer.text
    assert "script-src" not in policy_of(answer.headers)


@pytest.mark.parametrize("path", PAGES)
def test_whatever_a_page_names_is_there(client: FlaskClient, path: str) -> None:
    page = Page(client.get(path, headers=HTML).text)
    for url in page.loaded + page.links:
        if url.startswith("#"):
            assert url[1:] in page.ids
        else:
            assert client.get(url).status_code == 200, url


@pytest.mark.parametrize("path", PAGES)
def test_no_heading_skips_a_level_and_no_anchor_is_there_twice(
    client: FlaskClient, path: str
) -> None:
    page = Page(client.get(path, headers=HTML).text)
    for before, after in zip(page.headings, page.headings[1:], strict=False):
        assert after <= before + 1
    assert page.headings[:1] in ([], [1])
    assert len(page.ids) == len(set(page.ids))


def test_the_reading_view_holds_all_of_the_document(client: FlaskClient) -> None:
    text = client.get("/redoc").text
    page, document = Page(text), client.get("/openapi.json").json
    for path, methods in document["paths"].items():
        assert f"<code>{path}</code>" in text
        assert {operation["operationId"] for operation in methods.values()} <= set(page.ids)
    assert {f"problem-{code}" for code in PROBLEMS} <= set(page.ids)
    for schema in document["components"]["schemas"].values():
        for name in schema["properties"]:
            assert f"{name}</code>" in text or f"&#34;{name}&#34;" in text
    for name in ("Expect-Release", "X-Request-ID", "exclude", "PetSage-Worker"):
        assert f"<code>{name}</code>" in text
    assert "urn:petsage:problem:duplicate-key" in text


@pytest.mark.parametrize("path", ALL)
def test_a_page_keeps_the_rules_of_every_route(client: FlaskClient, path: str) -> None:
    answer = client.get(path, headers=HTML)
    if path != "/":
        assert client.get(path + "/", headers=HTML).data == answer.data
    assert client.get(path + "?anything=1", headers=HTML).data == answer.data
    head = client.head(path, headers=HTML)
    assert (head.status_code, head.data) == (200, b"")
    assert head.headers["Content-Length"] == str(len(answer.data))
    assert set(client.options(path).headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    wrong = client.post(path)
    assert (wrong.status_code, wrong.json["code"]) == (405, "method-not-allowed")
    assert set(wrong.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}
    assert client.get(path, headers={"Expect-Release": "v43"}).status_code == 412


@pytest.mark.parametrize("path", ALL)
def test_a_page_has_the_headers_of_every_answer(client: FlaskClient, path: str) -> None:
    headers = client.get(path, headers=HTML).headers
    assert headers["Cache-Control"] == "no-store"
    assert headers["X-Content-Type-Options"] == "nosniff"
    assert headers["Referrer-Policy"] == "no-referrer"
    assert headers["Cross-Origin-Resource-Policy"] == "same-origin"
    assert headers["X-Request-ID"]
    assert len(headers.getlist("Content-Security-Policy")) == 1


def assets_of(client: FlaskClient) -> list[str]:
    found = [url for path in PAGES for url in Page(client.get(path, headers=HTML).text).loaded]
    return sorted({url for url in found if url.startswith("/docs/assets/")})


def test_assets_are_cached_for_a_year(client: FlaskClient) -> None:
    assert len(assets_of(client)) == 6
    for url in assets_of(client):
        answer = client.get(url)
        assert answer.headers["Cache-Control"] == "public, max-age=31536000, immutable"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"


def test_the_welcome_names_the_release_where_it_is_disclosed(client_of: ClientOf) -> None:
    release = Release("v43", "12e4567890")
    assert "v43" in client_of(release=release).get("/", headers=HTML).text
    hidden = client_of(release=release, disclose_release=False).get("/", headers=HTML)
    assert "v43" not in hidden.text
    assert "12e4567" not in hidden.text


@pytest.mark.parametrize(
    "rest",
    [
        "000000000000/docs.js",
        "{version}/nothing.js",
        "{version}/index.html",
        "{version}/VERSION",
        "{version}/swagger-ui.js",
        "{version}/..%2f__init__.py",
        "{version}/../pages.py",
        "{version}/%2e%2e/static/docs.js",
        "{version}/docs.js%00",
        "{version}/",
        "{version}",
        "",
    ],
)
def test_nothing_but_the_listed_assets_is_served(client: FlaskClient, rest: str) -> None:
    version = assets_of(client)[0].split("/")[3]
    answer = client.get("/docs/assets/" + rest.format(version=version))
    assert (answer.status_code, answer.json["code"]) == (404, "not-found")
    assert answer.headers["Cache-Control"] == "no-store"


def test_behind_a_prefix_every_link_has_it(client_of: ClientOf) -> None:
    client = client_of(trusted_proxies=1)
    prefixed = HTML | {"X-Forwarded-Prefix": "/team/petsage/"}
    for path in PAGES:
        page = Page(client.get(path, headers=prefixed).text)
        urls = [url for url in page.loaded + page.links if not url.startswith("#")]
        assert urls
        assert all(url.startswith("/team/petsage/") for url in urls)
    document = client.get("/openapi.json", headers=prefixed).json
    assert document["servers"] == [{"url": "/team/petsage"}]
    welcome = client.get("/", headers={"X-Forwarded-Prefix": "/team/petsage"}).json
    assert welcome == WELCOME | {"docs": "/team/petsage/docs"}


@pytest.mark.parametrize("path", ALL)
def test_a_prefix_that_nobody_vouches_for_changes_nothing(client: FlaskClient, path: str) -> None:
    plain = client.get(path, headers=HTML)
    given = client.get(path, headers=HTML | {"X-Forwarded-Prefix": "/evil", "Script-Name": "/evil"})
    assert given.data == plain.data


HOSTILE = {
    "another host": "//evil.example",
    "a whole URL": "https://evil.example/",
    "a backslash": "/\\evil.example",
    "an attribute": '"><script>alert(1)</script>',
    "a single quote": "/'onload='x",
    "json": '/"},"x":{"',
    "a template": "/{{7*7}}{%x%}",
    "a new line": "/a\r\nSet-Cookie: a=b",
    "dots": "/../../x",
    "not UTF-8": "/\udcff".encode("utf-8", "surrogateescape").decode("latin-1"),
    "very long": "/a" * 5_000,
    "a list": "/a, /b",
}


@pytest.mark.parametrize("prefix", HOSTILE.values(), ids=HOSTILE)
@pytest.mark.parametrize("path", ALL)
def test_no_prefix_leads_elsewhere_or_breaks_out(
    client_of: ClientOf, path: str, prefix: str
) -> None:
    client = client_of(trusted_proxies=1)
    # The headers of a test client can't hold a new line; those of a server can't either.
    environ = {"HTTP_X_FORWARDED_PREFIX": prefix}
    for headers in (HTML, {}):
        answer = client.get(path, headers=headers, environ_overrides=environ)
        assert answer.status_code == 200
        assert "Set-Cookie" not in answer.headers
        if answer.content_type == "application/json":
            found = json.loads(answer.data)
            assert "x" not in found
            urls = [found.get("docs") or found["servers"][0]["url"]]
        else:
            page = Page(answer.text)
            assert page.inline == []
            assert answer.text.count("<script") == (2 if path == "/docs" else 0)
            urls = page.loaded + page.links
        for url in urls:
            assert urlsplit(url)[:2] == ("", "")
            assert url.startswith(("/", "#"))
            assert not url.startswith("//")
            assert not set(url) & set("\"'<>\\{}\r\n ")
            assert len(url) < 1_100


@pytest.fixture(scope="module")
def trusting() -> FlaskClient:
    return create_app(Settings(trusted_proxies=1)).test_client()


# What a header may hold where a server lets everything through.
HEADER = st.text(st.characters(max_codepoint=0xFF), max_size=60)


@settings(max_examples=200, deadline=None, derandomize=True)
@given(accept=HEADER | st.just(BROWSER), encoding=HEADER | st.just("gzip"), prefix=HEADER)
def test_no_header_makes_a_page_fail(
    trusting: FlaskClient, accept: str, encoding: str, prefix: str
) -> None:
    for path in ALL:
        answer = trusting.get(
            path,
            environ_overrides={
                "HTTP_ACCEPT": accept,
                "HTTP_ACCEPT_ENCODING": encoding,
                "HTTP_X_FORWARDED_PREFIX": prefix,
            },
        )
        assert answer.status_code == 200


class OwnerOut(Schema):
    name = fields.String(required=True)


class PetOut(Schema):
    born = fields.Date(validate=validate.Range(min=datetime.date(2000, 1, 1)))
    price = fields.Decimal(validate=validate.Range(min=Decimal("0.5")))
    owner = fields.Nested(OwnerOut)
    mother = fields.Nested(lambda: PetOut())
    kittens = fields.List(fields.Nested(lambda: PetOut()))


class PhotoIn(Schema):
    photo = fields.Raw(required=True, metadata={"type": "string", "format": "binary"})


def test_whatever_a_feature_documents_can_be_read() -> None:
    pets = StrictBlueprint("pets", __name__, tag="Pets")
    examples = {"a": {"summary": "s", "value": {}}, "b": {"externalValue": "https://b.example"}}

    @pets.route("/pets")
    @pets.etag
    @pets.response(200, PetOut(many=True))
    @pets.paginate()
    def list_pets(pagination_parameters: object) -> None: ...

    @pets.route("/owners", methods=["POST"])
    @pets.arguments(OwnerOut, examples=examples)
    @pets.response(200, OwnerOut, examples=examples)
    @pets.alt_response(409, schema=OwnerOut, description="There is <another>.")
    @pets.alt_response(303, description="Elsewhere.")
    def add_owner(owner: object) -> None: ...

    @pets.route("/photos", methods=["POST"])
    @pets.arguments(PhotoIn, location="files")
    @pets.response(201)
    def upload(files: object) -> None:
        """Keep a photo.

        It is kept for a year.
        """

    @pets.route("/pets/<int:number>", parameters=[{"in": "path", "name": "number"}])
    class Pet(MethodView):
        @pets.response(200, {"oneOf": [{"type": "object"}, {"type": "string"}]})
        @pets.doc(parameters=[{"in": "query", "name": "by", "content": {"text/plain": {}}}])
        def get(self, number: int) -> None: ...

        @pets.response(204, headers={"X-A": {"content": {"text/plain": {}}}})
        @pets.doc(requestBody={"content": {"text/plain": {"schema": True}, "image/png": {}}})
        def patch(self, number: int) -> None: ...

    app = create_app()
    app.extensions["petsage"].api.register_blueprint(pets)
    client = app.test_client()
    document = client.get("/openapi.json").json
    validate_document(document)
    page = client.get("/redoc")
    assert page.status_code == 200
    ids = set(Page(page.text).ids)
    listed = document["paths"]["/pets/{number}"]
    assert {"list_pets", "add_owner", "upload", listed["patch"]["operationId"]} <= ids
    for said in ("It is kept for a year.", "Elsewhere.", "There is &lt;another&gt;."):
        assert said in page.text
