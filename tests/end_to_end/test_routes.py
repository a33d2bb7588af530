"""The routes and the headers of every response (DESIGN, 2.1 and 2.2), over the wire."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import Any

import pytest

from petsage import __version__, contract
from tests.conftest import COMMIT
from tests.json_corpus import ECHOED, MISFITS, PING, REFUSED, damaged
from tests.running import Service
from tests.wire import JSON, SMOKE_TEST, ask, connected, get

pytestmark = pytest.mark.contract

POSTS = [SMOKE_TEST, "/api/v1/system/smoke-test"]
GETS: dict[str, dict[str, Any]] = {
    "/api/v1/smoke-test": {
        "status": "ok",
        "message": "PetSage Backend is operational.",
        "feature": "smoke_test",
    },
    "/smoke-test": {
        "status": "ok",
        "message": "PetSage service is running and logging is active.",
    },
    "/api/v1/health": {"status": "ok", "message": "PetSage API is purring!"},
    "/system/health": {"status": "ok", "message": "PetSage system is alive and purring!"},
    "/system/live": {"status": "ok"},
    "/": {"message": "Welcome to the PetSage API!", "docs": "/docs"},
}
PAGES = ["/docs", "/redoc", "/openapi.json"]
ALL_GETS = [*GETS, "/system/ready", "/system/version", *PAGES]
BROWSER = {"Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"}


def moment(timestamp: str) -> datetime:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", timestamp)
    return datetime.fromisoformat(timestamp)


def test_the_routes_are_those_of_the_contract() -> None:
    paths = {value for name, value in vars(contract).items() if name.endswith("_PATH")}
    assert paths == {*POSTS, *ALL_GETS}


@pytest.mark.parametrize("path", [path + slash for path in POSTS for slash in ("", "/")])
def test_a_ping_is_echoed_with_a_timestamp_of_now(service: Service, path: str) -> None:
    before = datetime.now(UTC)
    response = ask(service, "POST", path, b'{"ping":"Hello, PetSage!"}', JSON)
    told = response.json
    assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
    assert before <= moment(told.pop("timestamp")) <= datetime.now(UTC)
    assert told == {
        "status": "ok",
        "message": "PetSage system is operational.",
        "pong": "Hello, PetSage!",
    }


@pytest.mark.parametrize("path", GETS)
def test_a_get_route_responds_with_exactly_these_members(service: Service, path: str) -> None:
    for target in {path, f"{path.rstrip('/')}/"}:
        response = get(service, target)
        told = response.json
        if path == "/api/v1/smoke-test":
            moment(told.pop("timestamp"))
        assert (response.status, response.headers["Content-Type"]) == (200, "application/json")
        assert told == GETS[path]


def test_ready_tells_the_status_of_each_check(service: Service) -> None:
    told = get(service, "/system/ready").json
    assert told["status"] == "ok"
    assert told["checks"].keys() == {"logging"}
    assert told["checks"]["logging"]["status"] == "ok"
    assert told["checks"]["logging"]["duration_ms"] >= 0


def test_version_tells_the_release_and_which_variable_told_it(service: Service) -> None:
    response = get(service, "/system/version")
    told = response.json
    assert moment(told.pop("started_at")) < datetime.now(UTC)
    assert told.pop("worker") == response.headers["PetSage-Worker"]
    assert isinstance(told.pop("name"), str)
    assert told == {
        "version": __version__,
        "release": "v43",
        "commit": COMMIT,
        "source": {"release": "PETSAGE_RELEASE", "commit": "PETSAGE_COMMIT"},
        "instance": "web.1",
    }


@pytest.mark.parametrize("path", ALL_GETS)
def test_head_works_where_get_does_and_options_and_405_name_the_methods(
    service: Service, path: str
) -> None:
    for target in {path, f"{path.rstrip('/')}/"}:
        with connected(service) as connection:
            got, head = connection.ask("GET", target), connection.ask("HEAD", target)
            assert (got.status, head.status, head.body) == (200, 200, b"")
            assert head.headers["Content-Type"] == got.headers["Content-Type"]
            options = connection.ask("OPTIONS", target)
            rejected = connection.ask("DELETE", target)
        assert options.status == 200
        assert rejected.problem == (405, "method-not-allowed")
        for response in (options, rejected):
            assert set(response.headers["Allow"].split(", ")) == {"GET", "HEAD", "OPTIONS"}


@pytest.mark.parametrize("path", POSTS)
def test_a_post_route_takes_no_other_method(service: Service, path: str) -> None:
    for method in ("GET", "HEAD", "PUT", "PATCH", "DELETE"):
        response = ask(service, method, path)
        assert response.status == 405
        assert set(response.headers["Allow"].split(", ")) == {"POST", "OPTIONS"}


@pytest.mark.parametrize(
    "path", ["/nothing", "/system//live", "//system/live", "///", "/system/live//", "/Smoke-Test"]
)
def test_any_other_path_is_404_and_never_a_redirect(service: Service, path: str) -> None:
    assert get(service, path).problem == (404, "not-found")


def test_the_root_welcomes_a_browser_with_a_page_and_all_others_with_json(
    service: Service,
) -> None:
    page = get(service, "/", BROWSER)
    assert page.headers["Content-Type"].startswith("text/html")
    assert 'href="/docs"' in page.text
    for accept in ({}, {"Accept": "*/*"}, {"Accept": "application/json"}):
        response = get(service, "/", accept)
        assert response.headers["Content-Type"] == "application/json"
        assert "Accept" in response.headers["Vary"]


def test_the_reading_page_has_no_scripts_and_shows_every_route_and_problem(
    service: Service,
) -> None:
    page = get(service, "/redoc")
    assert "<script" not in page.text
    for path in get(service, "/openapi.json").json["paths"]:
        assert path in page.text
    for code in contract.PROBLEMS:
        assert code in page.text


@pytest.mark.parametrize("path", PAGES)
def test_a_page_is_the_same_with_a_slash_at_its_end(service: Service, path: str) -> None:
    assert get(service, path).body == get(service, f"{path}/").body


def test_assets_of_the_pages_are_cached_for_a_year(service: Service) -> None:
    page = get(service, "/docs").text
    assets = set(re.findall(r'(?:src|href)="(/[^"]+\.(?:js|css|png))"', page))
    assert assets
    for path in assets:
        response = get(service, path)
        assert response.status == 200
        assert "max-age=31536000" in response.headers["Cache-Control"]


def test_nothing_but_the_assets_is_served(service: Service) -> None:
    page = get(service, "/docs").text
    folder = next(iter(re.findall(r'(?:src|href)="(/[^"]+/)[^"/]+\.js"', page)))
    for rest in ("", "index.html", "../app.py", "..%2fapp.py", "%2e%2e/%2e%2e/app.py", ".", "x.js"):
        assert get(service, folder + rest).status == 404, rest


def test_every_string_comes_back(service: Service) -> None:
    with connected(service) as connection:
        for name, (text, pong) in ECHOED.items():
            response = connection.ping(PING % text)
            assert (response.status, response.json["pong"]) == (200, pong), name


def test_every_unicode_scalar_comes_back(service: Service) -> None:
    scalars = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    with connected(service) as connection:
        for start in range(0, len(scalars), 15_000):
            ping = "".join(scalars[start : start + 15_000])
            response = connection.ping(PING % f'"{escaped(ping)}"'.encode())
            assert (response.status, response.json["pong"]) == (200, ping)


def escaped(text: str) -> str:
    """Escape what JSON wants escaped, and nothing else."""
    return re.sub(r'["\\\x00-\x1f]', lambda found: f"\\u{ord(found[0]):04x}", text)


def test_malformed_json_is_400_and_what_does_not_fit_is_422(service: Service) -> None:
    with connected(service) as connection:
        for name, (body, code) in REFUSED.items():
            assert connection.ping(body).problem == (400, code), name
        for name, body in MISFITS.items():
            assert connection.ping(body).problem == (422, "validation-error"), name


def test_damaged_bodies_are_never_an_error_of_the_service(service: Service) -> None:
    with connected(service) as connection:
        statuses = {connection.ping(body).status for body in damaged(seed=7, count=500)}
    assert statuses == {200, 400, 422}


STANDARD = {
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
    "PetSage-Release": "v43",
    "PetSage-Commit": COMMIT,
    "PetSage-Instance": "web.1",
    "Cache-Control": "no-store",
    "Server": "PetSage",
}
TARGETS = {
    "200": ("GET", "/system/live"),
    "HEAD": ("HEAD", "/system/live"),
    "OPTIONS": ("OPTIONS", "/system/live"),
    "404": ("GET", "/nothing"),
    "405": ("PUT", "/system/live"),
    "415": ("POST", SMOKE_TEST),
    "the reading page": ("GET", "/redoc"),
}


@pytest.mark.parametrize(("method", "path"), TARGETS.values(), ids=TARGETS)
def test_every_response_has_the_standard_headers_once(
    service: Service, method: str, path: str
) -> None:
    headers = ask(service, method, path).headers
    assert {name: headers.get_all(name) for name in STANDARD} == {
        name: [value] for name, value in STANDARD.items()
    }
    assert re.fullmatch(r"app;dur=\d+(\.\d+)?", headers["Server-Timing"])
    for name in ("X-Request-ID", "PetSage-Worker", "Content-Security-Policy"):
        assert len(headers.get_all(name, [])) == 1
    policy = headers["Content-Security-Policy"]
    if path == "/redoc":
        assert "unsafe-inline" not in policy.partition("script-src")[2].partition(";")[0]
        assert "unsafe-eval" not in policy
    else:
        assert policy == "default-src 'none'; frame-ancestors 'none'"


@pytest.mark.parametrize("given", ["a", "A/b+c=d._-", "x" * 200])
def test_a_well_formed_id_of_the_caller_is_kept(service: Service, given: str) -> None:
    response = get(service, "/nothing", {"X-Request-ID": given})
    assert response.headers.get_all("X-Request-ID") == [given]
    assert response.json["request_id"] == given


@pytest.mark.parametrize("given", ["", " ", "a b", "é", "x" * 201, "a,b", "a;b", "a\tb", '"a"'])
def test_any_other_id_is_replaced_by_a_new_one(service: Service, given: str) -> None:
    ids = {
        get(service, "/nothing", {"X-Request-ID": given}).headers["X-Request-ID"] for _ in range(2)
    }
    assert len(ids) == 2
    for one in ids:
        assert one != given
        assert re.fullmatch(contract.REQUEST_ID_PATTERN, one)
