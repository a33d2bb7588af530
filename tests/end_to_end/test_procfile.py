"""The service as the Procfile starts it: identity, logs, settings, and checks that hang."""

import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest

from tests.json_corpus import ECHOED, MISFITS, PING, REFUSED, damaged
from tests.running import ROOT, Service, environment, free_port, running_service, web_line

POST = "/system/smoke-test"
JSON = {"Content-Type": "application/json"}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service(
        WEB_CONCURRENCY="2",
        PETSAGE_RELEASE="v43",
        PETSAGE_COMMIT="12e4567890",
        GUNICORN_CMD_ARGS="--access-logfile -",
    ) as service:
        yield service


def get(url: str, **headers: str) -> tuple[int, dict[str, Any], Any]:
    request = urllib.request.Request(
        url, headers={k.replace("_", "-"): v for k, v in headers.items()}
    )
    try:
        with urllib.request.urlopen(request, timeout=15) as answer:
            return answer.status, json.load(answer), answer.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.load(error), error.headers


class Pinger:
    """Posts bodies over one kept-alive connection."""

    def __init__(self, service: Service) -> None:
        self._connection = HTTPConnection("127.0.0.1", service.port, timeout=15)

    def post(self, body: bytes) -> tuple[int, dict[str, Any]]:
        self._connection.request("POST", POST, body, JSON)
        answer = self._connection.getresponse()
        return answer.status, json.loads(answer.read())

    def close(self) -> None:
        self._connection.close()


@pytest.fixture
def pinger(service: Service) -> Iterator[Pinger]:
    pinger = Pinger(service)
    yield pinger
    pinger.close()


def test_every_string_comes_back_over_the_wire(pinger: Pinger) -> None:
    for text, pong in ECHOED.values():
        status, answer = pinger.post(PING % text)
        assert (status, answer["pong"]) == (200, pong)


def test_every_unicode_scalar_comes_back_over_the_wire(pinger: Pinger) -> None:
    scalars = [chr(code) for code in range(0x110000) if not 0xD800 <= code < 0xE000]
    for start in range(0, len(scalars), 15_000):
        ping = "".join(scalars[start : start + 15_000])
        body = json.dumps({"ping": ping}, ensure_ascii=False).encode()
        status, answer = pinger.post(body)
        assert (status, answer["pong"]) == (200, ping)


def test_malformed_json_is_400_and_misfits_are_422_over_the_wire(pinger: Pinger) -> None:
    for body, code in REFUSED.values():
        assert (400, code) == (lambda s, a: (s, a["code"]))(*pinger.post(body))
    for body in MISFITS.values():
        assert pinger.post(body)[0] == 422


def test_damaged_bodies_never_give_a_fault_of_ours(pinger: Pinger, service: Service) -> None:
    statuses = {pinger.post(body)[0] for body in damaged(seed=7, count=3_000)}
    assert statuses == {200, 400, 422}
    assert "traceback" not in service.log_text()


def test_the_log_is_json_lines_with_one_line_per_request(service: Service) -> None:
    marker = os.urandom(8).hex()
    get(f"{service.url}/system/version?secret", X_Request_ID=marker)
    lines = [line for line in service.log_records() if line["request_id"] == marker]
    assert [(line["logger"], line["path"]) for line in lines] == [
        ("petsage.request", "/system/version")
    ]
    assert {line["release"] for line in service.log_records()} == {"v43"}
    assert "gunicorn.error" in {line["logger"] for line in service.log_records()}


def test_both_workers_answer_each_under_an_id_of_its_own(service: Service) -> None:
    workers = set()
    # The kernel deals connections out as it likes: many in a row may go to one worker.
    for _ in range(3_000):
        _, told, headers = get(f"{service.url}/system/version")
        assert told["worker"] == headers["PetSage-Worker"]
        workers.add(told["worker"])
        if len(workers) == 2:
            break
    assert len(workers) == 2


def test_a_release_is_expected_over_the_wire(service: Service) -> None:
    live = f"{service.url}/system/live"
    assert get(live, Expect_Release="v43")[0] == 200
    assert get(live, Expect_Release="12E45678")[0] == 200
    status, problem, headers = get(live, Expect_Release="v44")
    assert (status, problem["code"]) == (412, "release-mismatch")
    assert (headers["Retry-After"], headers["PetSage-Release"]) == ("1", "v43")


