"""middleware: an id, the standard headers and one log line, for every request and every answer."""

import json
import logging
import re
from collections.abc import Iterator

import pytest
from flask import Response
from flask.testing import FlaskClient
from flask_smorest import abort

from petsage.service.middleware import Middleware
from petsage.service.process import worker_id
from petsage.service.settings import Release, Settings
from tests.service.conftest import ClientOf

TARGETS = {
    "200": ("GET", "/system/live"),
    "HEAD": ("HEAD", "/system/live"),
    "OPTIONS": ("OPTIONS", "/system/live"),
    "404": ("GET", "/nothing"),
    "405": ("PUT", "/system/live"),
    "415": ("POST", "/system/smoke-test"),
}
SECURITY = {
    "X-Content-Type-Options": "nosniff",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Resource-Policy": "same-origin",
}
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


def request_lines(text: str) -> list[dict[str, object]]:
    lines = [json.loads(line) for line in text.splitlines()]
    return [line for line in lines if line["logger"] == "petsage.request"]


@pytest.mark.parametrize(("method", "path"), TARGETS.values(), ids=TARGETS)
def test_every_answer_has_the_standard_headers_once(
    client_of: ClientOf, method: str, path: str
) -> None:
    client = client_of(release=Release("v43", "12e4567"), instance="web.1")
    headers = client.open(path, method=method).headers
    expected = SECURITY | {
        "PetSage-Release": "v43",
        "PetSage-Commit": "12e4567",
        "PetSage-Instance": "web.1",
        "PetSage-Worker": worker_id(),
        "Cache-Control": "no-store",
        "Server": "PetSage",
    }
    assert {name: headers.getlist(name) for name in expected} == {
        name: [value] for name, value in expected.items()
    }
    assert re.fullmatch(r"app;dur=\d+\.\d+", headers["Server-Timing"])
    assert headers["X-Request-ID"]


def test_what_is_not_known_is_said_to_be_unknown(client: FlaskClient) -> None:
    headers = client.get("/nothing").headers
    assert (headers["PetSage-Release"], headers["PetSage-Commit"]) == ("unknown", "unknown")


@pytest.mark.parametrize("path", ["/system/live", "/nothing", "/system/version"])
def test_what_is_not_disclosed_stands_nowhere(client_of: ClientOf, path: str) -> None:
    client = client_of(release=Release("v43", "12e4567"), instance="web.1", disclose_release=False)
    answer = client.get(path)
    for name in ("PetSage-Release", "PetSage-Commit", "PetSage-Instance"):
        assert name not in answer.headers
    assert "PetSage-Worker" in answer.headers
    assert not re.search("v43|12e4567|web.1", answer.text + str(answer.headers))


@pytest.mark.parametrize("given", ["a", "A/b+c=d._-", "x" * 200])
def test_a_well_formed_id_of_the_caller_is_kept(
    client: FlaskClient, capfd: pytest.CaptureFixture[str], given: str
) -> None:
    answer = client.get("/nothing", headers={"X-Request-ID": given})
    assert answer.headers.getlist("X-Request-ID") == [given]
    assert answer.json["request_id"] == given
    assert [line["request_id"] for line in request_lines(capfd.readouterr().out)] == [given]


@pytest.mark.parametrize("given", ["", " ", "a b", "é", "x" * 201, "a,b", "a;b", "a\tb", '"a"'])
def test_any_other_id_is_replaced_by_a_new_one(client: FlaskClient, given: str) -> None:
    ids = {
        client.get("/nothing", headers={"X-Request-ID": given}).json["request_id"] for _ in range(3)
    }
    assert len(ids) == 3
    assert given not in ids


