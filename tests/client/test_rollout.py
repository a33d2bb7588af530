"""The loop of a rollout: the rate, the order, the command and the end. No real time passes."""

from __future__ import annotations

import threading
from collections.abc import Callable
from itertools import pairwise
from signal import SIGHUP, SIGTERM
from typing import Any

import pytest

from petsage.client.clock import Clock
from petsage.client.result import Failure, Outcome, PingResult
from petsage.client.rollout import (
    STALL_SECONDS,
    Due,
    Ended,
    OpenLoop,
    PingThreads,
    rollout,
)
from petsage.client.run import Run
from petsage.client.signals import Interrupted
from tests.client.fakes import FakeClock, FakeCommand, FakeProbe, FakeThreads
from tests.client.results import (
    STARTED_AT,
    failed,
    incorrect,
    nameless,
    old,
    page,
    rejection,
    result,
)

Script = Callable[[int], PingResult]
RATE = 10


def switching(at: int, *between: PingResult) -> Script:
    """Return a script that changes from the old to the new release, by way of `between`."""

    def script(number: int) -> PingResult:
        if number < at:
            return old()
        return between[number - at] if number - at < len(between) else result()

    return script


class Watched:
    """A rollout on a script, with its clock, threads and command."""

    def __init__(
        self,
        script: Script,
        *,
        command: Callable[[FakeClock], FakeCommand] | None = None,
        addresses: tuple[str, ...] = (),
        bogus: Script | None = None,
        interruptible: Any = lambda call: call,
        **asked: Any,
    ) -> None:
        self.clock = FakeClock()

        def send(due: Due) -> PingResult:
            return (bogus or script)(due.number) if due.bogus else script(due.number)

        self.threads = FakeThreads(send, self.clock)
        self.command = command(self.clock) if command else None
        fields = {"url": "http://app.example", "expected": "v43", "rate": RATE, "consecutive": 5}
        self.run = Run(kind="rollout", **(fields | asked))
        rollout(
            self.run,
            FakeProbe(script, self.clock, addresses=addresses),
            self.threads,
            clock=self.clock,
            command=self.command,
            interruptible=interruptible,
        )

    @property
    def dues(self) -> list[float]:
        return [due.at for due in self.threads.started]


def test_it_ends_when_the_new_release_has_taken_over() -> None:
    watched = Watched(switching(30))
    run = watched.run
    assert run.streak.complete()
    assert len(run.history.results) == 36
    assert run.history.ok == 36
    assert run.elapsed_s == pytest.approx(3.5, abs=0.1)
    assert run.most_late_s < 0.01


def test_pings_are_due_at_a_fixed_rate_whatever_becomes_of_them() -> None:
    slow = old(latency_s=7.0)
    watched = Watched(lambda number: slow if number % 3 else old(), limit_s=5.0)
    steps = [after - before for before, after in pairwise(watched.dues)]
    assert all(step == pytest.approx(1 / RATE) for step in steps)
    assert len(watched.dues) == 50


def test_latency_counts_from_the_due_moment_and_lateness_is_kept() -> None:
    def script(number: int) -> PingResult:
        return result()

    clock = FakeClock()
    threads = FakeThreads(lambda due: script(due.number), clock)
    loop = OpenLoop(threads, RATE, clock)
    clock.time += 0.55
    loop.send_due(bogus=False)
    assert [due.at for due in threads.started] == pytest.approx(
        [100.0, 100.1, 100.2, 100.3, 100.4, 100.5]
    )
    ended = loop.wait(1.0)
    assert ended is not None
    assert ended.late_s == pytest.approx(0.55)


def test_the_streak_is_fed_by_due_time() -> None:
    # The old release responds late to an early ping: it comes before the new one's responses.
    def script(number: int) -> PingResult:
        if number < 20:
            return old()
        return old(latency_s=2.0) if number == 22 else result()

    run = Watched(script).run
    assert run.streak.complete()
    assert run.streak.interruptions == 1
    dues = [one.due_at for one in run.history.results]
    assert dues == sorted(dues)


def test_pings_in_flight_are_waited_for_and_may_interrupt_the_streak() -> None:
    def script(number: int) -> PingResult:
        return old(latency_s=3.0) if number == 7 else result(latency_s=0.25)

    run = Watched(script).run
    # Ping 7 was in flight when the streak was complete for the first time.
    assert run.streak.interruptions == 1
    assert run.streak.complete()
    assert run.in_flight == 0
    assert len(run.history.results) > 8 + run.streak.needed - 1


