"""`Expect-Release`: ten cases that the service and every example in `examples/` pass alike."""

from __future__ import annotations

import ast
import io
import json
import re
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from http.client import HTTPResponse
from pathlib import Path
from typing import Any, cast

import pytest

from examples import expect_release_asgi
from petsage import contract
from tests.documents import DOCUMENTS, blocks
from tests.running import ROOT, free_port, run_coroutine, running_service
from tests.tools import express_modules, require

pytestmark = pytest.mark.contract

RELEASE = "v43"
COMMIT = "0f9a3b7c5d1e0f9a3b7c5d1e0f9a3b7c5d1e0f9a"
GUNICORN = "gunicorn --no-control-socket --bind 127.0.0.1:$PORT"


@dataclass(frozen=True)
class Response:
    """A response as it came; `raw` is all of it."""

    status: int
    headers: dict[str, str]
    body: str
    raw: bytes

    @property
    def problem(self) -> tuple[int, str]:
        """The status and code of a rejection in the documented shape."""
        assert self.headers["content-type"].partition(";")[0] == contract.PROBLEM_MEDIA_TYPE
        problem = json.loads(self.body)
        code = problem["code"]
        assert problem["type"] == contract.PROBLEM_TYPE_PREFIX + code
        assert problem["status"] == self.status == contract.PROBLEMS[code].status
        assert problem["title"] == contract.PROBLEMS[code].title
        assert problem["detail"]
        return self.status, code


class _Received:
    """The bytes of a response, as `HTTPResponse` wants its socket."""

    def __init__(self, data: bytes) -> None:
        self._data = data

    def makefile(self, *_: object) -> io.BytesIO:
        return io.BytesIO(self._data)


@dataclass(frozen=True)
class Server:
    """A running implementation. Each request has a connection of its own."""

    port: int

    def send(self, *expected: str, method: str = "GET", ping: str | None = None) -> Response:
        """Send a request with one `Expect-Release` for each of `expected`."""
        lines = [f"Expect-Release: {value}" for value in expected]
        body = b""
        path = contract.LIVE_PATH
        if ping is not None:
            method, path = "POST", contract.SMOKE_TEST_PATH
            body = json.dumps({"ping": ping}).encode()
            lines += ["Content-Type: application/json", f"Content-Length: {len(body)}"]
        head = [f"{method} {path} HTTP/1.1", "Host: shop.example", "Connection: close", *lines]
        data = b""
        with socket.create_connection(("127.0.0.1", self.port), timeout=30) as connection:
            connection.sendall("\r\n".join([*head, "", ""]).encode() + body)
            while piece := connection.recv(65_536):
                data += piece
        response = HTTPResponse(cast("socket.socket", _Received(data)), method=method)
        response.begin()
        headers = {name.lower(): value for name, value in response.getheaders()}
        return Response(response.status, headers, response.read().decode(), data)


Start = Callable[[str | None, str | None], AbstractContextManager[Server]]


def told(prefix: str, release: str | None, commit: str | None) -> dict[str, str]:
    """Return the environment variables that name a release and a commit."""
    named = {f"{prefix}RELEASE": release, f"{prefix}COMMIT": commit}
    return {name: value for name, value in named.items() if value is not None}


@contextmanager
def petsage(release: str | None, commit: str | None) -> Iterator[Server]:
    with running_service(**told("PETSAGE_", release, commit)) as service:
        yield Server(service.port)


@contextmanager
def wsgi(release: str | None, commit: str | None) -> Iterator[Server]:
    with running_service(
        "python -m tests.expect_release_apps", **told("EXAMPLE_", release, commit)
    ) as service:
        yield Server(service.port)


@contextmanager
def asgi(release: str | None, commit: str | None) -> Iterator[Server]:
    command = f"{GUNICORN} --worker-class asgi --asgi-lifespan off tests.expect_release_apps:asgi"
    with running_service(command, **told("EXAMPLE_", release, commit)) as service:
        yield Server(service.port)


@contextmanager
def express(release: str | None, commit: str | None) -> Iterator[Server]:
    require("node")
    variables = told("EXAMPLE_", release, commit) | {"NODE_PATH": str(express_modules())}
    with running_service("node tests/expect_release_app.js", **variables) as service:
        yield Server(service.port)