def test_faults_of_the_settings_come_once_and_together_and_end_the_service() -> None:
    done = subprocess.run(
        ["sh", "-c", f"exec {web_line()}"],
        cwd=ROOT,
        env=environment(
            PORT="no", PETSAGE_RELEASE="a,b", PETSAGE_LOG_LEVEL="LOUD", WEB_CONCURRENCY="3"
        ),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert (done.returncode, done.stderr) == (1, "")
    (line,) = [json.loads(line) for line in done.stdout.splitlines()]
    assert line["level"] == "CRITICAL"
    for variable in ("PORT", "PETSAGE_RELEASE", "PETSAGE_LOG_LEVEL"):
        assert variable in line["message"]


def test_without_a_port_it_listens_on_8000_of_this_machine_only() -> None:
    done = subprocess.run(
        ["sh", "-c", web_line().replace("gunicorn", "gunicorn --print-config", 1)],
        cwd=ROOT,
        env=environment(),
        capture_output=True,
        text=True,
        timeout=30,
    )
    assert re.search(r"^bind\s+= \['127\.0\.0\.1:8000'\]$", done.stdout, re.MULTILINE), done


def has_ipv6() -> bool:
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            return False
    return True


def test_it_listens_on_the_address_that_is_set_and_on_no_other() -> None:
    for host in ("127.0.0.2", *(["::1"] if has_ipv6() else [])):
        with running_service(PETSAGE_HOST=host) as service:
            assert get(f"{service.url}/system/live")[0] == 200
            with pytest.raises(OSError, match="refused"):
                service.connect()
            (line,) = [line for line in service.log_records() if line.get("status") == 200][-1:]
            assert line["remote_addr"] == {"127.0.0.2": "127.0.0.1"}.get(host, host)


def test_a_client_has_the_same_address_in_the_log_whether_ipv6_is_listened_on_or_not() -> None:
    for host in ("0.0.0.0", *(["::"] if has_ipv6() else [])):
        with running_service(PETSAGE_HOST=host) as service:
            assert get(f"http://127.0.0.1:{service.port}/system/version")[0] == 200
            (line,) = [
                line for line in service.log_records() if line.get("path") == "/system/version"
            ]
            assert line["remote_addr"] == "127.0.0.1"


def test_gunicorn_s_lines_say_that_the_port_is_taken() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = subprocess.run(
            ["sh", "-c", f"exec {web_line()}"],
            cwd=ROOT,
            env=environment(PORT=str(port), PETSAGE_HOST="127.0.0.1"),
            capture_output=True,
            text=True,
            timeout=60,
        )
    assert (done.returncode, done.stderr) == (1, "")
    told = [json.loads(line) for line in done.stdout.splitlines()]
    (fault, *_) = [line["message"] for line in told if line["level"] == "ERROR"]
    assert fault == f"Connection in use: ('127.0.0.1', {port})"


def test_it_waits_for_a_port_that_is_about_to_be_free() -> None:
    taken = socket.create_server(("127.0.0.1", 0))
    threading.Timer(2, taken.close).start()
    with running_service(PORT=str(taken.getsockname()[1])) as service:
        assert get(f"{service.url}/system/live")[0] == 200


def test_honcho_runs_the_procfile_and_stops_it() -> None:
    port = free_port()
    honcho = subprocess.Popen(
        ["honcho", "--no-colour", "start", "--no-prefix", "web"],
        cwd=ROOT,
        env=environment(PORT=str(port)),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        for _ in range(200):
            try:
                assert get(f"http://127.0.0.1:{port}/system/ready")[0] == 200
                break
            except OSError:
                time.sleep(0.1)
        else:
            raise AssertionError("the service did not come up under honcho")
    finally:
        honcho.send_signal(signal.SIGTERM)
        output, _ = honcho.communicate(timeout=30)
    lines = [json.loads(line) for line in output.splitlines() if line.startswith("{")]
    assert "/system/ready" in {line.get("path") for line in lines}
    with pytest.raises(urllib.error.URLError):
        get(f"http://127.0.0.1:{port}/system/live")


def test_another_server_runs_the_app_too() -> None:
    with running_service(
        "gunicorn --worker-class gthread --bind 127.0.0.1:$PORT wsgi:app"
    ) as service:
        pinger = Pinger(service)
        assert pinger.post(b'{"ping":"a"}')[1]["pong"] == "a"
        assert pinger.post(b'{"ping":')[1]["code"] == "malformed-json"
        pinger.close()


FEATURE = """
import os, time
from petsage import create_app
from petsage.service.doorstep import settings_or_exit
app = create_app(settings_or_exit(os.environ))
app.extensions["petsage"].readiness.add("hangs", lambda: time.sleep(3_600), timeout=0.5)
app.add_url_rule("/slow", view_func=lambda: (time.sleep(1), "slow")[1])
"""


@pytest.mark.alone
def test_a_check_that_hangs_for_ever_and_views_that_block_hold_up_nothing_else(
    tmp_path: Path,
) -> None:
    Path(tmp_path, "feature.py").write_text(FEATURE)
    command = web_line().replace("wsgi:app", "feature:app")
    with running_service(command, cwd=tmp_path, PYTHONPATH=str(ROOT)) as service:
        held = [
            threading.Thread(target=get, args=(f"{service.url}/system/ready",)) for _ in range(5)
        ]
        held += [
            threading.Thread(
                target=lambda: urllib.request.urlopen(f"{service.url}/slow", timeout=20).close()
            )
            for _ in range(5)
        ]
        for thread in held:
            thread.start()
        pinger = Pinger(service)
        slowest = 0.0
        while any(thread.is_alive() for thread in held):
            began = time.monotonic()
            assert pinger.post(b'{"ping":"a"}')[0] == 200
            slowest = max(slowest, time.monotonic() - began)
        pinger.close()
        assert slowest < 0.4
        status, problem, _ = get(f"{service.url}/system/ready")
        assert (status, problem["checks"]["hangs"]["status"]) == (503, "timeout")
        assert get(f"{service.url}/system/ready?exclude=hangs")[0] == 200
        assert service.stop(10) == 0
