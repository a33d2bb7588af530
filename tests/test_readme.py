"""What the README promises: every route, code, setting and command in it is there, and works."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from petsage import contract, create_app
from petsage.client.cli import INTERNAL_FAULT
from petsage.client.verdict import ExitCode
from petsage.contract import PROBLEMS
from petsage.service import settings
from petsage.service.release import COMMIT_VARIABLES, INSTANCE_VARIABLES, RELEASE_VARIABLES
from tests.running import ROOT, Service, environment, running_service, web_line
from tests.tools import require

README = Path(ROOT, "README.md").read_text()


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", README, re.DOTALL | re.MULTILINE)


def table(heading: str) -> list[list[str]]:
    """Return the cells of the first table below a heading, without its first two lines."""
    section = README.split(f"\n## {heading}\n")[1].split("\n## ")[0]
    rows = [line for line in section.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in rows[2:]]


def test_every_route_stands_in_the_table_and_answers() -> None:
    told = set(re.findall(r"`(?:GET|POST) (/\S*)`", " ".join(row[0] for row in table("Routes"))))
    paths = {value for name, value in vars(contract).items() if name.endswith("_PATH")}
    assert told == paths
    client = create_app().test_client()
    assert all(client.options(path).status_code == 200 for path in told)


def test_every_problem_stands_in_the_table_with_its_status() -> None:
    told = {
        code: int(status) for status, codes, _ in table("Errors") for code in codes.split("`")[1::2]
    }
    assert told == {code: status for code, (status, _) in PROBLEMS.items()}


def test_every_setting_stands_in_the_table() -> None:
    told = {row[0].strip("`") for row in table("Settings")}
    read = {variable for variable, _ in settings._VARIABLES.values()}
    assert told == read | {RELEASE_VARIABLES[0], COMMIT_VARIABLES[0], INSTANCE_VARIABLES[0]}
    for variable in (*RELEASE_VARIABLES, *COMMIT_VARIABLES, *INSTANCE_VARIABLES):
        assert f"`{variable}`" in README


def test_the_first_two_commands_are_targets_of_make() -> None:
    first = blocks("sh")[0]
    for target in re.findall(r"^make (\w+)", first, re.MULTILINE):
        done = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_the_unit_runs_what_the_procfile_runs() -> None:
    assert f"/bin/{web_line()}\n" in README


@pytest.fixture(scope="module")
def service() -> Service:
    with running_service(PETSAGE_RELEASE="v43") as service:
        yield service


CURLS = [block for block in blocks("sh") if "curl" in block]


@pytest.mark.parametrize("command", CURLS, ids=range(len(CURLS)))
def test_a_curl_command_reads_its_pong(service: Service, command: str) -> None:
    require("curl")
    command = re.sub(r"https?://(127\.0\.0\.1:8000|app\.example)", service.url, command)
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")
    answer = json.loads(done.stdout)
    assert answer["pong"] == "v43"
    (example,) = [json.loads(block) for block in blocks("json") if '"pong"' in block]
    assert list(answer) == list(example)


def test_the_deploy_script_fails_where_the_release_does_not_come(service: Service) -> None:
    require("curl")
    command = re.sub(r"https?://app\.example", service.url, CURLS[1])
    command = command.replace("--retry 60 --retry-delay 2", "--retry 1 --retry-delay 0")
    command = command.replace("Expect-Release: v43", "Expect-Release: v44")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60)
    assert done.returncode == 22
    assert "412" in done.stderr


def test_the_error_in_the_readme_is_the_one_that_is_answered() -> None:
    (example,) = [json.loads(block) for block in blocks("json") if '"errors"' in block]
    answer = create_app().test_client().post("/system/smoke-test", json={}).json
    assert answer | {"request_id": ""} == example | {"request_id": ""}


PYTHON = blocks("python")


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_a_python_example_makes_an_app_that_answers(code: str) -> None:
    probe = """
client = app.test_client()
answer = client.post("/system/smoke-test", json={"ping": "a"})
assert answer.json["pong"] == "a", answer.text
if "petsage" in app.extensions:
    assert client.get("/api/v1/pets").json == ["Miu", "Rex"]
    assert client.get("/system/ready").json["checks"]["database"]["status"] == "ok"
    assert "/api/v1/pets" in client.get("/openapi.json").json["paths"]
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + probe],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_flask_runs_and_prints_the_app_as_the_readme_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "openapi", "print"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["info"]["title"] == "PetSage API"


def test_every_exit_code_stands_in_the_table() -> None:
    told = {int(row[0]) for row in table("Exit codes")}
    assert told == {*ExitCode, INTERNAL_FAULT}
