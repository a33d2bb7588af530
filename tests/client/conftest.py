"""What the tests of the client share."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.fleets import NEW
from tests.client.servers import Running, serving


@pytest.fixture
def service() -> Iterator[Running]:
    with serving(NEW) as server:
        yield server
