"""What the README promises: every route, code, setting and command in it is there, and works."""

import json
import re
import subprocess
import sys
from typing import Any

import click
import pytest

from petsage import contract, create_app
from petsage.client.cli import INTERNAL_FAULT, cli
from petsage.client.outcome import Outcome
from petsage.client.refusals import REFUSALS, Refused
from petsage.client.reports import as_text
from petsage.client.tally import Tally
from petsage.client.verdict import ExitCode, Row
from petsage.contract import PROBLEMS
from petsage.service import settings
from petsage.service.settings import COMMIT_VARIABLES, INSTANCE_VARIABLES, RELEASE_VARIABLES
from tests.client.facts import fact
from tests.client.rollouts import went
from tests.documents import MANUAL, README, blocks, table, tables
from tests.running import ROOT, Service, environment, running_service, web_line
from tests.tools import require


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
    assert told == {code: known.status for code, known in PROBLEMS.items()}


def test_every_setting_stands_in_the_table() -> None:
    told = {row[0].strip("`") for row in table("Settings")}
    read = {variable for variable, _ in settings._VARIABLES.values()}
    assert told == read | {RELEASE_VARIABLES[0], COMMIT_VARIABLES[0], INSTANCE_VARIABLES[0]}
    for variable in (*RELEASE_VARIABLES, *COMMIT_VARIABLES, *INSTANCE_VARIABLES):
        assert f"`{variable}`" in README


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
    assert told <= {value for name, value in vars(contract).items() if name.endswith("_PATH")}
    assert contract.VERSION_PATH in told


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
    rows = table("At three in the morning")
    assert [int(row[0]) for row in rows] == [*sorted(ExitCode)[:-1], INTERNAL_FAULT, 130]
    for _, meaning, _, then in rows:
        assert meaning
        assert then


def options_of(command: str) -> dict[str, click.Parameter]:
    """Return each option of a command by its long name."""
    found = cli.commands[command].params
    return {one.opts[-1]: one for one in found if isinstance(one, click.Option)}


def told_options(rows: list[list[str]]) -> dict[str, list[str]]:
    """Return the cells of each row by the long names of its options."""
    return {name: row for row in rows for name in re.findall(r"--[a-z][a-z-]*", row[0])}


def test_every_option_stands_in_the_tables_with_its_default() -> None:
    smoke, rollout = (told_options(rows) for rows in tables("Options"))
    for command, told in (("smoke-test", smoke), ("rollout", rollout)):
        for name, row in told.items():
            option: Any = options_of(command)[name]
            assert all(opt in row[0] for opt in option.opts), row
            if isinstance(option.default, int | float) and not option.is_flag:
                assert row[1] == f"{option.default:g}", row
    shared = options_of("rollout").keys() - rollout.keys()
    sentence = README.partition("\nOf `petsage rollout`")[2].partition("\n\n")[0]
    named = set(sentence.split("`")[1::2])
    assert [len(named & set(options_of("rollout")[name].opts)) for name in shared] == [1] * len(
        named
    )
    assert smoke.keys() == options_of("smoke-test").keys()


REPORTS = [block for block in blocks("") if block.startswith("PASSED")]


def smoke_test_that_passed() -> Outcome:
    """Return a smoke test of two instances with nothing amiss."""
    tally, row = Tally("v43"), Row("v43", 20)
    for number in range(21):
        one = fact(instance=f"web.{number % 2 + 1}", worker=f"w{number % 4}")
        tally.add(one)
        row.add(one)
    asked = [Refused(one.name, True, one.expected, one.expected) for one in REFUSALS]
    return Outcome("https://app.example", "v43", 1_800_000_000.0, tally, row, 1.3, refusals=asked)


def words(report: str) -> list[str]:
    """Return a report's words, each number in them as 0."""
    return re.sub(r"\d+(?:[.,]\d+)*", "0", report).split()


def test_the_reports_in_the_readme_say_what_real_ones_say() -> None:
    watched = went(600, lost=0.0, argv=("git", "push", "heroku", "main"))
    assert len(REPORTS) == 2
    for example, real in zip(REPORTS, (smoke_test_that_passed(), watched), strict=True):
        told, said = words(example), words(as_text.render(real))
        if told[-1] == "...":
            told.pop()
            said = said[: len(told)]
        assert told == said
