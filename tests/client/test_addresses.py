"""Addresses: each in its turn, looked up again, and left out where there is no route."""

from __future__ import annotations

import socket
import threading
from typing import Any

import pytest

from petsage.client.addresses import Address, Addresses, address_from, has_route
from petsage.client.result import Failure, NoResponseError

FIRST, SECOND, THIRD = "192.0.2.1", "192.0.2.2", "192.0.2.3"
V6 = "2001:db8::1"


class Dns:
    """A resolver whose record a test sets: a list of addresses or an error."""

    def __init__(self, *record: str) -> None:
        self.record: list[str] | OSError = list(record)
        self.lookups = 0
        self.now = 0.0

    def __call__(self, _host: str, port: int, **_options: Any) -> list[tuple[Any, ...]]:
        self.lookups += 1
        if isinstance(self.record, OSError):
            raise self.record
        found: list[tuple[Any, ...]] = []
        for host in self.record:
            found += socket.getaddrinfo(host, port, flags=socket.AI_NUMERICHOST)
        return found

    def addresses(self, **options: Any) -> Addresses:
        options = {"shuffle": list.reverse, "routable": lambda _: True} | options
        return Addresses("app.example", 443, resolve=self, now=lambda: self.now, **options)


def hosts(addresses: Addresses, count: int) -> list[str]:
    return [addresses.next(5).sockaddr[0] for _ in range(count)]


def settle() -> None:
    """Let a lookup in the background end."""
    for thread in threading.enumerate():
        if thread.name == "petsage-lookup":
            thread.join(5)


def test_each_address_has_its_turn_in_each_round() -> None:
    orders = iter([[2, 0, 1], [1, 2, 0]])

    def shuffle(round_: list[Address]) -> None:
        round_[:] = [round_[place] for place in next(orders)]

    addresses = Dns(FIRST, SECOND, THIRD, FIRST).addresses(shuffle=shuffle)
    assert hosts(addresses, 6) == [SECOND, FIRST, THIRD, FIRST, THIRD, SECOND]
    assert addresses.latest == (f"{FIRST}:443", f"{SECOND}:443", f"{THIRD}:443")
    assert addresses.warnings == []


def test_the_order_is_random() -> None:
    addresses = Dns(*(f"192.0.2.{number}" for number in range(1, 9))).addresses()
    plain = Addresses("app.example", 443, fixed=[addresses.next(5) for _ in range(8)])
    rounds = {tuple(hosts(plain, 8)) for _ in range(50)}
    assert len(rounds) > 40
    assert {len(set(one)) for one in rounds} == {8}


def test_the_name_is_looked_up_again_after_a_second_and_a_round() -> None:
    dns = Dns(FIRST, SECOND)
    addresses = dns.addresses()
    for now, lookups in ((0.0, 1), (0.5, 1), (0.9, 1), (1.1, 1), (1.1, 2), (1.2, 2), (5.0, 3)):
        dns.now = now
        addresses.next(5)
        settle()
        assert dns.lookups == lookups, now


def test_an_address_that_is_gone_is_not_used_any_more_and_a_new_one_is() -> None:
    dns = Dns(FIRST, SECOND)
    addresses = dns.addresses()
    hosts(addresses, 2)
    dns.now, dns.record = 2.0, [SECOND, THIRD]
    addresses.next(5)
    settle()
    assert hosts(addresses, 1) != [FIRST]
    assert set(hosts(addresses, 2)) <= {SECOND, THIRD}
    assert addresses.latest == (f"{SECOND}:443", f"{THIRD}:443")


def test_a_later_lookup_that_fails_keeps_the_last_list_with_a_warning() -> None:
    dns = Dns(FIRST)
    addresses = dns.addresses()
    assert hosts(addresses, 1) == [FIRST]
    dns.record = socket.gaierror(socket.EAI_AGAIN, "Try again")
    for now in (2.0, 4.0, 6.0):
        dns.now = now
        assert hosts(addresses, 1) == [FIRST]
        settle()
    hosts(addresses, 1)
    (warning,) = addresses.warnings
    assert "app.example" in warning
    assert "Try again" in warning


def test_a_name_that_does_not_resolve_is_asked_for_again_after_a_second() -> None:
    dns = Dns()
    dns.record = socket.gaierror(socket.EAI_NONAME, "Name not known")
    addresses = dns.addresses()
    for now in (0.0, 0.5):
        dns.now = now
        with pytest.raises(
            NoResponseError, match=r"'app.example' does not resolve: Name"
        ) as caught:
            addresses.next(5)
        assert (caught.value.judgement.failure, dns.lookups) == (Failure.DNS, 1)
    dns.now, dns.record = 1.5, [FIRST]
    assert hosts(addresses, 1) == [FIRST]
    assert addresses.warnings == []


