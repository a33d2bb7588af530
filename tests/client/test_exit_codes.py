"""Every exit code of a smoke test, each provoked by a real server that misbehaves so."""

from __future__ import annotations

import gzip
import json
import socket
import threading
import time

import pytest

from petsage import contract
from tests.client.runs import petsage, rollout, smoke_test
from tests.client.servers import (
    Fleet,
    Instance,
    Received,
    Respond,
    http,
    is_ping,
    serving,
    silent,
)
from tests.running import free_port

PETSAGE = Instance()


def spoiled(**changes: object) -> Respond:
    """Answer as PetSage, with these members of the pong instead; None leaves one out."""

    def respond(request: Received, _: socket.socket) -> bytes:
        if not is_ping(request):
            return PETSAGE(request)
        body: dict[str, object] = {
            "status": "ok",
            "message": contract.SMOKE_TEST_MESSAGE,
            "pong": json.loads(request.body)["ping"],
            "timestamp": "2026-11-21T03:42:53.009378Z",
        }
        body |= changes
        return PETSAGE.ok(request, {name: part for name, part in body.items() if part is not None})

    return respond


def caching() -> Respond:
    first: list[bytes] = []

    def respond(request: Received, _: socket.socket) -> bytes:
        if not first:
            first.append(PETSAGE(request))
        return first[0]

    return respond


def constant(status: int, body: bytes = b"", **headers: str) -> Respond:
    return lambda _request, _connection: http(status, body, **headers)


def other_id(request: Received, _: socket.socket) -> bytes:
    return PETSAGE(request).replace(request.request_id.encode(), b"another-id")


def own_error(request: Received, _: socket.socket) -> bytes:
    return PETSAGE.problem(request, "internal-error")


def own_not_found(request: Received, _: socket.socket) -> bytes:
    return PETSAGE.problem(request, "not-found")


def not_json(request: Received, _: socket.socket) -> bytes:
    return http(200, b"[" * 5_000, **PETSAGE.headers(request), Content_Type="application/json")


def typeless(request: Received, _: socket.socket) -> bytes:
    return PETSAGE(request).replace(b"Content-Type: application/json", b"Content-Type: text/html")


def stray_412(request: Received, _: socket.socket) -> bytes:
    return PETSAGE.problem(request, "release-mismatch")