def test_each_interruption_makes_the_streak_longer() -> None:
    run = Watched(switching(5, result(), old(), result(), old(), result(), old())).run
    assert run.streak.complete()
    assert (run.streak.interruptions, run.streak.needed) == (3, 10)


@pytest.mark.parametrize(
    "script",
    [
        lambda _: failed(),
        lambda _: page(),
        lambda _: old(),
        lambda _: incorrect(),
        lambda _: failed(Outcome.NOT_REACHED, Failure.OTHER_STATUS, status=401, permanent=True),
        lambda number: old() if number % 2 else result(),
    ],
    ids=["down", "a page", "old", "incorrect", "a login", "mixed"],
)
def test_nothing_but_the_deadline_ends_it_early(script: Script) -> None:
    watched = Watched(script, limit_s=30.0)
    assert watched.run.elapsed_s == pytest.approx(30.0, abs=0.2)
    assert len(watched.run.history.results) == 300


def test_it_wants_every_address_in_the_streak() -> None:
    addresses = ("192.0.2.1:80", "192.0.2.2:80")

    def script(number: int) -> PingResult:
        return result(address=addresses[number >= 50])

    watched = Watched(script, addresses=addresses)
    assert watched.run.streak.complete(addresses)
    assert len(watched.run.history.results) == 51
    assert watched.run.addresses == addresses


def test_hidden_releases_are_proved_by_bogus_pings() -> None:
    watched = Watched(lambda _: nameless(), bogus=lambda _: rejection())
    assert watched.run.streak.complete()
    assert any(due.bogus for due in watched.threads.started)
    assert not any(due.bogus for due in watched.threads.started[:5])


class TestCommand:
    """COMMAND is started once the service responds, and the streak begins after its end."""

    def test_it_starts_after_a_second_of_responses(self) -> None:
        watched = Watched(switching(30), command=FakeCommand)
        deploy = watched.run.deploy
        assert deploy is not None
        assert deploy.started_at is not None
        assert deploy.started_at - watched.run.started_at == pytest.approx(1.0, abs=0.2)
        assert watched.run.streak.complete()

    def test_the_streak_begins_after_its_end(self) -> None:
        watched = Watched(
            lambda _: result(), command=lambda clock: FakeCommand(clock, seconds=20.0)
        )
        run = watched.run
        assert run.deploy is not None
        assert run.deploy.ended_at is not None
        after = [one for one in run.history.results if one.due_at >= run.deploy.ended_at]
        assert run.streak.reached == len(after) >= 5
        assert run.elapsed_s == pytest.approx(21.6, abs=0.3)

    def test_it_is_not_started_on_a_service_that_does_not_respond(self) -> None:
        watched = Watched(lambda _: failed(), command=FakeCommand, limit_s=20.0)
        assert watched.run.deploy is not None
        assert watched.run.deploy.started_at is None

    def test_after_an_outage_a_second_of_responses_is_wanted_anew(self) -> None:
        def script(number: int) -> PingResult:
            return result() if number < 8 or 50 <= number < 58 or number >= 100 else failed()

        watched = Watched(script, command=FakeCommand)
        assert watched.run.deploy is not None
        assert watched.run.deploy.started_at is not None
        assert watched.run.deploy.started_at - watched.run.started_at > 10.5

    def test_at_a_low_rate_two_responses_are_enough(self) -> None:
        watched = Watched(lambda _: result(), command=FakeCommand, rate=0.2, consecutive=1)
        assert watched.run.deploy is not None
        assert watched.run.deploy.exit_code == 0

    def test_a_command_that_fails_is_watched_on(self) -> None:
        watched = Watched(
            switching(60), command=lambda clock: FakeCommand(clock, seconds=1.0, code=3)
        )
        assert watched.run.deploy is not None
        assert watched.run.deploy.exit_code == 3
        assert watched.run.streak.complete()

    def test_after_command_bounds_the_watch(self) -> None:
        watched = Watched(
            lambda _: old(),
            command=lambda clock: FakeCommand(clock, seconds=5.0),
            limit_s=900.0,
            after_command=10.0,
        )
        assert watched.run.elapsed_s == pytest.approx(16.2, abs=0.4)

    def test_after_command_does_not_extend_the_deadline(self) -> None:
        watched = Watched(lambda _: old(), command=FakeCommand, limit_s=10.0, after_command=600.0)
        assert watched.run.elapsed_s == pytest.approx(10.0, abs=0.2)

    def test_one_that_runs_at_the_deadline_is_stopped_and_nothing_counts(self) -> None:
        watched = Watched(
            lambda _: result(),
            command=lambda clock: FakeCommand(clock, seconds=100.0),
            limit_s=10.0,
        )
        assert watched.command is not None
        assert watched.command.stopped_by is SIGTERM
        assert watched.run.streak.reached == 0
        assert watched.run.deploy is not None
        assert watched.run.deploy.stopped

    def test_a_signal_is_passed_on_to_it(self) -> None:
        clock_of = []

        def command(clock: FakeClock) -> FakeCommand:
            clock_of.append(clock)
            return FakeCommand(clock, seconds=100.0)

        def interruptible(wait: Callable[[float], Ended | None]) -> Any:
            def interrupted(seconds: float) -> Ended | None:
                if clock_of[0].now() > 105.0:
                    raise Interrupted("SIGHUP")
                return wait(seconds)

            return interrupted

        watched = Watched(lambda _: old(), command=command, interruptible=interruptible)
        assert watched.run.interrupted_by == "SIGHUP"
        assert watched.command is not None
        assert watched.command.stopped_by is SIGHUP
        assert len(watched.run.history.results) > 40