def test_one_line_tells_of_each_request(
    client_of: ClientOf, capfd: pytest.CaptureFixture[str]
) -> None:
    client = client_of(release=Release("v43"), instance="web.1", disclose_release=False)
    client.post(
        "/system/smoke-test?secret=1",
        json={"ping": "secret"},
        headers={"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01", "X-Request-ID": "marker"},
    )
    text = capfd.readouterr().out
    (line,) = request_lines(text)
    assert "secret" not in text
    assert list(line) == [
        *("timestamp", "level", "logger", "message", "request_id", "trace_id", "release"),
        *("instance", "worker", "method", "path", "status", "duration_ms", "bytes"),
        *("remote_addr", "code"),
    ]
    assert line["level"] == "INFO"
    assert (line["request_id"], line["trace_id"]) == ("marker", TRACE)
    assert (line["release"], line["instance"], line["worker"]) == ("v43", "web.1", worker_id())
    assert (line["method"], line["path"]) == ("POST", "/system/smoke-test")
    assert (line["status"], line["code"]) == (422, "validation-error")
    assert line["remote_addr"] == "127.0.0.1"
    assert isinstance(line["bytes"], int)
    assert isinstance(line["duration_ms"], float)


@pytest.mark.parametrize(
    "given",
    [
        "",
        "x",
        f"00-{TRACE}-00f067aa0ba902b7",
        f"00-{TRACE.upper()}-00f067aa0ba902b7-01",
        f"00-{'0' * 32}-00f067aa0ba902b7-01",
        f"00-{TRACE}-{'0' * 16}-01",
        f"ff-{TRACE}-00f067aa0ba902b7-01",
        f"00-{TRACE}-00f067aa0ba902b7-01-more",
    ],
)
def test_an_invalid_traceparent_gives_no_trace(
    client: FlaskClient, capfd: pytest.CaptureFixture[str], given: str
) -> None:
    client.get("/nothing", headers={"traceparent": given})
    assert [line["trace_id"] for line in request_lines(capfd.readouterr().out)] == [None]