@contextmanager
def routed(
    blue: tuple[str | None, str | None], green: tuple[str, str], *, green_down: bool = False
) -> Iterator[Server]:
    """Run HAProxy with the example before two apps that know nothing of the header."""
    require("haproxy")
    variables = told("BLUE_", *blue) | told("GREEN_", *green)
    with ExitStack() as stack:
        for name, (release, _) in {"BLUE": blue, "GREEN": green}.items():
            command = f"{GUNICORN} tests.expect_release_apps:bare"
            app = stack.enter_context(running_service(command, **told("EXAMPLE_", release, None)))
            variables[name] = f"127.0.0.1:{app.port}"
        if green_down:
            variables["GREEN"] = f"127.0.0.1:{free_port()}"
        command = "FRONT=127.0.0.1:$PORT exec haproxy -f examples/expect_release_haproxy.cfg"
        front = stack.enter_context(running_service(f"sh -c '{command}'", **variables))
        yield Server(front.port)


@contextmanager
def haproxy(release: str | None, commit: str | None) -> Iterator[Server]:
    with routed((release, commit), ("v9", "9" * 40)) as server:
        yield server


IMPLEMENTATIONS: dict[str, Start] = {
    "petsage": petsage,
    "wsgi": wsgi,
    "asgi": asgi,
    "express": express,
    "haproxy": haproxy,
}


@pytest.fixture(scope="module", params=IMPLEMENTATIONS.values(), ids=IMPLEMENTATIONS)
def start(request: pytest.FixtureRequest) -> Start:
    return cast("Start", request.param)


@pytest.fixture(scope="module")
def server(start: Start) -> Iterator[Server]:
    """Run the implementation, told its release and commit."""
    with start(RELEASE, COMMIT) as server:
        yield server


def test_1_without_the_header_a_request_is_served(server: Server) -> None:
    assert server.send().status == 200


@pytest.mark.parametrize("expected", [RELEASE, f"\t {RELEASE} "], ids=["plain", "blanks around"])
def test_2_the_release_serves_the_request(server: Server, expected: str) -> None:
    assert server.send(expected).status == 200


@pytest.mark.parametrize("expected", [COMMIT, COMMIT[:7], COMMIT[:12].upper()])
def test_3_so_does_the_commit_or_its_first_seven_digits(server: Server, expected: str) -> None:
    assert server.send(expected).status == 200


def test_4_another_release_is_rejected_with_a_problem(server: Server) -> None:
    response = server.send("v44")
    assert response.problem == (412, "release-mismatch")
    assert response.headers["retry-after"] == "1"
    assert "v44" not in response.body
    head = server.send("v44", method="HEAD")
    assert head.status == 412
    assert head.raw.endswith(b"\r\n\r\n"), "a HEAD has no body"


@pytest.mark.parametrize(
    "expected",
    ["v4", "v43.1", "V43", "43", "*", COMMIT[:6], COMMIT[1:], f"{COMMIT[:7]}f", f"{COMMIT}0"],
)
def test_5_a_part_or_another_spelling_is_another_release(server: Server, expected: str) -> None:
    assert server.send(expected).problem == (412, "release-mismatch")


@pytest.mark.parametrize(
    "names", [("unknown", "unknown"), (None, "UNKNOWN")], ids=["release", "commit"]
)
def test_6_unknown_is_no_release_even_where_the_app_was_told_so(
    start: Start, names: tuple[str | None, str]
) -> None:
    with start(*names) as server:
        assert server.send().status == 200
        for expected in ("unknown", "UNKNOWN"):
            assert server.send(expected).problem == (412, "release-mismatch")


@pytest.mark.parametrize("name", [None, ""], ids=["unset", "empty"])
def test_7_who_was_not_told_its_release_serves_no_expectation(
    start: Start, name: str | None
) -> None:
    with start(name, name) as untold:
        assert untold.send().status == 200
        for expected in (RELEASE, COMMIT, "None", "null", "undefined", "false", "0000000"):
            assert untold.send(expected).problem == (412, "release-mismatch")
        assert untold.send("").problem == (400, "bad-request")


UNCLEAR = {
    "empty": [""],
    "blanks": ["  "],
    "comma": [","],
    "list": [f"{RELEASE},{RELEASE}"],
    "list of two": [f"v44, {RELEASE}"],
    "repeated": [RELEASE, RELEASE],
    "right one first": [RELEASE, "v44"],
    "right one last": ["v44", RELEASE],
    "empty one first": ["", RELEASE],
}


@pytest.mark.parametrize("expected", UNCLEAR.values(), ids=UNCLEAR)
def test_8_an_empty_or_repeated_header_is_a_bad_request(
    server: Server, expected: list[str]
) -> None:
    assert server.send(*expected).problem == (400, "bad-request")


def test_9_nothing_is_served_to_who_expects_another_release(server: Server) -> None:
    assert "secret" in server.send(RELEASE, ping="secret").body
    response = server.send("v44", ping="secret")
    assert response.problem == (412, "release-mismatch")
    assert "secret" not in response.body


