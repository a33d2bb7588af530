"""readiness: checks side by side, each under its own limit, hung ones in nobody's way."""

import logging
import threading
import time
from collections.abc import Iterator

import pytest

from petsage.service.readiness import KEPT_SECONDS, Readiness


@pytest.fixture
def hung() -> Iterator[threading.Event]:
    """Return an event that a check can hang on, until the test ends."""
    release = threading.Event()
    yield release
    release.set()


def statuses(readiness: Readiness, exclude: tuple[str, ...] = ()) -> dict[str, str]:
    return {name: result.status for name, result in readiness.results(exclude).items()}


def test_a_check_passes_when_it_returns_and_fails_when_it_raises_or_says_false() -> None:
    readiness = Readiness()
    readiness.add("passes", lambda: None)
    readiness.add("raises", lambda: 1 / 0)
    readiness.add("says_false", lambda: False)
    assert statuses(readiness) == {"passes": "ok", "raises": "failed", "says_false": "failed"}


def test_the_error_of_a_check_goes_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    readiness = Readiness()
    readiness.add("database", lambda: 1 / 0)
    with caplog.at_level(logging.WARNING):
        readiness.results()
    assert "division by zero" in caplog.text


def test_a_check_that_exits_the_thread_has_failed() -> None:
    readiness = Readiness()
    readiness.add("exits", lambda: exec("raise SystemExit"))
    assert statuses(readiness) == {"exits": "failed"}


def test_checks_run_side_by_side() -> None:
    readiness = Readiness()
    meeting = threading.Barrier(3)
    for name in ("a", "b", "c"):
        readiness.add(name, lambda: meeting.wait(5), timeout=10)
    assert set(statuses(readiness).values()) == {"ok"}


def test_a_hung_check_is_not_started_again(hung: threading.Event) -> None:
    calls = []
    readiness = Readiness()
    readiness.add("hangs", lambda: (calls.append(1), hung.wait()), timeout=0.2)
    readiness.add("fine", lambda: None)
    assert statuses(readiness) == {"hangs": "timeout", "fine": "ok"}
    time.sleep(KEPT_SECONDS + 0.1)
    assert statuses(readiness) == {"hangs": "timeout", "fine": "ok"}
    assert calls == [1]


def test_a_hung_check_is_run_again_once_it_has_ended(hung: threading.Event) -> None:
    readiness = Readiness()
    readiness.add("database", lambda: hung.wait(), timeout=0.3)
    assert statuses(readiness) == {"database": "timeout"}
    hung.set()
    time.sleep(KEPT_SECONDS + 0.2)
    assert statuses(readiness) == {"database": "ok"}


def test_a_result_is_kept_for_a_second_and_no_longer() -> None:
    calls = []
    readiness = Readiness()
    readiness.add("counts", lambda: calls.append(1))
    for _ in range(20):
        readiness.results()
    assert len(calls) == 1
    time.sleep(KEPT_SECONDS + 0.1)
    readiness.results()
    assert len(calls) == 2


def test_many_probes_at_once_share_one_run(hung: threading.Event) -> None:
    calls = []
    readiness = Readiness()
    readiness.add("slow", lambda: (calls.append(1), hung.wait(0.3)), timeout=5)
    results: list[dict[str, str]] = []
    probes = [
        threading.Thread(target=lambda: results.append(statuses(readiness))) for _ in range(20)
    ]
    for probe in probes:
        probe.start()
    for probe in probes:
        probe.join()
    assert (len(calls), results) == (1, [{"slow": "ok"}] * 20)


def test_an_excluded_check_is_not_run() -> None:
    readiness = Readiness()
    readiness.add("a", lambda: None)
    readiness.add("b", lambda: 1 / 0)
    assert statuses(readiness, exclude=("b",)) == {"a": "ok"}


@pytest.mark.parametrize("name", ["", "A", "a b", "ä", "1", "a" * 41, "a\n"])
def test_a_malformed_name_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="must match"):
        Readiness().add(name, lambda: None)


def test_a_name_that_is_taken_and_a_limit_that_is_none_are_refused() -> None:
    readiness = Readiness()
    readiness.add("a", lambda: None)
    with pytest.raises(ValueError, match="already"):
        readiness.add("a", lambda: None)
    for limit in (0, -1, float("nan"), float("inf")):
        with pytest.raises(ValueError, match="positive"):
            readiness.add("b", lambda: None, timeout=limit)


def test_a_coroutine_function_is_refused_because_calling_it_checks_nothing() -> None:
    async def ping() -> None:
        raise ConnectionError

    with pytest.raises(ValueError, match="coroutine"):
        Readiness().add("database", ping)
