"""The settings, as the Procfile's process reads them (DESIGN, 2.7)."""

from __future__ import annotations

import json
import socket
import subprocess

import pytest

from tests.documents import DOCUMENTS, table
from tests.running import (
    PATIENCE_SECONDS,
    ROOT,
    Service,
    environment,
    gunicorn_settings,
    running_service,
    web_line,
)
from tests.wire import get

pytestmark = pytest.mark.contract

# A value of each setting that can't be meant.
FAULTS = {
    "PORT": "no",
    "PETSAGE_HOST": "nowhere.example",
    "PETSAGE_RELEASE": "a,b",
    "PETSAGE_COMMIT": "a b",
    "PETSAGE_INSTANCE": "x" * 201,
    "PETSAGE_DISCLOSE_RELEASE": "perhaps",
    "PETSAGE_MAX_BODY_BYTES": "-1",
    "PETSAGE_LOG_LEVEL": "LOUD",
    "PETSAGE_LOG_PROBES": "perhaps",
    "PETSAGE_TRUSTED_PROXIES": "-1",
}


def run_to_its_end(command: str, **variables: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        ["sh", "-c", f"exec {command}"],
        cwd=ROOT,
        env=environment(**variables),
        capture_output=True,
        text=True,
        timeout=PATIENCE_SECONDS,
    )


def test_every_setting_of_the_contract_is_in_the_docs_once() -> None:
    told = [row[0].strip("`") for row in table("Settings", DOCUMENTS["docs/server.md"])]
    assert sorted(told) == sorted([*FAULTS, "WEB_CONCURRENCY"])


def test_all_errors_of_the_settings_come_once_and_together_and_end_the_service() -> None:
    done = run_to_its_end(web_line(), **FAULTS, WEB_CONCURRENCY="3")
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert line["level"] == "CRITICAL"
    for variable in FAULTS:
        assert variable in line["message"]


def test_without_a_port_it_listens_on_8000_of_this_machine_only() -> None:
    assert gunicorn_settings()["bind"] == "['127.0.0.1:8000']"


def test_with_a_port_it_listens_on_every_interface(service: Service) -> None:
    for address in ("127.0.0.1", "127.0.0.2"):
        socket.create_connection((address, service.port)).close()


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def test_it_listens_on_the_address_that_is_set_and_on_no_other() -> None:
    # It responds there once it runs; this asks at the address next to it.
    with (
        running_service(PETSAGE_HOST="127.0.0.2") as service,
        pytest.raises(OSError, match="refused"),
    ):
        service.connect()


def test_a_client_of_ipv4_has_its_own_address_in_the_log_over_ipv6_too() -> None:
    with running_service(PETSAGE_HOST="::" if has_ipv6() else "0.0.0.0") as service:
        assert get(service, "/system/version", {"X-Request-ID": "four"}).status == 200
        (line,) = service.records_of("four")
        assert line["remote_addr"] == "127.0.0.1"


def test_a_port_that_is_taken_ends_it_with_a_line_that_names_the_port() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        done = run_to_its_end(web_line(), PORT=port, PETSAGE_HOST="127.0.0.1")
    assert done.returncode != 0
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert any(port in line["message"] for line in lines if line["level"] != "INFO")