def resetting(_request: Received, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nhalf")
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def closing(_request: Received, _: socket.socket) -> bytes:
    return b""


def half_closed(_request: Received, connection: socket.socket) -> None:
    connection.shutdown(socket.SHUT_WR)
    connection.recv(1)


def cut(request: Received, _: socket.socket) -> bytes:
    return PETSAGE(request)[:-5]


def understating(request: Received, _: socket.socket) -> bytes:
    whole = PETSAGE(request)
    length = len(whole.partition(b"\r\n\r\n")[2])
    return whole.replace(b"Content-Length: %d" % length, b"Content-Length: 10")


def dripping(request: Received, connection: socket.socket) -> None:
    for byte in PETSAGE(request):
        connection.sendall(bytes([byte]))
        time.sleep(0.5)


def endless(worker: str) -> Respond:
    def respond(_request: Received, connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\n" + worker.encode() + b"\r\n")
        while True:
            connection.sendall(b"x" * 65_536)

    return respond


def endless_head(_request: Received, connection: socket.socket) -> None:
    connection.sendall(b"HTTP/1.1 200 OK\r\n")
    while True:
        connection.sendall(b"X-More: of the same\r\n" * 1_000)


def interim(_request: Received, connection: socket.socket) -> None:
    while True:
        connection.sendall(b"HTTP/1.1 102 Processing\r\n\r\n")


def banner(_request: Received, _: socket.socket) -> bytes:
    return b"SSH-2.0-OpenSSH_9.9\r\n"


def lying_lengths(request: Received, _: socket.socket) -> bytes:
    return PETSAGE(request).replace(b"\r\n\r\n", b"\r\nContent-Length: 7\r\n\r\n", 1)


# What waiting cannot mend: code 1, and long before --wait is over.
WRONG_AT_ONCE: dict[str, Respond] = {
    "wrong pong": spoiled(pong="something else"),
    "pong that is no string": spoiled(pong=7),
    "cache that repeats the first pong": caching(),
    "a member missing": spoiled(status=None),
    "a member too many": spoiled(extra="x"),
    "another message": spoiled(message="Hello"),
    "a timestamp without microseconds": spoiled(timestamp="2026-11-21T03:42:53Z"),
    "a timestamp of no calendar": spoiled(timestamp="2026-02-30T03:42:53.009378Z"),
    "another request id": other_id,
    "PetSage's own 404": own_not_found,
    "a body nested without end": not_json,
    "another media type": typeless,
    "412 though nothing was expected": stray_412,
    "endless body from PetSage": endless("PetSage-Worker: w1\r\n"),
    "body longer than its length": understating,
    **{
        f"redirect {status}": constant(status, Location="https://elsewhere.example/")
        for status in (301, 302, 303, 307, 308)
    },
}

# What is waited out until the deadline, and then still code 1: something answers, not PetSage.
WRONG_AT_THE_END: dict[str, Respond] = {
    "HTML page with 200": constant(200, b"<h1>It works!</h1>", Content_Type="text/html"),
    "router's 404": constant(404, b"No such app", Content_Type="text/plain"),
    "all but the worker": lambda request, _: PETSAGE(request).replace(b"PetSage-Worker", b"X"),
    "no HTTP": banner,
    "two lengths": lying_lengths,
    "endless body": endless(""),
    "endless head": endless_head,
    "endless interim answers": interim,
    "PetSage's own 500": own_error,
}

UNREACHABLE: dict[str, Respond] = {
    "502": constant(502),
    "503": constant(503, Retry_After="1"),
    "504": constant(504),
    "429": constant(429),
    "silence": silent,
    "reset in the middle": resetting,
    "closed without a word": closing,
    "half closed": half_closed,
    "answer cut short": cut,
    "one byte each half second": dripping,
}


def cases(table: dict[str, Respond]) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("respond", table.values(), ids=table.keys())


@cases(WRONG_AT_ONCE)
def test_a_wrong_answer_ends_it_at_once_with_1(respond: Respond) -> None:
    with serving(respond) as server:
        done = smoke_test(server.url, "--wait", 30, within=10)
    assert (done.code, done.report["verdict"]) == (1, "wrong")
    assert done.report["elapsed_s"] < 5
    assert len(done.report["problems"]) == 1


@pytest.mark.parametrize(
    "respond",
    [
        constant(301, Location="https://app.example/system/smoke-test"),
        constant(404, b"No such app", Content_Type="text/plain"),
    ],
    ids=["http to https", "router's 404"],
)
def test_what_a_wrong_url_finds_is_said_to_tell_nothing_of_the_release(respond: Respond) -> None:
    with serving(respond) as server:
        done = petsage("smoke-test", server.url, "--wait", 0.6, "--expect-release", "v43")
    told = " ".join(done.out.split())
    assert (done.code, "Roll back" in told) == (1, False)
    assert "This says nothing about the release; check the URL." in told
    assert "what next Check the URL, and what stands" in told


def own_redirect(request: Received, _: socket.socket) -> bytes:
    return http(301, **PETSAGE.headers(request), Location="/elsewhere")


ROUTELESS = pytest.mark.parametrize(
    "respond", [own_not_found, own_redirect], ids=["404", "redirect"]
)


@ROUTELESS
def test_a_first_answer_of_petsages_own_without_the_route_leaves_open_what_is_wrong(
    respond: Respond,
) -> None:
    with serving(respond) as server:
        (told,) = smoke_test(server.url, "--expect-release", "v43").report["problems"]
    assert "says nothing about the release" not in told
    assert "Either the URL is not the service's base, or this release has no such route" in told


@ROUTELESS
def test_after_right_answers_a_release_without_the_route_is_not_a_wrong_url(
    respond: Respond,
) -> None:
    with serving(Fleet(lambda number: respond if number > 4 else PETSAGE)) as server:
        done = petsage("smoke-test", server.url, "--wait", 9, "--expect-release", "v43")
    told = " ".join(done.out.split())
    assert (done.code, "Roll back" in told, "check the URL" in told) == (1, True, False)
    assert "so the URL is right: this release (v43) has no such route." in told
    assert "Redirects are not followed" not in told


def test_after_right_answers_a_redirect_of_something_else_is_no_wrong_url_either() -> None:
    away = constant(302, Location="https://login.example/")
    with serving(Fleet(lambda number: away if number > 4 else PETSAGE)) as server:
        (told,) = smoke_test(server.url, "--expect-release", "v43").report["problems"]
    assert told.endswith("so the URL is right: something else answers there now.")


def test_an_answer_that_names_a_release_but_no_worker_tells_of_a_header_that_was_dropped() -> None:
    def stripped(request: Received, _: socket.socket) -> bytes:
        return PETSAGE(request).replace(b"PetSage-Worker: w1\r\n", b"")

    with serving(stripped) as server:
        (told,) = smoke_test(server.url, "--wait", 0.6).report["problems"]
    assert "does something drop PetSage-Worker on the way?" in told
    assert "says nothing about the release" not in told


def test_a_rollout_onto_a_wrong_base_says_what_may_be_wrong() -> None:
    with serving(own_not_found) as server:
        done = rollout(server.url, "--deadline", 0.5)
    assert done.code == 4
    assert (
        "404 from PetSage. Either the URL is not the service's base" in done.report["problems"][0]
    )


def test_a_wrong_answer_of_petsages_own_is_a_reason_to_roll_back() -> None:
    with serving(spoiled(pong="another")) as server:
        told = petsage("smoke-test", server.url).out
    assert ("Roll back" in told, "check the URL" in told) == (True, False)


def test_an_answer_that_something_compressed_is_said_to_be_so() -> None:
    def compressing(request: Received, _: socket.socket) -> bytes:
        head, _, body = PETSAGE(request).partition(b"\r\n\r\n")
        packed = gzip.compress(body)
        length = b"Content-Length: %d\r\nContent-Encoding: gzip" % len(packed)
        plain = b"Content-Length: %d" % len(body)
        return head.replace(plain, length) + b"\r\n\r\n" + packed

    with serving(compressing) as server:
        done = smoke_test(server.url)
    assert done.code == 1
    assert "coded as gzip, which was not asked for" in done.report["problems"][0]


@cases(WRONG_AT_THE_END)
def test_what_is_not_petsage_is_waited_out_and_then_1(respond: Respond) -> None:
    with serving(respond) as server:
        done = smoke_test(server.url, "--wait", 1, within=10)
    assert (done.code, done.report["verdict"]) == (1, "wrong")
    assert 0.9 < done.report["elapsed_s"] < 2.5
    assert done.report["pings"]["sent"] > 1


@cases(UNREACHABLE)
def test_what_never_answers_until_the_deadline_is_3(respond: Respond) -> None:
    with serving(respond) as server:
        done = smoke_test(server.url, "--wait", 0.8, "--timeout", 0.3, within=10)
    assert (done.code, done.report["verdict"]) == (3, "unreachable")
    assert 0.6 < done.report["elapsed_s"] < 2.5


@pytest.mark.parametrize("status", [429, 502, 503, 504])
def test_a_proxys_trouble_for_a_while_is_waited_out(status: int) -> None:
    with serving(Fleet(lambda n: PETSAGE if n >= 2 else constant(status))) as server:
        done = smoke_test(server.url)
    assert done.code == 0
    assert done.report["pings"]["sent"] == 5


def test_petsages_own_500_is_waited_out_until_it_has_answered_rightly_once() -> None:
    with serving(Fleet(lambda n: own_error if n < 2 else PETSAGE)) as server:
        assert smoke_test(server.url).code == 0
    with serving(Fleet(lambda n: own_error if n == 1 else PETSAGE)) as server:
        assert smoke_test(server.url).code == 1


@pytest.mark.parametrize(
    ("asked", "at_least", "at_most"), [("2", 2.0, 4.0), ("3600", 5.0, 7.0)], ids=["2 s", "1 h"]
)
def test_retry_after_is_honoured_up_to_5_seconds(
    asked: str, at_least: float, at_most: float
) -> None:
    tired = constant(503, Retry_After=asked)
    with serving(Fleet(lambda n: PETSAGE if n else tired)) as server:
        done = smoke_test(server.url)
    assert done.code == 0
    assert at_least < done.report["elapsed_s"] < at_most


def test_nothing_listens_is_3() -> None:
    done = smoke_test(f"http://127.0.0.1:{free_port()}", "--wait", 1)
    assert done.code == 3
    assert set(done.report["pings"]["failed"]) == {"refused"}


def test_a_service_that_comes_up_late_is_waited_for() -> None:
    port = free_port()

    def later() -> None:
        time.sleep(1)
        with socket.create_server(("127.0.0.1", port)) as listener:
            for _ in range(3 + 11):
                connection, _ = listener.accept()
                with connection:
                    data = connection.recv(65_536)
                    head, _, body = data.partition(b"\r\n\r\n")
                    first, *lines = head.decode().split("\r\n")
                    method, path, _ = first.split(" ")
                    pairs = (line.split(": ", 1) for line in lines)
                    headers = {name.lower(): value for name, value in pairs}
                    connection.sendall(PETSAGE(Received(method, path, headers, body)))

    thread = threading.Thread(target=later, daemon=True)
    thread.start()
    done = smoke_test(f"http://127.0.0.1:{port}")
    thread.join(10)
    assert done.code == 0


def test_a_name_that_does_not_resolve_is_3() -> None:
    done = smoke_test("http://no-such-host.invalid", "--wait", 1)
    assert done.code == 3
    assert set(done.report["pings"]["failed"]) == {"dns"}


@pytest.mark.parametrize("ahead", [-3600.0, 60.0], ids=["behind", "ahead"])
def test_a_clock_that_is_wrong_is_a_warning(ahead: float) -> None:
    with serving(PETSAGE.named(clock_ahead=ahead)) as server:
        done = smoke_test(server.url)
    assert done.code == 0
    assert [("clock" in one) for one in done.report["warnings"]] == [True]
