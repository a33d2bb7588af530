"""routes: every JSON route of the contract, with its exact members and messages."""

import re
from datetime import UTC, datetime, timedelta

import pytest
from flask.testing import FlaskClient

from petsage import __version__
from petsage.service.settings import Release
from tests.json_corpus import ECHOED, MISFITS, PING, REFUSED
from tests.service.conftest import ClientOf

POSTS = ["/system/smoke-test", "/api/v1/system/smoke-test"]
GETS = {
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
}
ALL_PATHS = [*POSTS, *GETS, "/system/ready", "/system/version"]
TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z")


def moment(timestamp: str) -> datetime:
    assert TIMESTAMP.fullmatch(timestamp)
    return datetime.fromisoformat(timestamp)


@pytest.mark.parametrize("path", POSTS)
def test_a_ping_is_echoed_with_a_timestamp_of_now(client: FlaskClient, path: str) -> None:
    answer = client.post(path, json={"ping": "Hello, PetSage!"})
    assert (answer.status_code, answer.content_type) == (200, "application/json")
    assert list(answer.json) == ["status", "message", "pong", "timestamp"]
    assert answer.json["status"] == "ok"
    assert answer.json["message"] == "PetSage system is operational."
    assert answer.json["pong"] == "Hello, PetSage!"
    assert abs(datetime.now(UTC) - moment(answer.json["timestamp"])) < timedelta(seconds=10)


@pytest.mark.parametrize(("text", "pong"), ECHOED.values(), ids=ECHOED)
def test_every_string_comes_back_as_it_went(client: FlaskClient, text: bytes, pong: str) -> None:
    body = PING % text
    answer = client.post(POSTS[0], data=body, content_type="application/json")
    assert (answer.status_code, answer.json["pong"]) == (200, pong)


