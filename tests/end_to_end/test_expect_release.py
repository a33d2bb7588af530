"""Which release responds, and `Expect-Release` (DESIGN, 2.4), over the wire."""

from __future__ import annotations

import json
import re

import pytest

from petsage import create_app
from tests.conftest import COMMIT
from tests.running import Service
from tests.wire import JSON, SMOKE_TEST, ask, get, send

pytestmark = pytest.mark.contract

PATHS = ["/system/live", "/system/ready", "/system/version", "/", "/docs", "/openapi.json"]
EXPECTED = ["v43", " v43 ", COMMIT, COMMIT[:7], COMMIT[:12].upper()]
OTHERS = ["v44", "v4", "V43", COMMIT[:6], COMMIT[1:9], "unknown", "null", "v43\xa0"]


@pytest.fixture(params=["disclosed", "hidden"])
def v43(request: pytest.FixtureRequest, service: Service, hidden: Service) -> Service:
    return service if request.param == "disclosed" else hidden


@pytest.mark.parametrize("path", PATHS)
def test_the_expected_release_serves_every_route(v43: Service, path: str) -> None:
    for expected in EXPECTED:
        assert get(v43, path, {"Expect-Release": expected}).status == 200, expected


@pytest.mark.parametrize("path", PATHS)
def test_another_release_responds_412_and_asks_to_try_again(v43: Service, path: str) -> None:
    for expected in OTHERS:
        response = get(v43, path, {"Expect-Release": expected})
        assert response.problem == (412, "release-mismatch"), expected
        assert response.headers["Retry-After"] == "1"


def test_nothing_is_echoed_to_a_caller_that_expects_another_release(v43: Service) -> None:
    headers = JSON | {"Expect-Release": "v44"}
    response = ask(v43, "POST", SMOKE_TEST, b'{"ping":"secret"}', headers)
    assert response.status == 412
    assert "secret" not in response.text


def test_412_names_the_release_that_responds_where_it_may(
    service: Service, hidden: Service
) -> None:
    told, silent = (get(one, "/", {"Expect-Release": "v44"}).json for one in (service, hidden))
    assert "v43" in told["detail"]
    assert "v43" not in silent["detail"]


@pytest.mark.parametrize("expected", ["", "  ", "v43,v44", "v43,v43", ","])
def test_an_empty_header_or_one_with_a_comma_is_400(service: Service, expected: str) -> None:
    response = get(service, "/system/live", {"Expect-Release": expected})
    assert response.problem == (400, "bad-request")


def test_a_repeated_header_is_400(service: Service) -> None:
    response = send(
        service,
        b"GET /system/live HTTP/1.1\r\nHost: a\r\n"
        b"Expect-Release: v43\r\nExpect-Release: v43\r\n\r\n",
    )
    assert response
    assert response.problem == (400, "bad-request")


def test_404_and_405_come_first_and_the_body_last(service: Service) -> None:
    other = JSON | {"Expect-Release": "v44"}
    assert get(service, "/nothing", other).status == 404
    assert get(service, SMOKE_TEST, other).status == 405
    for body in (b"{", b"x" * 100_000):
        assert ask(service, "POST", SMOKE_TEST, body, other).status == 412


@pytest.mark.parametrize("path", ["/", "/nothing", "/system/live", "/system/version"])
def test_what_is_not_disclosed_is_in_no_response(hidden: Service, path: str) -> None:
    response = get(hidden, path)
    for name in ("PetSage-Release", "PetSage-Commit", "PetSage-Instance"):
        assert name not in response.headers
    assert response.headers["PetSage-Worker"]
    assert not re.search(f"v43|{COMMIT}|web\\.1", f"{response.headers}{response.text}")


def test_version_tells_nulls_where_nothing_is_disclosed(hidden: Service) -> None:
    told = get(hidden, "/system/version").json
    assert [told[name] for name in ("release", "commit", "source", "instance")] == [None] * 4


def test_a_service_that_knows_no_release_never_guesses() -> None:
    client = create_app().test_client()
    response = client.get("/system/version")
    told = json.loads(response.data)
    assert (told["release"], told["commit"]) == (None, None)
    for name in ("PetSage-Release", "PetSage-Commit"):
        assert response.headers[name] == "unknown"
    for expected in ("unknown", "None", "null", "v43"):
        headers = {"Expect-Release": expected}
        assert client.get("/system/live", headers=headers).status_code == 412