def test_a_machine_that_stood_still_skips_what_was_due_and_measures_no_gap() -> None:
    stalled = []

    def script(number: int) -> PingResult:
        return switching(60)(number)

    def interruptible(wait: Callable[[float], Ended | None]) -> Any:
        threads: Any = wait.__self__  # type: ignore[attr-defined]

        def stalling(seconds: float) -> Ended | None:
            if not stalled and len(threads.started) == 20:
                stalled.append(True)
                threads._clock.time += 30.0
            return wait(seconds)

        return stalling

    run = Watched(script, interruptible=interruptible).run
    (pause,) = run.history.pauses
    assert pause[1] - pause[0] == pytest.approx(30.0, abs=0.2)
    assert pause[0] == pytest.approx(STARTED_AT + 102.0, abs=0.2)
    gap = run.history.longest_gap
    assert gap is not None
    assert gap.seconds < STALL_SECONDS


def test_an_interrupt_leaves_what_was_seen() -> None:
    def interruptible(wait: Callable[[float], Ended | None]) -> Any:
        calls = []

        def interrupted(seconds: float) -> Ended | None:
            calls.append(seconds)
            if len(calls) > 50:
                raise Interrupted("SIGINT")
            return wait(seconds)

        return interrupted

    run = Watched(lambda _: old(latency_s=0.25), interruptible=interruptible).run
    assert run.interrupted_by == "SIGINT"
    assert run.history.results
    assert run.in_flight >= 1


class TestPingThreads:
    """The threads themselves, with real ones. Nothing here depends on how fast the machine is."""

    def test_pings_that_hang_delay_no_other(self) -> None:
        release = threading.Event()

        def send(due: Due) -> PingResult:
            if due.number < 3:
                release.wait(60)
            return result(request_id=str(due.number))

        clock = Clock()
        threads = PingThreads(send, clock)
        for number in range(10):
            threads.start(Due(number, clock.now(), bogus=False))
        first = {ended.due.number for _ in range(7) if (ended := threads.wait(60))}
        assert first == {3, 4, 5, 6, 7, 8, 9}
        assert threads.wait(0.0) is None
        release.set()
        last = {ended.due.number for _ in range(3) if (ended := threads.wait(60))}
        assert last == {0, 1, 2}

    def test_a_thread_that_is_free_is_used_again(self) -> None:
        names = set()

        def send(due: Due) -> PingResult:
            names.add(threading.get_ident())
            return result()

        clock = Clock()
        threads = PingThreads(send, clock)
        for number in range(30):
            threads.start(Due(number, clock.now(), bogus=False))
            assert threads.wait(60) is not None
        # A thread counts as free a moment after its ping has ended.
        assert len(names) < 30

    def test_an_exception_is_raised_where_it_is_waited_for(self) -> None:
        def send(_due: Due) -> PingResult:
            raise ValueError("a bug")

        clock = Clock()
        threads = PingThreads(send, clock)
        threads.start(Due(0, clock.now(), bogus=False))
        with pytest.raises(ValueError, match="a bug"):
            threads.wait(60)

    def test_where_the_system_gives_no_more_threads_pings_wait_for_a_free_one(
        self, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        clock = Clock()
        threads = PingThreads(lambda due: result(), clock)
        threads.start(Due(0, clock.now(), bogus=False))

        def no_thread(*_: object, **__: object) -> None:
            raise RuntimeError("can't start new thread")

        monkeypatch.setattr(threading.Thread, "start", no_thread)
        for number in range(1, 5):
            threads.start(Due(number, clock.now(), bogus=False))
        numbers = {ended.due.number for _ in range(5) if (ended := threads.wait(60))}
        assert numbers == {0, 1, 2, 3, 4}
