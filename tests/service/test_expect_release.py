"""expect_release: `Expect-Release` serves the request from the expected release, or not at all."""

import pytest
from flask.testing import FlaskClient

from petsage.service.settings import Release
from tests.service.conftest import ClientOf

COMMIT = "12e4567890abcdef12e4567890abcdef12e45678"
PATHS = ["/system/live", "/system/ready", "/system/version", "/", "/docs", "/openapi.json"]


@pytest.fixture(params=[True, False], ids=["disclosed", "hidden"])
def v43(request: pytest.FixtureRequest, client_of: ClientOf) -> FlaskClient:
    return client_of(release=Release("v43", COMMIT), disclose_release=request.param)


@pytest.mark.parametrize("expected", ["v43", COMMIT, COMMIT[:7], COMMIT[:12].upper(), " v43 "])
@pytest.mark.parametrize("path", PATHS)
def test_the_expected_release_serves_every_route(
    v43: FlaskClient, path: str, expected: str
) -> None:
    assert v43.get(path, headers={"Expect-Release": expected}).status_code == 200


@pytest.mark.parametrize("path", PATHS)
def test_another_release_answers_412_and_asks_curl_to_try_again(
    v43: FlaskClient, path: str
) -> None:
    answer = v43.get(path, headers={"Expect-Release": "v44"})
    assert (answer.status_code, answer.json["code"]) == (412, "release-mismatch")
    assert answer.headers["Retry-After"] == "1"
    assert "v44" not in answer.text


DETAILS = {
    "release": (Release("v43", COMMIT), "v43"),
    "commit": (Release(None, COMMIT), COMMIT),
    "neither": (Release(), "does not know its release"),
}


@pytest.mark.parametrize(("release", "detail"), DETAILS.values(), ids=DETAILS)
def test_412_names_the_release_that_answers_where_it_may(
    client_of: ClientOf, release: Release, detail: str
) -> None:
    headers = {"Expect-Release": "v44"}
    assert detail in client_of(release=release).get("/", headers=headers).json["detail"]
    hidden = client_of(release=release, disclose_release=False).get("/", headers=headers)
    assert detail not in hidden.text


def test_nothing_is_echoed_to_a_caller_that_expects_another_release(v43: FlaskClient) -> None:
    answer = v43.post(
        "/system/smoke-test", json={"ping": "secret"}, headers={"Expect-Release": "v44"}
    )
    assert answer.status_code == 412
    assert "secret" not in answer.text


@pytest.mark.parametrize("expected", ["", "  ", "v43,v44", "v43,v43", ","])
def test_an_empty_or_repeated_header_is_400(v43: FlaskClient, expected: str) -> None:
    answer = v43.get("/system/live", headers={"Expect-Release": expected})
    assert (answer.status_code, answer.json["code"]) == (400, "bad-request")


def test_unknown_is_never_expected_rightly(client: FlaskClient) -> None:
    assert client.get("/system/live", headers={"Expect-Release": "unknown"}).status_code == 412


def test_a_blank_that_http_does_not_know_is_part_of_the_name(v43: FlaskClient) -> None:
    assert v43.get("/system/live", headers={"Expect-Release": "v43\xa0"}).status_code == 412


def test_404_and_405_come_first_and_the_body_last(v43: FlaskClient) -> None:
    expect_another = {"Expect-Release": "v44"}
    assert v43.get("/nothing", headers=expect_another).status_code == 404
    assert v43.get("/system/smoke-test", headers=expect_another).status_code == 405
    for body in (b"{", b"x" * 100_000):
        assert v43.post("/system/smoke-test", data=body, headers=expect_another).status_code == 412
