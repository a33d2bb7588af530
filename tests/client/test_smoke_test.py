"""The loop of a smoke test: what it sends, when it pauses and what ends it. No real time passes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import pytest

from petsage.client.bad_requests import BAD_REQUESTS, BadRequest
from petsage.client.result import (
    BadRequestOutcome,
    BadRequestResult,
    Failure,
    Outcome,
    PingResult,
)
from petsage.client.run import LogResult, Run
from petsage.client.signals import Interrupted
from petsage.client.smoke_test import smoke_test
from tests.client.fakes import FakeClock, FakeProbe
from tests.client.results import (
    failed,
    incorrect,
    nameless,
    old,
    page,
    rate_limited,
    rejection,
    result,
)

Script = Callable[[int], PingResult]


def in_turn(*results: PingResult) -> Script:
    """Return a script of these results, the last one again and again."""
    return lambda number: results[min(number, len(results) - 1)]


def rejected(bad_request: BadRequest) -> BadRequestResult:
    return BadRequestResult(
        name=bad_request.name,
        expected=bad_request.expected,
        got=bad_request.expected,
        outcome=BadRequestOutcome.REJECTED,
    )


def rejecting() -> list[Callable[[], BadRequestResult]]:
    return [partial(rejected, one) for one in BAD_REQUESTS]


class Ran:
    """A smoke test on a script, with its probe and its clock."""

    def __init__(
        self,
        script: Script,
        *,
        bogus: Script | None = None,
        addresses: tuple[str, ...] = (),
        log: Callable[[str, float, float], LogResult] | None = None,
        bad_requests: Sequence[Callable[[], BadRequestResult]] = (),
        **asked: Any,
    ) -> None:
        self.clock = FakeClock()
        self.probe = FakeProbe(script, self.clock, bogus, addresses)
        asked = {"url": "http://app.example", "expected": "v43"} | asked
        self.run = Run(kind="smoke-test", **asked)
        smoke_test(
            self.run,
            self.probe,
            clock=self.clock,
            bad_requests=bad_requests,
            wait_for_line=log,
        )

    @property
    def pings(self) -> int:
        return len(self.probe.timeouts)


def test_it_ends_as_soon_as_the_streak_is_complete() -> None:
    ran = Ran(in_turn(result()), consecutive=20)
    # The response that ends the waiting is no free draw.
    assert (ran.pings, ran.run.streak.reached) == (21, 20)
    assert ran.run.elapsed_s < 1


def test_it_waits_for_the_release() -> None:
    ran = Ran(in_turn(failed(), page(), old(), old(), result()), consecutive=3)
    assert ran.run.streak.complete()
    assert ran.probe.expected == ["v43"] * ran.pings


@pytest.mark.parametrize(
    "script",
    [in_turn(failed()), in_turn(page()), in_turn(old()), in_turn(rate_limited())],
    ids=["down", "a page", "old", "rate-limited"],
)
def test_what_waiting_may_change_is_asked_until_the_end_of_wait(script: Script) -> None:
    ran = Ran(script, limit_s=60.0)
    assert ran.run.elapsed_s == pytest.approx(60.0)
    assert ran.pings > 100
    assert max(ran.clock.waits) <= 0.5


@pytest.mark.parametrize(
    ("first", "pause"),
    [
        (failed(Outcome.DOWN, Failure.SERVER_ERROR, status=503, retry_after_s=2.0), 2.0),
        (failed(Outcome.DOWN, Failure.SERVER_ERROR, status=503, retry_after_s=99.0), 5.0),
        (failed(Outcome.DOWN, Failure.SERVER_ERROR, status=503, retry_after_s=0.0), 0.5),
        (rate_limited(retry_after_s=3.0), 3.0),
        (old(retry_after_s=1.0), 0.5),
        (failed(), 0.5),
        (result(), 0.01),
    ],
    ids=["Retry-After", "a long one", "one of 0", "429", "412", "refused", "correct"],
)
def test_how_long_it_pauses(first: PingResult, pause: float) -> None:
    assert Ran(in_turn(first, result())).clock.waits[0] == pytest.approx(pause)


def test_a_dead_address_does_not_slow_down_the_others() -> None:
    addresses = ("192.0.2.1:80", "192.0.2.2:80")

    def script(number: int) -> PingResult:
        return failed(address=addresses[1]) if number % 2 else result(address=addresses[0])

    ran = Ran(script, addresses=addresses, limit_s=10.0)
    assert max(ran.clock.waits) == pytest.approx(0.25)
    assert not ran.run.streak.complete(addresses)
    assert ran.run.streak.missing_addresses(ran.run.addresses) == [addresses[1]]


def test_the_streak_needs_every_address() -> None:
    addresses = ("192.0.2.1:80", "192.0.2.2:80")

    def script(number: int) -> PingResult:
        return result(address=addresses[number >= 10])

    ran = Ran(script, addresses=addresses, consecutive=3)
    assert ran.pings == 11
    assert ran.run.streak.complete(addresses)


@pytest.mark.parametrize("status", [301, 401, 403, 407], ids=str)
def test_what_waiting_cannot_change_ends_it_at_once(status: int) -> None:
    blocked = failed(Outcome.NOT_REACHED, Failure.OTHER_STATUS, status=status, permanent=True)
    ran = Ran(in_turn(failed(), blocked))
    assert ran.pings == 2


def test_nothing_permanent_ends_it_once_the_service_was_seen() -> None:
    blocked = failed(Outcome.NOT_REACHED, Failure.OTHER_STATUS, status=401, permanent=True)
    assert Ran(in_turn(old(), blocked, result())).run.streak.complete()


def test_one_address_with_a_bad_certificate_does_not_hide_the_others() -> None:
    addresses = ("192.0.2.1:443", "192.0.2.2:443")
    bad = failed(Outcome.NOT_REACHED, Failure.TLS, permanent=True, address=addresses[0])
    ran = Ran(in_turn(bad, result(address=addresses[1])), addresses=addresses, limit_s=5.0)
    assert ran.run.history.responded
    assert Ran(in_turn(bad), addresses=addresses).pings == 2


def test_an_incorrect_response_of_the_release_is_asked_once_more() -> None:
    wrong = incorrect(failure=Failure.WRONG_PONG, status=200)
    assert Ran(in_turn(wrong)).pings == 2
    ran = Ran(in_turn(result(), wrong, result()), consecutive=3)
    assert ran.run.streak.complete()
    assert ran.run.streak.interruptions == 1


def test_its_own_5xx_may_be_that_of_a_service_which_is_starting() -> None:
    starting = Ran(in_turn(incorrect(), incorrect(), incorrect(), result()), consecutive=3)
    assert starting.run.streak.complete()
    never = Ran(in_turn(incorrect()), limit_s=60.0)
    assert never.run.elapsed_s == pytest.approx(60.0)
    broken = Ran(in_turn(result(), incorrect()))
    assert broken.pings == 3


def test_incorrect_responses_of_another_release_end_nothing() -> None:
    ran = Ran(in_turn(*[incorrect(release="v42", worker="w9")] * 5, result()), consecutive=3)
    assert ran.run.streak.complete()


def test_a_ping_that_the_end_of_wait_cuts_off_has_not_failed() -> None:
    hanging = failed(failure=Failure.TIMEOUT, latency_s=100.0)
    ran = Ran(in_turn(result(), result(), hanging), limit_s=5.0)
    assert (len(ran.run.history.results), ran.run.in_flight) == (2, 1)
    assert not ran.run.history.failures
    # The only one counts: else the report would have nothing to say.
    alone = Ran(in_turn(hanging), limit_s=5.0)
    assert (len(alone.run.history.results), alone.run.in_flight) == (1, 0)


def test_no_ping_and_no_pause_goes_past_the_end_of_wait() -> None:
    ran = Ran(in_turn(failed(latency_s=0.3)), limit_s=1.0)
    assert ran.probe.timeouts == pytest.approx([1.0, 0.2])
    assert ran.run.elapsed_s == pytest.approx(1.0)


def test_workers_that_name_no_release_must_reject_a_bogus_one() -> None:
    ran = Ran(in_turn(nameless()), bogus=in_turn(rejection()))
    assert ran.run.streak.complete()
    assert ran.probe.bogus_pings == 1
    unproved = Ran(in_turn(nameless()), bogus=in_turn(failed()), limit_s=10.0)
    assert unproved.probe.bogus_pings > 10
    assert not unproved.run.streak.complete()


def test_where_no_worker_is_named_as_many_bogus_pings_must_be_rejected() -> None:
    ran = Ran(in_turn(nameless(worker=None)), bogus=in_turn(rejection(worker=None)), consecutive=5)
    assert ran.run.streak.complete()
    assert ran.probe.bogus_pings >= 5


def test_releases_that_are_named_need_no_bogus_pings() -> None:
    assert Ran(in_turn(result()), consecutive=20).probe.bogus_pings == 0


def test_instances_that_are_never_named_end_it() -> None:
    ran = Ran(in_turn(result(instance=None)), instances=2, limit_s=60.0)
    assert ran.run.elapsed_s < 5
    assert not ran.run.streak.complete()


def test_it_goes_on_until_all_instances_are_in_the_streak() -> None:
    def script(number: int) -> PingResult:
        return result(instance="web.2" if number == 50 else "web.1")

    assert Ran(script, instances=2).pings == 51


def test_bad_requests_and_log_come_once_the_streak_is_complete() -> None:
    asked: list[tuple[str, float, float]] = []

    def log(request_id: str, responded: float, within: float) -> LogResult:
        asked.append((request_id, responded, within))
        return LogResult(found=True, late_s=0.1, complete=True)

    script = in_turn(*[result(log_id=f"id-{number}") for number in range(9)])
    ran = Ran(script, consecutive=3, bad_requests=rejecting(), log=log, logs_within=7.0)
    assert [one.name for one in ran.run.bad_requests] == [one.name for one in BAD_REQUESTS]
    assert ran.run.log == LogResult(found=True, late_s=0.1, complete=True)
    (request_id, responded, within) = asked[0]
    assert (request_id, within) == ("id-3", 7.0)
    assert responded == pytest.approx(ran.clock.now())


def test_without_a_complete_streak_neither_comes() -> None:
    ran = Ran(
        in_turn(old()),
        limit_s=1.0,
        bad_requests=rejecting(),
        log=lambda *_: LogResult(found=True),
    )
    assert (ran.run.bad_requests, ran.run.log) == ([], None)


def test_an_interrupt_leaves_what_was_seen() -> None:
    def script(number: int) -> PingResult:
        if number == 5:
            raise Interrupted("SIGTERM")
        return old()

    run = Ran(script).run
    assert (run.interrupted_by, len(run.history.results), run.in_flight) == ("SIGTERM", 5, 1)


def test_an_interrupt_among_the_bad_requests_keeps_those_before() -> None:
    def interrupt() -> BadRequestResult:
        raise Interrupted("SIGINT")

    run = Ran(in_turn(result()), bad_requests=[*rejecting()[:3], interrupt]).run
    assert (run.interrupted_by, len(run.bad_requests)) == ("SIGINT", 3)


def test_only_what_a_signal_may_end_is_called_as_interruptible() -> None:
    clock = FakeClock()
    names = []

    def interruptible(call: Any) -> Any:
        names.append(getattr(call, "func", call).__name__)
        return call

    smoke_test(
        Run(kind="smoke-test", url="http://app.example"),
        FakeProbe(in_turn(result()), clock),
        clock=clock,
        bad_requests=rejecting()[:1],
        interruptible=interruptible,
    )
    assert names == ["ping", "wait", "rejected"]


def test_cached_responses_do_not_complete_it() -> None:
    ran = Ran(in_turn(result(outcome=Outcome.CACHED)), limit_s=2.0)
    assert ran.run.elapsed_s == pytest.approx(2.0)
    assert ran.run.streak.reached == 0