def test_a_later_version_of_traceparent_may_say_more(
    client: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    client.get("/nothing", headers={"traceparent": f"01-{TRACE}-00f067aa0ba902b7-01-more"})
    assert [line["trace_id"] for line in request_lines(capfd.readouterr().out)] == [TRACE]


def test_a_path_is_logged_as_it_came_and_can_start_no_new_line(
    client: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    client.get("/%0d%0a%1b[31m%22,%22level%22:%22x?q=secret")
    client.get(f"/{'x' * 5_000}")
    ugly, long = request_lines(capfd.readouterr().out)
    assert (ugly["path"], ugly["level"]) == ("/%0d%0a%1b[31m%22,%22level%22:%22x", "INFO")
    assert long["path"] == f"/{'x' * 1_999}"


def test_the_size_of_the_body_is_logged_and_that_of_a_head_answer_is_none(
    client: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    size = len(client.get("/system/version").data)
    client.head("/system/version")
    lines = request_lines(capfd.readouterr().out)
    assert [line["bytes"] for line in lines] == [size, 0]
    assert not any("code" in line for line in lines)


def test_a_body_of_unknown_length_is_counted_and_logged_under_its_request(
    client: FlaskClient, capfd: pytest.CaptureFixture[str]
) -> None:
    client.application.add_url_rule(
        "/stream", view_func=lambda: Response(iter([b"ab", b"", b"cde"]))
    )
    answer = client.get("/stream", headers={"X-Request-ID": "marker"})
    assert answer.data == b"abcde"
    answer.close()
    (line,) = request_lines(capfd.readouterr().out)
    assert (line["bytes"], line["request_id"]) == (5, "marker")


@pytest.mark.parametrize("headers", [{}, {"Content-Length": "2"}], ids=["unknown", "known"])
def test_what_is_logged_while_a_body_is_made_and_closed_bears_the_request_s_id(
    client: FlaskClient, capfd: pytest.CaptureFixture[str], headers: dict[str, str]
) -> None:
    log = logging.getLogger("feature")

    def stream() -> Response:
        def parts() -> Iterator[bytes]:
            log.info("first")
            yield b"a"
            log.info("second")
            yield b"b"

        answer = Response(parts(), headers=headers)
        answer.call_on_close(lambda: log.info("closed"))
        return answer

    client.application.add_url_rule("/stream", view_func=stream)
    answer = client.get("/stream", headers={"X-Request-ID": "marker"}, buffered=False)
    log.info("between")
    assert answer.data == b"ab"
    answer.close()
    lines = [json.loads(line) for line in capfd.readouterr().out.splitlines()]
    ids = {line["message"]: line["request_id"] for line in lines}
    assert ids.pop("between") is None
    assert list(ids.values()) == ["marker"] * 4


def test_successful_probes_can_be_left_out_of_the_log(
    client_of: ClientOf, capfd: pytest.CaptureFixture[str]
) -> None:
    client = client_of(log_probes=False)
    probes = ["/system/live", "/system/ready", "/api/v1/health", "/system/health"]
    for probe in probes:
        client.get(probe)
        client.get(f"{probe}/")
    client.delete("/system/live")
    client.get("/system/version")
    lines = request_lines(capfd.readouterr().out)
    assert [(line["path"], line["status"]) for line in lines] == [
        ("/system/live", 405),
        ("/system/version", 200),
    ]


def test_a_problem_found_before_the_app_has_all_of_it_too(
    capfd: pytest.CaptureFixture[str], client: FlaskClient
) -> None:
    refuse = Middleware(Settings()).problem("uri-too-long", "The request line is too long.")
    seen: dict[str, object] = {}

    def start_response(status: str, headers: list[tuple[str, str]], *_: object) -> None:
        seen.update(headers, status=status)

    environ = {"REQUEST_METHOD": "-", "PATH_INFO": "-"}
    body = json.loads(b"".join(refuse(environ, start_response)))  # type: ignore[arg-type]
    assert seen["status"] == "414 URI too long"
    assert seen["Content-Type"] == "application/problem+json"
    assert (body["status"], body["code"]) == (414, "uri-too-long")
    assert body["request_id"] == seen["X-Request-ID"]
    (line,) = request_lines(capfd.readouterr().out)
    assert (line["status"], line["code"]) == (414, "uri-too-long")
    assert line["request_id"] == seen["X-Request-ID"]


@pytest.mark.parametrize("hops", [0, 1, 2])
def test_forwarded_headers_are_believed_for_the_trusted_hops_only(
    client_of: ClientOf, capfd: pytest.CaptureFixture[str], hops: int
) -> None:
    client = client_of(trusted_proxies=hops)
    client.get("/system/live", headers={"X-Forwarded-For": "203.0.113.1, 203.0.113.2"})
    (line,) = request_lines(capfd.readouterr().out)
    assert line["remote_addr"] == ["127.0.0.1", "203.0.113.2", "203.0.113.1"][hops]


@pytest.mark.parametrize(
    "header",
    ["X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto", "X-Forwarded-Prefix"],
)
@pytest.mark.parametrize("value", ["", "a b", "[", "é", "//", "x" * 8_000, "<b>", "%", ":99999"])
def test_nonsense_from_a_trusted_proxy_breaks_nothing(
    client_of: ClientOf, capfd: pytest.CaptureFixture[str], header: str, value: str
) -> None:
    client = client_of(trusted_proxies=1)
    for path in ("/system/live", "/", "/openapi.json"):
        assert client.get(path, headers={header: value}).status_code in (200, 400, 404)
    assert all(len(line) < 4_096 for line in capfd.readouterr().out.splitlines())


def test_a_feature_can_give_an_answer_no_second_id_worker_or_length(client: FlaskClient) -> None:
    def answer() -> Response:
        return Response(headers={"X-Request-ID": "other", "PetSage-Worker": "other"})

    def refuse() -> None:
        abort(409, headers={"Content-Length": "3", "X-Request-ID": "other"})

    client.application.add_url_rule("/answer", view_func=answer)
    client.application.add_url_rule("/refuse", view_func=refuse)
    for path in ("/answer", "/refuse"):
        answered = client.get(path, headers={"X-Request-ID": "mine"})
        assert answered.headers.getlist("X-Request-ID") == ["mine"]
        assert answered.headers.getlist("PetSage-Worker") == [worker_id()]
        assert answered.headers.getlist("Content-Length") == [str(len(answered.data))]
