"""What the contract tests of the command share."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest
import trustme

from tests.client.contract.names import Names
from tests.client.fleets import NEW
from tests.client.servers import Running, serving


@pytest.fixture(scope="module")
def service() -> Iterator[Running]:
    """One instance of v43 for a whole module."""
    with serving(NEW) as server:
        yield server


@pytest.fixture
def names(tmp_path: Path) -> Names:
    return Names(tmp_path / "hosts")


@pytest.fixture
def ipv6() -> str:
    """The IPv6 loopback address, where there is one."""
    try:
        with socket.create_server(("::1", 0), family=socket.AF_INET6):
            return "::1"
    except OSError as error:
        pytest.skip(f"no IPv6 loopback here: {error}")


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture(scope="session")
def cacert(authority: trustme.CA, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tls") / "ca.pem"
    authority.cert_pem.write_to_path(path)
    return path
