"""Features that block, hang and fail hold up nothing else (DESIGN, 2.3, 2.5 and 2.8)."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import ROOT, Service, eventually, running_service, web_line
from tests.wire import connected, get

pytestmark = pytest.mark.contract

FEATURES = """
import threading
from wsgi import app

entered, left = [], threading.Event()

def fails():
    raise RuntimeError("the password is sesame")

readiness = app.extensions["petsage"].readiness
readiness.add("hangs", threading.Event().wait, timeout=0.5)
readiness.add("fails", fails, timeout=60)
readiness.add("passes", lambda: None, timeout=60)

@app.route("/blocks")
def blocks():
    entered.append(1)
    left.wait()
    return "left"

@app.route("/entered")
def count():
    return str(len(entered))

@app.route("/leave")
def leave():
    left.set()
    return ""

app.add_url_rule("/fails", view_func=fails)
"""


@pytest.fixture(scope="module")
def features(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Service]:
    folder = tmp_path_factory.mktemp("features")
    Path(folder, "features.py").write_text(FEATURES)
    command = web_line().replace("wsgi:app", "features:app")
    with running_service(command, cwd=folder, PYTHONPATH=str(ROOT)) as service:
        yield service


def test_views_that_block_hold_up_nothing_else(features: Service) -> None:
    responses: list[str] = []

    def blocked() -> None:
        responses.append(get(features, "/blocks").text)

    threads = [threading.Thread(target=blocked) for _ in range(5)]
    for thread in threads:
        thread.start()
    assert eventually(lambda: get(features, "/entered").text == "5")
    with connected(features) as connection:
        for _ in range(20):
            assert connection.ping(b'{"ping":"a"}').status == 200
            assert connection.ask("GET", "/system/live").status == 200
    # All of that came while not one of the five had its response.
    assert responses == []
    get(features, "/leave")
    for thread in threads:
        thread.join()
    assert responses == ["left"] * 5


def test_a_check_that_hangs_is_a_timeout_and_one_that_raises_has_failed(
    features: Service,
) -> None:
    for _ in range(3):
        response = get(features, "/system/ready")
        assert response.problem == (503, "not-ready")
        checks = response.json["checks"]
        assert {name: check["status"] for name, check in checks.items()} == {
            "fails": "failed",
            "hangs": "timeout",
            "logging": "ok",
            "passes": "ok",
        }
        assert "sesame" not in response.text
        assert get(features, "/system/live").status == 200
    assert "sesame" in features.log_text()


def test_checks_can_be_left_out_and_an_unknown_one_is_422(features: Service) -> None:
    response = get(features, "/system/ready?exclude=hangs&exclude=fails")
    assert response.status == 200
    assert response.json["checks"].keys() == {"logging", "passes"}
    rejected = get(features, "/system/ready?exclude=nothing")
    assert rejected.problem == (422, "validation-error")


def test_an_error_of_a_view_is_500_and_its_cause_in_one_line_of_the_log(
    features: Service,
) -> None:
    response = get(features, "/fails", {"X-Request-ID": "failed"})
    assert response.problem == (500, "internal-error")
    assert response.json["request_id"] == "failed"
    assert "sesame" not in response.text
    assert "Traceback" not in response.text
    records = features.records_of("failed")
    (error,) = [record for record in records if record["level"] == "ERROR"]
    assert "RuntimeError: the password is sesame" in json.dumps(error)
    assert {record["status"] for record in records if "status" in record} == {500}


def test_what_hangs_for_ever_does_not_hold_up_the_end(features: Service) -> None:
    assert get(features, "/system/ready").status == 503
    assert features.stop() == 0
