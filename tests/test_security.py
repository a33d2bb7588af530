"""SECURITY.md: each rule names a test that is there; and the rules that no room's tests show."""

import ast
import re
import time
from pathlib import Path

import pytest

from petsage import create_app
from petsage.contract import SMOKE_TEST_PATH
from petsage.service import middleware, strict_json
from petsage.service.problems import Problem
from tests.running import ROOT

SERVICE = sorted(Path(ROOT, "petsage/service").rglob("*.py"))
PATHS = ["/", "/docs", "/redoc", "/openapi.json", "/system/live", "/system/version", "/nothing"]


def test_every_test_that_security_md_names_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)(?:::(\w+))?`", Path(ROOT, "SECURITY.md").read_text())
    assert len(named) > 30
    for path, test in named:
        assert not test or f"def {test}(" in Path(ROOT, path).read_text(), f"{path}::{test}"


def test_the_service_starts_no_process_and_evaluates_nothing() -> None:
    for path in SERVICE:
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import | ast.ImportFrom):
                names = [alias.name for alias in node.names] + [getattr(node, "module", "") or ""]
                assert not {"subprocess", "pickle", "marshal", "shelve"} & set(names), path
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                assert node.func.id not in {"eval", "exec", "compile"}, path


def test_no_expression_runs_away() -> None:
    began = time.monotonic()
    for body in (b'["' + b"\\" * 60_000, b'"' * 60_000, b"[" * 65 + b'"\\' * 30_000):
        with pytest.raises(Problem):
            strict_json.loads(body)
    for header in ("00-" + "0" * 8_000, "a" * 8_000, "=" * 8_000 + "\n"):
        middleware.request_id_of({"HTTP_X_REQUEST_ID": header})
        middleware.trace_id_of({"HTTP_TRACEPARENT": header})
    assert time.monotonic() - began < 1


def test_no_answer_opens_itself_to_other_origins_or_sets_a_cookie() -> None:
    client = create_app().test_client()
    asks = {"Origin": "https://evil.example", "Access-Control-Request-Method": "POST"}
    for path in [*PATHS, SMOKE_TEST_PATH]:
        for method in ("GET", "OPTIONS", "POST"):
            headers = client.open(path, method=method, headers=asks).headers
            assert not [name for name, _ in headers if name.lower().startswith("access-")]
            assert "Set-Cookie" not in headers


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "PURGE", "PROPFIND"])
def test_no_route_answers_to_trace_or_an_invented_method(method: str) -> None:
    client = create_app().test_client()
    for path in [*PATHS[:-1], SMOKE_TEST_PATH]:
        answer = client.open(path, method=method)
        assert (answer.status_code, answer.json["code"]) == (405, "method-not-allowed")


def test_no_answer_names_a_component_or_its_version() -> None:
    client = create_app().test_client()
    for path in PATHS:
        answer = client.get(path)
        told = f"{answer.headers}{answer.text}".lower()
        for name in ("flask", "werkzeug", "gunicorn", "python", "smorest", "uvloop", "marshmallow"):
            assert name not in told, f"{path} names {name}"
