"""One ping: the deadline holds over every phase, and each failure gets its class."""

from __future__ import annotations

import gc
import socket
import threading
import time
from typing import Any

import pytest

from petsage.client.connection import Deadline, ExchangeError, connect
from petsage.client.exchange import Client, Request
from petsage.client.fact import Fact, Failure, bears
from petsage.client.ping import Marks, ping, retry_after
from petsage.client.target import target_from
from tests.client.servers import Instance, http, serving
from tests.running import free_port

PETSAGE = Instance(commit="0f9a3b7c")


def pinged(url: str, timeout: float = 2.0, resolve: Any = socket.getaddrinfo, **more: Any) -> Fact:
    return ping(Client(target_from(url), resolve=resolve), Marks(), timeout=timeout, **more)


def test_a_right_answer_is_a_fact_with_its_origin_and_phases() -> None:
    with serving(PETSAGE) as server:
        fact = pinged(server.url)
    assert (fact.failure, fact.detail, fact.status, fact.mismatch) == (None, "", 200, False)
    assert (fact.release, fact.commit) == ("v43", "0f9a3b7c")
    assert (fact.instance, fact.worker) == ("web.1", "w1")
    assert list(fact.phases) == ["dns", "connect", "write", "wait", "read"]
    assert sum(fact.phases.values()) == pytest.approx(fact.latency_s, abs=0.005)
    assert abs(fact.due_at - time.time()) < 2


def test_the_latency_counts_from_the_moment_the_ping_was_due() -> None:
    with serving(PETSAGE) as server:
        fact = pinged(server.url, due=time.monotonic() - 1.5)
    assert 1.5 < fact.latency_s < 2.5
    assert time.time() - fact.due_at > 1.5


def test_a_412_is_the_answer_of_another_release() -> None:
    with serving(PETSAGE) as server:
        fact = pinged(server.url, expect="v44")
    assert (fact.failure, fact.mismatch, fact.release) == (None, True, "v43")


@pytest.mark.parametrize(
    ("answer", "failure"),
    [
        (http(502), Failure.SERVER_ERROR),
        (http(429), Failure.OTHER_STATUS),
        (http(302, Location="/x"), Failure.OTHER_STATUS),
        (http(404), Failure.NOT_PETSAGE),
        (http(200, b"hello"), Failure.NOT_PETSAGE),
        (b"hello\r\n", Failure.NOT_PETSAGE),
        (b"", Failure.RESET),
        (http(404, PetSage_Worker="w1"), Failure.OTHER_STATUS),
        (http(200, b"{}", PetSage_Worker="w1"), Failure.WRONG_PONG),
    ],
    ids=["502", "429", "302", "404", "page", "no HTTP", "nothing", "own 404", "own nonsense"],
)
def test_each_failure_has_its_class(answer: bytes, failure: Failure) -> None:
    with serving(lambda *_: answer) as server:
        assert pinged(server.url).failure is failure


def test_nothing_that_listens_is_refused() -> None:
    assert pinged(f"http://127.0.0.1:{free_port()}").failure is Failure.REFUSED


def test_a_lookup_that_never_ends_is_ended_and_leaves_few_threads() -> None:
    stop = threading.Event()

    def deaf(*_: object, **__: object) -> list[tuple[Any, ...]]:
        stop.wait(20)
        return []

    client = Client(target_from("http://app.example"), resolve=deaf)
    before = threading.active_count()
    began = time.monotonic()
    facts = [ping(client, Marks(), timeout=0.05) for _ in range(20)]
    assert time.monotonic() - began < 4
    assert {fact.failure for fact in facts} == {Failure.DNS}
    assert threading.active_count() - before <= 4
    stop.set()


def test_a_name_is_looked_up_anew_for_each_ping() -> None:
    asked: list[object] = []

    def counting(host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
        asked.append(host)
        return socket.getaddrinfo("127.0.0.1", port, **options)

    with serving(PETSAGE) as server:
        client = Client(target_from(f"http://app.example:{server.port}"), resolve=counting)
        assert [ping(client, Marks()).failure for _ in range(3)] == [None] * 3
        assert server.requests[0].headers["host"] == f"app.example:{server.port}"
    assert asked == ["app.example"] * 3


def test_the_next_address_is_tried_where_one_refuses() -> None:
    def both(_host: str, port: int, **options: Any) -> list[tuple[Any, ...]]:
        dead = socket.getaddrinfo("127.0.0.1", free_port(), **options)
        return dead + socket.getaddrinfo("127.0.0.1", port, **options)

    with serving(PETSAGE) as server:
        url = f"http://app.example:{server.port}"
        assert pinged(url, resolve=both).failure is None


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST", "127.1"])
def test_hosts_in_other_guises(host: str) -> None:
    with serving(PETSAGE) as server:
        assert pinged(f"http://{host}:{server.port}").failure is None


def test_an_ipv6_address_is_a_host() -> None:
    target = target_from("https://[fe80::1%25eth0]:8443/pets/")
    assert (target.host, target.port) == ("fe80::1%25eth0", 8443)
    assert (target.authority, target.prefix) == ("[fe80::1]:8443", "/pets")


def test_a_tls_hello_that_nobody_answers_ends_by_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        began = time.monotonic()
        fact = pinged(f"https://127.0.0.1:{listener.getsockname()[1]}", timeout=0.4)
    assert time.monotonic() - began < 2
    assert (fact.failure, list(fact.phases)[-1]) == (Failure.TIMEOUT, "tls")


def test_a_request_that_nobody_reads_ends_by_the_deadline() -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = Client(target_from(f"http://127.0.0.1:{listener.getsockname()[1]}"))
        exchange = client.exchange(Request("POST", "/", body=b"x" * 50_000_000), 0.5)
    assert (exchange.failure, exchange.elapsed_s < 2) == (Failure.TIMEOUT, True)


def test_no_nonce_and_no_id_is_used_twice() -> None:
    marks = Marks()
    drawn = [marks.nonce() for _ in range(500)] + [marks.request_id() for _ in range(500)]
    assert len(set(drawn)) == 1_000


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        (None, None),
        ("7", 7.0),
        ("Sat, 21 Nov 2026 03:42:53 GMT", 53.0),
        ("Sat, 21 Nov 2020 03:42:53 GMT", 0.0),
        ("soon", None),
        ("-1", None),
        ("1e3", None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert retry_after(value, now=1795232520.0) == seconds


@pytest.mark.parametrize(
    ("release", "commit", "expected", "right"),
    [
        ("v43", None, "v43", True),
        ("V43", None, "v43", False),
        ("v43", "0f9a3b7c", "0F9A3B7", True),
        ("v43", "0f9a3b7c", "0f9a3b", False),
        ("v43", "unknown", "unknown", False),
        ("unknown", "unknown", "unknown", False),
        (None, None, "v43", False),
        ("v43", "main-branch", "main-br", False),
    ],
)
def test_who_bears_a_release(
    release: str | None, commit: str | None, expected: str, right: bool
) -> None:
    assert bears(release, commit, expected) is right


def test_where_no_time_is_left_no_socket_is_left_open() -> None:
    address = (socket.AF_INET, socket.SOCK_STREAM, 6, "", ("127.0.0.1", 9))
    with pytest.raises(ExchangeError, match="no whole answer within"):
        connect([address], Deadline(0.0))
    gc.collect()  # an open one would warn, which fails the test