@pytest.mark.parametrize(("body", "code"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_strict_json_is_400(client: FlaskClient, body: bytes, code: str) -> None:
    answer = client.post(POSTS[0], data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (400, code)


@pytest.mark.parametrize("body", MISFITS.values(), ids=MISFITS)
def test_what_does_not_fit_the_schema_is_422(client: FlaskClient, body: bytes) -> None:
    answer = client.post(POSTS[0], data=body, content_type="application/json")
    assert (answer.status_code, answer.json["code"]) == (422, "validation-error")
    assert list(answer.json["errors"]) == ["json"]


@pytest.mark.parametrize(
    ("body", "errors"),
    [
        ({}, {"ping": ["Missing data for required field."]}),
        ({"ping": None}, {"ping": ["Field may not be null."]}),
        ({"ping": 1}, {"ping": ["Not a valid string."]}),
        ({"ping": "a", "pong": "b"}, {"pong": ["Unknown field."]}),
        ([], {"_schema": ["Invalid input type."]}),
    ],
)
def test_a_misfit_is_told_as_flask_smorest_tells_it(
    client: FlaskClient, body: object, errors: dict[str, list[str]]
) -> None:
    assert client.post(POSTS[0], json=body).json["errors"] == {"json": errors}


@pytest.mark.parametrize(("path", "members"), GETS.items(), ids=GETS)
def test_a_get_route_says_exactly_this(
    client: FlaskClient, path: str, members: dict[str, str]
) -> None:
    answer = client.get(path)
    told = dict(answer.json)
    if path == "/api/v1/smoke-test":
        moment(told.pop("timestamp"))
    assert (answer.status_code, told) == (200, members)


@pytest.mark.parametrize("path", ALL_PATHS)
def test_a_slash_at_the_end_changes_nothing_and_redirects_nobody(
    client: FlaskClient, path: str
) -> None:
    for target in (path, f"{path}/"):
        if path in POSTS:
            assert client.post(target, json={"ping": ""}).status_code == 200
        else:
            assert client.get(target).status_code == 200


@pytest.mark.parametrize("path", ALL_PATHS)
def test_options_and_405_name_the_methods_and_head_works_where_get_does(
    client: FlaskClient, path: str
) -> None:
    methods = {"POST", "OPTIONS"} if path in POSTS else {"GET", "HEAD", "OPTIONS"}
    options = client.options(path)
    assert (options.status_code, set(options.allow)) == (200, methods)
    refused = client.delete(path)
    assert (refused.status_code, refused.json["code"]) == (405, "method-not-allowed")
    assert set(refused.allow) == methods
    head = client.head(path)
    assert (head.status_code, head.data) == (200 if "HEAD" in methods else 405, b"")


@pytest.mark.parametrize(
    "path", ["/system//live", "//system/live", "///", "/system/live//", "/Smoke-Test"]
)
def test_a_path_that_is_nearly_right_is_404_and_never_a_redirect(
    client: FlaskClient, path: str
) -> None:
    # The client itself would read `//system` as a host.
    assert client.get(environ_overrides={"PATH_INFO": path}).status_code == 404


@pytest.mark.parametrize("path", POSTS)
def test_a_post_route_takes_no_query(client: FlaskClient, path: str) -> None:
    answer = client.post(f"{path}?verbose=1&verbose=2&x", json={"ping": ""})
    assert (answer.status_code, answer.json["code"]) == (422, "validation-error")
    assert answer.json["errors"] == {
        "query": {"verbose": ["Unknown field."], "x": ["Unknown field."]}
    }


@pytest.mark.parametrize("path", [*GETS, "/system/version"])
def test_elsewhere_a_query_is_ignored(client: FlaskClient, path: str) -> None:
    assert client.get(f"{path}?cachebuster=1").status_code == 200


def test_ready_leaves_out_what_is_excluded_and_knows_its_names(client: FlaskClient) -> None:
    assert list(client.get("/system/ready").json) == ["status", "checks"]
    assert client.get("/system/ready").json["checks"]["logging"]["status"] == "ok"
    excluded = client.get("/system/ready?exclude=logging&exclude=logging")
    assert excluded.json == {"status": "ok", "checks": {}}
    for query in ("exclude=nothing", "exclude=", "exclud=logging", "exclude=logging&x=1"):
        answer = client.get(f"/system/ready?{query}")
        assert (answer.status_code, answer.json["code"]) == (422, "validation-error")


def test_a_failed_check_is_503_and_tells_nothing_of_its_error(client: FlaskClient) -> None:
    readiness = client.application.extensions["petsage"].readiness
    readiness.add("database", lambda: int("secret"))
    answer = client.get("/system/ready")
    assert (answer.status_code, answer.json["code"]) == (503, "not-ready")
    assert {name: check["status"] for name, check in answer.json["checks"].items()} == {
        "logging": "ok",
        "database": "failed",
    }
    assert "secret" not in answer.text
    assert client.get("/system/ready?exclude=database").status_code == 200


VERSION_MEMBERS = [
    *("name", "version", "release", "commit", "source", "instance", "worker", "started_at")
]


def test_version_tells_the_release_and_who_told_it(client_of: ClientOf) -> None:
    release = Release("v43", "12e4567", "HEROKU_RELEASE_VERSION", "SOURCE_VERSION")
    told = client_of(release=release, instance="web.1").get("/system/version").json
    assert list(told) == VERSION_MEMBERS
    assert (told["name"], told["version"]) == ("petsage", __version__)
    assert (told["release"], told["commit"], told["instance"]) == ("v43", "12e4567", "web.1")
    assert told["source"] == {"release": "HEROKU_RELEASE_VERSION", "commit": "SOURCE_VERSION"}
    assert moment(told["started_at"]) < datetime.now(UTC)
    assert told["worker"]


def test_version_without_disclosure_tells_nulls(client_of: ClientOf) -> None:
    client = client_of(release=Release("v43", "12e4567"), disclose_release=False)
    told = client.get("/system/version").json
    assert list(told) == VERSION_MEMBERS
    assert [told[name] for name in ("release", "commit", "source", "instance")] == [None] * 4
    assert told["worker"]


def test_version_never_guesses(client: FlaskClient) -> None:
    told = client.get("/system/version").json
    assert (told["release"], told["commit"]) == (None, None)
    assert told["source"] == {"release": None, "commit": None}
