"""The addresses of a name, each in its turn. getaddrinfo always returns them in one order."""

from __future__ import annotations

import contextlib
import random
import re
import socket
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from petsage.client.result import Failure, NoResponseError, Outcome

Resolve = Callable[..., list[tuple[Any, ...]]]
LOOKUP_INTERVAL_SECONDS = 1.0
_FAMILIES: dict[int, str] = {socket.AF_INET: "IPv4", socket.AF_INET6: "IPv6"}


@dataclass(frozen=True, slots=True)
class Address:
    """Where to connect to: an address family and what `socket.connect` takes."""

    family: int
    sockaddr: tuple[Any, ...]

    def __str__(self) -> str:
        return with_port(*self.sockaddr[:2])


def with_port(host: str, port: int) -> str:
    """Return a host, such as 192.0.2.1 or ::1, with its port as a URL has it."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _unreachable(failure: Failure, detail: str) -> NoResponseError:
    return NoResponseError(failure, detail, Outcome.NOT_REACHED)


def address_from(text: str, port: int) -> Address:
    """Return the address of an `IP[:PORT]` option; `port` is the one to use where it has none.

    Raises ValueError where it is none. IPv6 is written as `::1` or `[::1]:443`.
    """
    match = re.fullmatch(r"\[(.+)\](?::(\d{1,5}))?|([^:]+)(?::(\d{1,5}))?|(.+)", text, re.ASCII)
    host = match and (match[1] or match[3] or match[5])
    given = match and (match[2] or match[4])
    found: list[Address] = []
    if host and re.fullmatch(r"\d+\.\d+\.\d+\.\d+|.*:.*", host, re.ASCII):
        with contextlib.suppress(OSError, UnicodeError):
            found = _lookup(socket.getaddrinfo, host, int(given or port), socket.AI_NUMERICHOST)
    if not found or not 0 < int(given or port) < 65_536:
        raise ValueError(f"{text!r} is no address; write it as 192.0.2.1, 192.0.2.1:443 or [::1]")
    return found[0]


def has_route(address: Address) -> bool:
    """Return whether this machine has a route to the address. It sends nothing."""
    try:
        with socket.socket(address.family, socket.SOCK_DGRAM) as probe:
            probe.connect(address.sockaddr)
    except OSError:
        return False
    return True


def _lookup(resolve: Resolve, host: str, port: int, flags: int = 0) -> list[Address]:
    found = resolve(host, port, type=socket.SOCK_STREAM, flags=flags)
    return list(dict.fromkeys(Address(one[0], one[4]) for one in found))


class _Lookup:
    """One lookup. getaddrinfo has no timeout, so a thread waits for it."""

    def __init__(self, resolve: Resolve, host: str, port: int) -> None:
        self.found: list[Address] = []
        self.error = "it has no address"
        self.done = threading.Event()
        query = (resolve, host, port)
        threading.Thread(target=self._run, args=query, name="petsage-lookup", daemon=True).start()

    def _run(self, resolve: Resolve, host: str, port: int) -> None:
        try:
            self.found = _lookup(resolve, host, port)
        except (OSError, UnicodeError) as error:
            self.error = getattr(error, "strerror", None) or str(error)
        finally:
            self.done.set()


class Addresses:
    """The addresses of one host, in turn and in a new random order each round.

    The name is looked up again at most once a second, and not before each address had its turn.
    Pings don't wait for that: they use the last list meanwhile, and keep it where the lookup
    fails. `family` chooses one address family; `fixed` addresses need no lookup at all. Any
    number of threads may share an instance.
    """

    def __init__(
        self,
        host: str,
        port: int,
        *,
        family: int | None = None,
        fixed: Sequence[Address] = (),
        resolve: Resolve = socket.getaddrinfo,
        now: Callable[[], float] = time.monotonic,
        shuffle: Callable[[list[Address]], None] = random.shuffle,
        routable: Callable[[Address], bool] = has_route,
    ) -> None:
        self._host, self._port, self._family = host, port, family
        self._resolve, self._now, self._shuffle, self._routable = resolve, now, shuffle, routable
        self._lock = threading.Lock()
        self._lookup: _Lookup | None = None
        self._looked_up_at: float | None = None
        self._latest: list[Address] = list(dict.fromkeys(fixed))
        self._round: list[Address] = []
        self._error = _unreachable(Failure.DNS, f"the name {host!r} does not resolve")
        self._warnings: dict[str, None] = {}
        if not self._latest:
            # An address as the host needs no lookup.
            with contextlib.suppress(OSError, UnicodeError):
                self._latest = _lookup(socket.getaddrinfo, host, port, socket.AI_NUMERICHOST)
        self._fixed = bool(self._latest)

    @property
    def latest(self) -> tuple[str, ...]:
        """The latest list, as `PingResult.address` writes an address."""
        return tuple(str(address) for address in self._latest)

    @property
    def warnings(self) -> list[str]:
        """Sentences on a family without a route and on lookups that failed."""
        return list(self._warnings)

    def next(self, timeout: float) -> Address:
        """Return the address whose turn it is; wait up to `timeout` seconds for the first lookup.

        Raises NoResponseError where the name does not resolve in time or no address has a route.
        """
        with self._lock:
            self._finish_lookup()
            if self._may_look_up():
                self._lookup = _Lookup(self._resolve, self._host, self._port)
                self._looked_up_at = self._now()
            first = None if self._latest else self._lookup
        if first is not None and not first.done.wait(timeout):
            raise _unreachable(Failure.DNS, f"looking up {self._host!r} took too long")
        with self._lock:
            self._finish_lookup()
            if not self._latest:
                raise self._error
            if not self._round:
                self._round = list(self._latest)
                self._shuffle(self._round)
            return self._round.pop()

    def leave_out(self, address: Address, reason: str = "") -> bool:
        """Leave out an address until the next lookup, with `reason` as a warning.

        Returns False where the name has no address of another family: then nothing changes.
        """
        with self._lock:
            if self._fixed or all(one.family == address.family for one in self._latest):
                return False
            self._latest = [one for one in self._latest if one != address]
            self._round = [one for one in self._round if one != address]
            if reason:
                self._warn(f"{address} is left out: {reason}.")
            return True

    def _may_look_up(self) -> bool:
        if self._fixed or self._round or self._lookup is not None:
            return False
        last = self._looked_up_at
        return last is None or self._now() - last >= LOOKUP_INTERVAL_SECONDS

    def _finish_lookup(self) -> None:
        lookup = self._lookup
        if lookup is None or not lookup.done.is_set():
            return
        self._lookup = None
        if lookup.found:
            self._take(lookup.found)
        else:
            reason = f"the name {self._host!r} does not resolve: {lookup.error}"
            self._keep(_unreachable(Failure.DNS, reason))

    def _take(self, found: list[Address]) -> None:
        """Make these the latest list, without the families that have no route from here."""
        chosen = [one for one in found if self._family in (None, one.family)]
        routed = {one.family for one in chosen if self._routable(one)}
        if not chosen:
            name = _FAMILIES.get(self._family or 0, "usable")
            self._keep(_unreachable(Failure.DNS, f"{self._host!r} has no {name} address"))
        elif not routed:
            listed = ", ".join(str(one) for one in chosen)
            self._keep(_unreachable(Failure.REFUSED, f"there is no route to {listed}"))
        else:
            for family in {one.family for one in chosen} - routed:
                name = _FAMILIES.get(family, "other")
                self._warn(f"The {name} addresses are left out: there is no route from here.")
            self._latest = [one for one in chosen if one.family in routed]
            self._round = [one for one in self._round if one in self._latest]

    def _keep(self, error: NoResponseError) -> None:
        """Keep the last list where there is one, with a warning."""
        self._error = error
        if self._latest:
            self._warn(f"A later lookup failed ({error}); the last addresses are kept.")

    def _warn(self, sentence: str) -> None:
        self._warnings[sentence] = None
