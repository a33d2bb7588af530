"""What the pages promise: links lead somewhere; names, members and limits are the real ones."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from petsage import contract, create_app
from tests.documents import (
    DOCUMENTS,
    MANUAL,
    anchors,
    blocks,
    links,
    promised,
    table,
    tables,
)
from tests.running import ROOT, Service, environment, gunicorn_settings, petsage, web_line
from tests.wire import get

pytestmark = pytest.mark.contract

COMMANDS_PAGE = DOCUMENTS["docs/commands.md"]
DEPLOY = DOCUMENTS["docs/deploy.md"]
REPORTS = DOCUMENTS["docs/reports.md"]
SERVER = DOCUMENTS["docs/server.md"]

LINKS = [(name, link) for name, text in DOCUMENTS.items() for link in links(text)]
PATHS = {value for name, value in vars(contract).items() if name.endswith("_PATH")}


@pytest.mark.parametrize(("page", "link"), LINKS)
def test_a_link_leads_to_a_file_and_a_heading_that_are_there(page: str, link: str) -> None:
    assert not link.startswith("http"), "no page needs another host"
    path, _, anchor = link.partition("#")
    target = Path(ROOT, page).parent.joinpath(path).resolve() if path else Path(ROOT, page)
    assert target.is_relative_to(ROOT)
    assert target.exists()
    if anchor:
        assert anchor in anchors(target.read_text())


def test_each_page_of_docs_is_found_from_the_readme() -> None:
    reached, left = set(), ["README.md"]
    while left:
        page = left.pop()
        reached.add(page)
        for link in links(DOCUMENTS[page]):
            path = Path(ROOT, page).parent.joinpath(link.partition("#")[0]).resolve()
            name = str(path.relative_to(ROOT))
            if name in DOCUMENTS and name not in reached:
                left.append(name)
    assert reached == set(DOCUMENTS)


# The service.


def test_every_route_is_in_the_table_once_and_responds() -> None:
    cells = " ".join(row[0] for row in table("Routes", SERVER))
    told = re.findall(r"`(?:GET|POST) (/\S*)`", cells)
    assert sorted(told) == sorted(PATHS)
    client = create_app().test_client()
    assert all(client.options(path).status_code == 200 for path in told)


def test_every_address_of_the_service_is_one_of_its_routes() -> None:
    base = r"https?://(?:app\.example|127\.0\.0\.1:8000)(/[a-z/-]+)"
    told = {path for text in MANUAL for path in re.findall(base, text)}
    assert contract.VERSION_PATH in told
    assert told <= PATHS


def test_the_error_on_the_page_is_the_one_that_comes() -> None:
    (example,) = [json.loads(block) for block in blocks("json", DOCUMENTS["docs/errors.md"])]
    told = create_app().test_client().post("/system/smoke-test", json={}).json
    assert told | {"request_id": ""} == example | {"request_id": ""}


def test_every_header_of_a_response_is_in_the_table(service: Service) -> None:
    cells = " ".join(row[0] for row in table("Headers of every response", SERVER))
    sent = {name.lower() for name in get(service, contract.VERSION_PATH).headers}
    of_http = {"content-type", "content-length", "date", "connection"}
    assert sent - of_http == {name.lower() for name in cells.split("`")[1::2]}


def test_every_member_of_a_log_line_is_on_the_page(service: Service) -> None:
    section = SERVER.partition("## Logs")[2].partition("\n## ")[0]
    assert get(service, "/nothing", {"X-Request-ID": "docs"}).status == 404
    (line,) = service.records_of("docs")
    assert line.keys() <= named_in(section)


def test_the_server_page_names_the_limits_of_the_server() -> None:
    page = SERVER.replace(",", "")
    settings = gunicorn_settings()
    for name in (
        "keepalive",
        "worker_connections",
        "threads",
        "graceful_timeout",
        "limit_request_line",
        "limit_request_fields",
        "limit_request_field_size",
    ):
        assert re.search(rf"\b{settings[name]}\b", page), name
    assert web_line().replace("gunicorn ", "gunicorn --check-config ", 1) in page


def test_flask_prints_the_document_as_the_page_says() -> None:
    assert "`flask --app wsgi openapi print`" in SERVER
    done = subprocess.run(
        [sys.executable, "-m", "flask", "--app", "wsgi", "openapi", "print"],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert json.loads(done.stdout)["info"]["title"] == "PetSage API"


def test_the_blueprint_alone_makes_an_app_that_responds_and_knows_no_release() -> None:
    (code,) = blocks("python", SERVER)
    probe = """
