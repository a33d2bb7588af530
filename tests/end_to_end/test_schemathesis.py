"""schemathesis against the running service: every check, on what the document lets it make up."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.running import Service, environment
from tests.wire import get

pytestmark = pytest.mark.contract

CONFIG = Path(__file__).with_name("schemathesis.toml")
EXAMPLES = "10"


def test_no_request_that_the_document_suggests_gets_a_response_that_it_does_not(
    service: Service, tmp_path: Path
) -> None:
    tool = Path(sys.executable).with_name("schemathesis")
    before = len(service.log_records())
    done = subprocess.run(
        [
            *(str(tool), "--config-file", str(CONFIG), "run", f"{service.url}/openapi.json"),
            *("--checks", "all", "--max-examples", EXAMPLES),
            # Any other release would be rejected before its request is looked at.
            *("--header", "Expect-Release: v43"),
        ],
        cwd=tmp_path,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    operations = len(get(service, "/openapi.json").json["paths"])
    assert f"{operations} selected / {operations} total" in done.stdout
    assert {record["level"] for record in service.log_records()[before:]} == {"INFO"}
