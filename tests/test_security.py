"""SECURITY.md: each rule names a test that is there; and the rules that no other tests show."""

import re
from pathlib import Path

import pytest

from petsage import create_app
from petsage.contract import SMOKE_TEST_PATH
from tests.running import ROOT, Service
from tests.wire import ask

pytestmark = pytest.mark.contract

PATHS = ["/", "/docs", "/redoc", "/openapi.json", "/system/live", "/system/version", "/nothing"]


def test_every_test_that_security_md_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", Path(ROOT, "SECURITY.md").read_text())
    assert len(named) > 30
    for path, test in named:
        assert not test or f"def {test}(" in Path(ROOT, path).read_text(), f"{path}::{test}"


def test_no_response_opens_itself_to_other_origins_or_sets_a_cookie() -> None:
    client = create_app().test_client()
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for path in [*PATHS, SMOKE_TEST_PATH]:
        for method in ("GET", "OPTIONS", "POST"):
            headers = client.open(path, method=method, headers=asks).headers
            assert not [name for name, _ in headers if name.lower().startswith("access-")]
            assert "Set-Cookie" not in headers


@pytest.mark.parametrize("path", [*PATHS[:-1], SMOKE_TEST_PATH])
def test_no_route_responds_to_trace(service: Service, path: str) -> None:
    assert ask(service, "TRACE", path).problem == (405, "method-not-allowed")


def test_no_response_names_a_component_or_its_version() -> None:
    client = create_app().test_client()
    for path in PATHS:
        response = client.get(path)
        told = f"{response.headers}{response.text}".lower()
        for name in ("flask", "werkzeug", "gunicorn", "python", "smorest", "uvloop", "marshmallow"):
            assert name not in told, f"{path} names {name}"
