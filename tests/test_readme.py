"""What the README promises: its commands, examples and exit codes are there, and work."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest

from tests.documents import MANUAL, README, blocks, first_words, reports, table
from tests.running import PATIENCE_SECONDS, ROOT, Service, environment, petsage
from tests.tools import require

pytestmark = pytest.mark.contract


def test_the_readme_is_read_in_three_minutes() -> None:
    assert len(README.split()) <= 1_500


def test_the_first_two_commands_to_set_up_are_make_run_and_make_test() -> None:
    (block,) = [block for block in blocks("sh") if "make " in block]
    assert re.findall(r"^(\S+ \S+)", block, re.MULTILINE) == ["make run", "make test"]


def test_whatever_is_made_is_a_target_of_make() -> None:
    told = {target for text in MANUAL for target in re.findall(r"\bmake ([a-z]+)(?:`|  )", text)}
    assert {"run", "test", "demo", "bench", "soak"} <= told
    for target in told:
        done = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


CURLS = [block for block in blocks("sh") if "curl" in block and "petsage " not in block]


def run(command: str) -> subprocess.CompletedProcess[str]:
    require("curl")
    return subprocess.run(
        ["sh", "-c", command],
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
        env=environment(),
    )


@pytest.mark.parametrize("command", CURLS, ids=range(len(CURLS)))
def test_a_curl_command_reads_its_pong(service: Service, command: str) -> None:
    done = run(re.sub(r"https?://(127\.0\.0\.1:8000|app\.example)", service.url, command))
    assert (done.returncode, done.stderr) == (0, "")
    told = json.loads(done.stdout)
    assert told["pong"] == "v43"
    (example,) = [json.loads(block) for block in blocks("json") if '"pong"' in block]
    assert list(told) == list(example)


def test_the_curl_that_waits_prints_a_line_per_try_and_fails_in_the_end(service: Service) -> None:
    command = re.sub(r"https?://app\.example", service.url, CURLS[1])
    command = command.replace("--retry 60 --retry-delay 2", "--retry 1 --retry-delay 0")
    done = run(f"( {command.replace('Expect-Release: v43', 'Expect-Release: v44')} ) 2>&1")
    assert done.returncode == 22
    assert len(done.stdout.splitlines()) == 2
    for line in done.stdout.splitlines():
        assert '"code":"release-mismatch"' in line
        assert "412" in line


def test_the_example_of_a_feature_makes_an_app_that_responds() -> None:
    (code,) = blocks("python")
    probe = """
client = app.test_client()
response = client.post("/system/smoke-test", json={"ping": "a"})
assert response.json["pong"] == "a", response.text
assert [pet["name"] for pet in client.get("/api/v1/pets").json] == ["Miu", "Rex"]
added = client.post("/api/v1/pets", json={"name": "Ari"})
assert (added.status_code, added.json["name"]) == (201, "Ari")
assert client.get("/api/v1/pets").json[2] == added.json
twice = client.post(
    "/api/v1/pets", data='{"name": "Ari", "name": "Bo"}', content_type="application/json"
)
assert (twice.status_code, twice.json["code"]) == (400, "duplicate-key")
assert client.post("/api/v1/pets", json={"name": "Ari", "age": 3}).status_code == 422
assert client.get("/system/ready").json["checks"]["database"]["status"] == "ok"
described = client.get("/openapi.json").json["paths"]["/api/v1/pets"]
assert {"200"} < set(described["get"]["responses"])
assert {"201", "400", "422"} < set(described["post"]["responses"])
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + probe],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_exit_code_is_in_the_table_and_in_the_help() -> None:
    rows = table("Exit codes")
    told = re.findall(r"^ +(\d+)  ", petsage("--help").stdout, re.MULTILINE)
    assert [row[0] for row in rows] == told
    assert all(cell for row in rows for cell in row)


def test_a_smoke_test_reports_what_the_readme_shows(service: Service) -> None:
    done = petsage("smoke-test", service.url, "--expect-release", "v43")
    assert done.returncode == 0, done.stdout
    (example,) = [report for report in reports() if "bad requests" in report]
    assert first_words(example) <= first_words(done.stdout)


def test_the_second_paragraph_has_the_line_for_an_app_that_is_not_petsage() -> None:
    _title, _first, second, line, *_ = README.split("\n\n")
    assert "need not be PetSage" in second
    assert re.search(r"^petsage smoke-test .+ --release-json ", line, re.MULTILINE)


def test_a_smoke_test_of_any_service_reports_what_the_readme_shows(service: Service) -> None:
    url = f"{service.url}/system/version"
    done = petsage("smoke-test", url, "--release-json", "release", "--expect-release", "v43")
    assert done.returncode == 0, done.stdout
    example = reports()[0]
    assert first_words(example) <= first_words(done.stdout)