@pytest.mark.parametrize("expected", [[], [RELEASE], ["v44"], [""]], ids=str)
def test_10_no_cache_confuses_the_releases(server: Server, expected: list[str]) -> None:
    headers = server.send(*expected).headers
    varies = re.split(r",\s*", headers.get("vary", "").lower())
    assert "expect-release" in varies or headers.get("cache-control") == "no-store"


GREEN_COMMIT = "a11c0de4a11c0de4a11c0de4a11c0de4a11c0de4"


@pytest.fixture(scope="module")
def balancer() -> Iterator[Server]:
    """Run HAProxy: traffic goes to v43, and only aimed requests to v44."""
    with routed((RELEASE, COMMIT), ("v44", GREEN_COMMIT)) as server:
        yield server


@pytest.mark.parametrize("expected", ["v44", GREEN_COMMIT, GREEN_COMMIT[:7].upper()])
def test_an_aimed_ping_reaches_the_backend_without_traffic(balancer: Server, expected: str) -> None:
    for _ in range(5):
        assert balancer.send(expected, ping="aimed").body == 'v44 {"ping": "aimed"}'
        assert balancer.send(ping="traffic").body == 'v43 {"ping": "traffic"}'


@pytest.mark.parametrize("expected", ["v45", COMMIT[:7] + GREEN_COMMIT[:7], "v43|v44"])
def test_a_ping_aimed_at_neither_reaches_neither(balancer: Server, expected: str) -> None:
    response = balancer.send(expected, ping="aimed")
    assert response.problem == (412, "release-mismatch")
    assert "aimed" not in response.body


def test_a_ping_aimed_at_a_backend_that_is_down_never_reaches_the_other() -> None:
    with routed((RELEASE, COMMIT), ("v44", GREEN_COMMIT), green_down=True) as balancer:
        assert balancer.send("v44").status == 503
        assert balancer.send().status == 200


@pytest.mark.parametrize(("expected", "accepted"), [(b"v43", True), (b"v44", False)])
def test_the_handshake_of_a_websocket_is_checked_too(expected: bytes, accepted: bool) -> None:
    sent: list[dict[str, Any]] = []

    async def accept(scope: Any, receive: Any, send: Any) -> None:
        await send({"type": "websocket.accept"})

    async def send(message: dict[str, Any]) -> None:
        sent.append(message)

    scope = {"type": "websocket", "headers": [(b"expect-release", expected)]}
    middleware = expect_release_asgi.expect_release(accept, RELEASE, COMMIT)
    run_coroutine(middleware(scope, None, send))
    assert sent == [{"type": "websocket.accept" if accepted else "websocket.close"}]


EXAMPLES = sorted(Path(ROOT, "examples").glob("expect_release_*"))


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda path: path.name)
def test_an_example_is_one_short_file_without_dependencies(path: Path) -> None:
    text = path.read_text()
    assert text.count("\n") < 40
    if path.suffix == ".py":
        nodes = list(ast.walk(ast.parse(text)))
        modules = {node.module for node in nodes if isinstance(node, ast.ImportFrom)}
        modules |= {
            alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names
        }
        assert {str(module).partition(".")[0] for module in modules} <= sys.stdlib_module_names
    else:
        assert "require(" not in text


PAGE = DOCUMENTS["docs/expect-release.md"]


@pytest.fixture(scope="module")
def example() -> Iterator[Server]:
    """Run the WSGI example, told its release and commit."""
    with wsgi(RELEASE, COMMIT) as server:
        yield server


def test_the_problem_on_the_page_is_the_one_that_is_sent(example: Server) -> None:
    shown = PAGE.partition("```json\n")[2].partition("```")[0]
    assert json.loads(shown) == json.loads(example.send("v44").body)


@pytest.mark.parametrize("script", blocks("sh", PAGE), ids=["wait", "check"])
def test_a_script_of_the_page_prints_what_it_says(example: Server, script: str) -> None:
    require("curl")
    url = f"http://127.0.0.1:{example.port}"
    done = subprocess.run(
        ["sh", "-ec", script.replace("https://shop.example", url)],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    expected = re.findall(r"# (\d{3})$", script, re.MULTILINE)
    assert done.stdout.split() == (expected or [RELEASE])


def test_the_page_names_the_variables_of_the_haproxy_example() -> None:
    configuration = Path(ROOT, "examples", "expect_release_haproxy.cfg").read_text()
    (command,) = [block for block in blocks("shell", PAGE) if "haproxy -f" in block]
    named = set(re.findall(r"\b([A-Z_]+)=", command))
    assert named == {"FRONT", "BLUE", "BLUE_RELEASE", "GREEN", "GREEN_RELEASE"}
    assert named | {"BLUE_COMMIT", "GREEN_COMMIT"} == set(re.findall(r"\$\{(\w+)\}", configuration))
