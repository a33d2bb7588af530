"""What the README promises: every route, code, setting and command in it is there, and works."""

import json
import re
import subprocess
import sys

import pytest

from petsage import contract, create_app
from petsage.contract import PROBLEMS
from tests.documents import MANUAL, README, blocks, first_words, reports, table, tables
from tests.running import PATIENCE_SECONDS, ROOT, Service, environment, petsage, web_line
from tests.tools import require

pytestmark = pytest.mark.contract

PATHS = {value for name, value in vars(contract).items() if name.endswith("_PATH")}


def test_every_route_is_in_the_table_and_responds() -> None:
    told = set(re.findall(r"`(?:GET|POST) (/\S*)`", " ".join(row[0] for row in table("Routes"))))
    assert told == PATHS
    client = create_app().test_client()
    assert all(client.options(path).status_code == 200 for path in told)


def test_every_problem_is_in_the_table_with_its_status() -> None:
    told = {
        code: int(status) for status, codes, _ in table("Errors") for code in codes.split("`")[1::2]
    }
    assert told == {code: problem[0] for code, problem in PROBLEMS.items()}


def test_the_first_two_commands_are_make_run_and_make_test() -> None:
    assert re.findall(r"^(\S+ \S+)", blocks("sh")[0], re.MULTILINE) == ["make run", "make test"]


def test_whatever_is_made_is_a_target_of_make() -> None:
    told = {target for text in MANUAL for target in re.findall(r"\bmake ([a-z]+)(?:`|  )", text)}
    assert {"run", "test", "check", "demo", "bench", "soak"} <= told
    for target in told:
        done = subprocess.run(
            ["make", "--dry-run", target], cwd=ROOT, capture_output=True, text=True
        )
        assert done.returncode == 0, done.stderr


def test_every_address_of_the_service_is_one_of_its_routes() -> None:
    base = r"https?://(?:app\.example|127\.0\.0\.1:8000)(/[a-z/-]+)"
    told = {path for text in MANUAL for path in re.findall(base, text)}
    assert contract.VERSION_PATH in told
    assert told <= PATHS


def test_the_unit_runs_what_the_procfile_runs() -> None:
    assert f"/bin/{web_line()}\n" in README


CURLS = [block for block in blocks("sh") if "curl" in block]


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


def test_the_deploy_script_fails_where_the_release_does_not_come(service: Service) -> None:
    command = re.sub(r"https?://app\.example", service.url, CURLS[1])
    command = command.replace("--retry 60 --retry-delay 2", "--retry 1 --retry-delay 0")
    done = run(command.replace("Expect-Release: v43", "Expect-Release: v44"))
    assert done.returncode == 22
    assert "412" in done.stderr


def test_the_error_in_the_readme_is_the_one_that_comes() -> None:
    (example,) = [json.loads(block) for block in blocks("json") if '"errors"' in block]
    told = create_app().test_client().post("/system/smoke-test", json={}).json
    assert told | {"request_id": ""} == example | {"request_id": ""}


PYTHON = blocks("python")


@pytest.mark.parametrize("code", PYTHON, ids=range(len(PYTHON)))
def test_a_python_example_makes_an_app_that_responds(code: str) -> None:
    probe = """
client = app.test_client()
response = client.post("/system/smoke-test", json={"ping": "a"})
assert response.json["pong"] == "a", response.text
if "petsage" in app.extensions:
    assert [pet["name"] for pet in client.get("/api/v1/pets").json] == ["Miu", "Rex"]
    added = client.post("/api/v1/pets", json={"name": "Ari"})
    assert (added.status_code, added.json) == (201, {"id": 2, "name": "Ari"})
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


def test_flask_prints_the_document_as_the_readme_says() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "openapi", "print"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["info"]["title"] == "PetSage API"


@pytest.fixture(scope="module")
def helps() -> dict[str, str]:
    """Return the help of each command, and of `petsage` itself."""
    commands: dict[str, list[str]] = {"": [], "smoke-test": ["smoke-test"], "rollout": ["rollout"]}
    return {name: petsage(*command, "--help").stdout for name, command in commands.items()}


def test_every_exit_code_is_in_the_table_and_in_the_help(helps: dict[str, str]) -> None:
    rows = table("At three in the morning")
    assert [row[0] for row in rows] == re.findall(r"^ +(\d+)  ", helps[""], re.MULTILINE)
    assert all(cell for row in rows for cell in row)


def options_of(text: str) -> dict[str, str]:
    """Return the long names of a command's options, each with what its help says of it."""
    found = re.findall(r"^  (?:-\w, )?(--[a-z-]+)(.*\n(?:    .*\n)*)", text, re.MULTILINE)
    return {name: told for name, told in found if name not in {"--help", "--version"}}


def test_every_option_is_in_the_section_and_each_default_is_the_real_one(
    helps: dict[str, str],
) -> None:
    commands = [options_of(helps[name]) for name in ("smoke-test", "rollout")]
    section = README.partition("\n## Options\n")[2].partition("\n## ")[0]
    named = set(re.findall(r"--[a-z][a-z-]*", section))
    assert named == {name for command in commands for name in command}
    for command, rows in zip(commands, tables("Options"), strict=True):
        for names, default, *_ in rows:
            shown = re.search(r"\[default:\s+([\d.]+)", command[f"--{long_name(names)}"])
            if shown:
                assert float(shown[1]) == float(default.partition(";")[0]), names


def long_name(names: str) -> str:
    """Return the first long name in the cell of an option."""
    return names.partition("--")[2].partition("`")[0].partition(" ")[0]


def test_a_smoke_test_reports_what_the_readme_shows(service: Service) -> None:
    done = petsage("smoke-test", service.url, "--expect-release", "v43")
    assert done.returncode == 0, done.stdout
    (example,) = [report for report in reports() if "command" not in first_words(report)]
    assert first_words(example) == first_words(done.stdout)
