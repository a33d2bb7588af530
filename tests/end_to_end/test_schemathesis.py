"""schemathesis against the running service: every check, on what the document lets it make up."""

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.running import Service, environment, running_service

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = "50"


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service(PETSAGE_RELEASE="v43") as service:
        yield service


@pytest.mark.parametrize(
    "header", [[], ["--header", "Expect-Release: v43"]], ids=["any release", "the right release"]
)
def test_no_request_that_the_document_suggests_gets_an_answer_that_it_does_not(
    service: Service, tmp_path: Path, header: list[str]
) -> None:
    tool = Path(sys.executable).with_name("schemathesis")
    done = subprocess.run(
        [
            *(str(tool), "--config-file", str(CONFIG), "run", f"{service.url}/openapi.json"),
            *("--checks", "all", "--max-examples", EXAMPLES, *header),
        ],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "10 selected / 10 total" in done.stdout
    assert {record["level"] for record in service.log_records()} == {"INFO"}
