"""clock: a moment reads the same as Python's own datetime writes it."""

from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from petsage.service.json_logs import rfc3339


@given(st.datetimes(datetime(1970, 1, 1), datetime(2099, 12, 31), timezones=st.just(UTC)))
def test_a_moment_keeps_every_microsecond(moment: datetime) -> None:
    written = moment.isoformat(timespec="microseconds").replace("+00:00", "Z")
    assert rfc3339(moment.timestamp()) == written


@pytest.mark.parametrize(
    ("moment", "text"),
    {
        "the epoch": (0.0, "1970-01-01T00:00:00.000000Z"),
        "just before a second": (1.9999996, "1970-01-01T00:00:02.000000Z"),
        "before the epoch": (-0.5, "1969-12-31T23:59:59.500000Z"),
    }.values(),
    ids=["the epoch", "just before a second", "before the epoch"],
)
def test_a_moment_is_written(moment: float, text: str) -> None:
    assert rfc3339(moment) == text