client = app.test_client()
assert client.post("/system/smoke-test", json={"ping": "a"}).json["pong"] == "a"
expecting = {"Expect-Release": "v43"}
assert client.post("/system/smoke-test", json={"ping": "a"}, headers=expecting).status_code == 412
"""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code + probe],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_the_unit_of_systemd_runs_what_the_procfile_runs() -> None:
    assert f"/bin/{web_line()}\n" in DEPLOY


def test_the_configuration_of_kamal_names_a_route_and_settings() -> None:
    (block,) = blocks("yml", DEPLOY)
    configuration = yaml.safe_load(block)
    assert configuration["proxy"]["healthcheck"]["path"] == contract.READY_PATH
    variables = configuration["env"]["clear"]
    assert variables.keys() <= {row[0].strip("`") for row in table("Settings", SERVER)}
    assert variables["PORT"] == str(configuration["proxy"]["app_port"])


# The command.


def options_of(command: str) -> dict[str, str]:
    """Return the long names of a command's options, each with what its help says of it."""
    text = petsage(command, "--help").stdout
    found = re.findall(r"^  (?:-\w, )?(--[a-z0-9-]+)(.*\n(?:    .*\n)*)", text, re.MULTILINE)
    return {name: told for name, told in found if name not in {"--help", "--version"}}


def test_every_option_is_in_one_table_with_its_real_default() -> None:
    both = tables("Options of both commands", COMMANDS_PAGE)[0]
    sources = table("The options", DOCUMENTS["docs/any-service.md"])
    for command in ("smoke-test", "rollout"):
        rows = [*table(f"petsage {command}", COMMANDS_PAGE), *both, *sources]
        defaults = {}
        for names, *cells in rows:
            for name in dict.fromkeys(re.findall(r"--[a-z][a-z0-9-]*", names)):
                assert name not in defaults, f"{name} is there twice"
                defaults[name] = cells[0]
        options = options_of(command)
        assert defaults.keys() == options.keys()
        for name, told in options.items():
            if shown := re.search(r"\[default:\s+([\d.]+)", told):
                assert float(shown[1]) == float(defaults[name].partition(";")[0]), name


def named_in(told: str) -> set[str]:
    return set(re.findall(r"`([a-z0-9_]+)`", told))


def members_below(value: Any) -> set[str]:
    """Return the names of the members of an object, or of the objects of a list."""
    if isinstance(value, list):
        return set().union(*map(members_below, value))
    return set(value) if isinstance(value, dict) else set()


def test_every_member_of_the_json_report_of_a_smoke_test_is_in_the_tables(
    service: Service,
) -> None:
    done = petsage("smoke-test", service.url, "--expect-release", "v43", "--format", "json")
    report = json.loads(done.stdout)
    told = promised("smoke-test")
    assert told.keys() == report.keys()
    # The members of the others are names: of releases, instances, workers and addresses.
    for name in ("pings", "current", "streak", "bad_requests"):
        assert members_below(report[name]) <= named_in(told[name]), name
    for one in report["releases"].values():
        assert members_below([one, one["latency_ms"]]) <= named_in(told["releases"])
    for one in report["addresses"].values():
        assert members_below(one) <= named_in(told["addresses"])
    assert f'`"{report["schema"]}"`' in REPORTS
    assert f"`{report['verdict']}`" in REPORTS


# How it works inside.


def test_the_paths_of_a_request_and_a_ping_name_what_is_there() -> None:
    named = re.findall(
        r"^((?:server|service|client)/\w+) +(\w[\w., ]*?)  ",
        "".join(blocks("", DOCUMENTS["docs/architecture.md"])),
        re.MULTILINE,
    )
    assert len(named) > 25
    for module, names in named:
        path = Path(ROOT, "petsage", module)
        source = (path / "__init__.py" if path.is_dir() else path.with_suffix(".py")).read_text()
        for name in re.split(r"[., ]+", names):
            assert re.search(rf"\b(?:def|class) {name}\b", source), f"{module}: {name}"