def test_an_error_of_the_encoding_is_a_name_that_does_not_resolve() -> None:
    def resolve(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise UnicodeError("label too long")

    with pytest.raises(NoResponseError, match="label too long"):
        Addresses("app.example", 443, resolve=resolve).next(5)


def test_a_lookup_that_hangs_ends_by_the_deadline_and_takes_one_thread() -> None:
    release = threading.Event()

    def hang(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        release.wait(20)
        return []

    addresses = Addresses("app.example", 443, resolve=hang)
    before = threading.active_count()
    for _ in range(5):
        with pytest.raises(NoResponseError, match="took too long"):
            addresses.next(0.01)
    assert threading.active_count() <= before + 1
    release.set()
    settle()


def test_pings_go_on_while_a_later_lookup_hangs() -> None:
    release = threading.Event()
    release.set()

    def resolve(host: str, port: int, **_: Any) -> list[tuple[Any, ...]]:
        release.wait(20)
        return socket.getaddrinfo(FIRST, port)

    now = iter(float(10 * step) for step in range(100))
    addresses = Addresses(
        "app.example", 443, resolve=resolve, now=lambda: next(now), routable=lambda _: True
    )
    assert hosts(addresses, 1) == [FIRST]
    release.clear()
    assert hosts(addresses, 5) == [FIRST] * 5
    release.set()
    settle()


def test_threads_share_the_turns() -> None:
    dns = Dns(FIRST, SECOND)
    addresses = dns.addresses()
    used: list[str] = []
    threads = [threading.Thread(target=lambda: used.extend(hosts(addresses, 50))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert (used.count(FIRST), used.count(SECOND), dns.lookups) == (100, 100, 1)


@pytest.mark.parametrize(
    ("family", "found"), [(socket.AF_INET, f"{FIRST}:443"), (socket.AF_INET6, f"[{V6}]:443")]
)
def test_one_family_can_be_chosen(family: int, found: str) -> None:
    addresses = Dns(FIRST, V6).addresses(family=family)
    addresses.next(5)
    assert (addresses.latest, addresses.warnings) == ((found,), [])


def test_a_family_that_the_name_does_not_have_is_no_address() -> None:
    with pytest.raises(NoResponseError, match=r"'app.example' has no IPv6 address"):
        Dns(FIRST).addresses(family=socket.AF_INET6).next(5)


def only_v4(address: Address) -> bool:
    return address.family == socket.AF_INET


def test_a_family_without_a_route_is_left_out_with_a_warning() -> None:
    addresses = Dns(FIRST, V6).addresses(routable=only_v4)
    assert hosts(addresses, 3) == [FIRST] * 3
    assert addresses.latest == (f"{FIRST}:443",)
    assert addresses.warnings == ["The IPv6 addresses are left out: there is no route from here."]


def test_no_route_at_all_is_no_address() -> None:
    with pytest.raises(NoResponseError, match="no route to ") as caught:
        Dns(V6).addresses(routable=only_v4).next(5)
    assert caught.value.judgement.failure is Failure.REFUSED


def test_an_address_is_left_out_until_the_next_lookup() -> None:
    dns = Dns(FIRST, V6, "2001:db8::2")
    addresses = dns.addresses()
    addresses.next(5)
    assert addresses.leave_out(address_from(V6, 443), "nothing answers") is True
    hosts(addresses, 2)
    assert set(hosts(addresses, 4)) == {FIRST, "2001:db8::2"}
    assert addresses.latest == (f"{FIRST}:443", "[2001:db8::2]:443")
    assert addresses.warnings == [f"[{V6}]:443 is left out: nothing answers."]
    dns.now = 2.0
    # A round ends, so that the next one looks the name up again.
    hosts(addresses, 2)
    settle()
    assert set(hosts(addresses, 6)) == {FIRST, V6, "2001:db8::2"}


def test_the_only_family_is_never_left_out() -> None:
    addresses = Dns(FIRST, SECOND).addresses()
    addresses.next(5)
    assert addresses.leave_out(address_from(FIRST, 443)) is False
    assert addresses.latest == (f"{FIRST}:443", f"{SECOND}:443")


@pytest.mark.parametrize("host", ["192.0.2.7", "127.1", "2001:db8::7"])
def test_an_address_as_the_host_is_never_looked_up(host: str) -> None:
    def resolve(*_: Any, **__: Any) -> list[tuple[Any, ...]]:
        raise AssertionError("an address needs no lookup")

    addresses = Addresses(host, 80, resolve=resolve)
    assert str(addresses.next(5)) == addresses.latest[0]


def test_given_addresses_are_used_instead_of_the_names() -> None:
    fixed = [address_from("192.0.2.9:8080", 443), address_from("::1", 443)]
    addresses = Dns(FIRST).addresses(fixed=fixed)
    assert {str(addresses.next(5)) for _ in range(2)} == {"192.0.2.9:8080", "[::1]:443"}
    assert addresses.leave_out(fixed[1]) is False


@pytest.mark.parametrize(
    ("text", "address"),
    [
        ("192.0.2.1", "192.0.2.1:443"),
        ("192.0.2.1:8443", "192.0.2.1:8443"),
        ("::1", "[::1]:443"),
        ("[::1]", "[::1]:443"),
        ("[2001:db8::1]:80", "[2001:db8::1]:80"),
        ("2001:db8::1:80", "[2001:db8::1:80]:443"),
    ],
)
def test_an_address_option(text: str, address: str) -> None:
    assert str(address_from(text, 443)) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "app.example",
        "app.example:443",
        "127.1",
        "192.0.2.1:0",
        "192.0.2.1:65536",
        "192.0.2.1:",
        "192.0.2.256",
        "[::1",
        "[::1]:",
        "[::1]443",
        "::g",
        "1",
        "192.0.2.1 ",
        "192.0.2.1:٤٤",
    ],
)
def test_what_is_no_address_is_an_error(text: str) -> None:
    with pytest.raises(ValueError, match="is no address; write it as"):
        address_from(text, 443)


def test_the_loopback_has_a_route() -> None:
    assert has_route(address_from("127.0.0.1", 9))


def test_a_socket_that_cannot_be_made_is_no_route(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_family(*_: Any) -> None:
        raise OSError(97, "Address family not supported by protocol")

    monkeypatch.setattr(socket, "socket", no_family)
    assert not has_route(Address(socket.AF_INET6, ("::1", 9, 0, 0)))
