"""The command against the service itself, run from the Procfile's line with two workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.runs import rollout, smoke_test
from tests.running import Service, running_service

pytestmark = pytest.mark.contract

COMMIT = "0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c"
RELEASE = {"PETSAGE_RELEASE": "v43", "PETSAGE_COMMIT": COMMIT, "WEB_CONCURRENCY": "2"}


@pytest.fixture(scope="module")
def real() -> Iterator[Service]:
    with running_service(**RELEASE, PETSAGE_INSTANCE="web.1") as running:
        yield running


def test_it_passes_and_its_log_is_the_far_end_of_a_pipeline(real: Service) -> None:
    more = ("--expect-release", COMMIT[:7], "--instances", 1, "--logs", real.log)
    done = smoke_test(real.url, *more)
    report = done.report
    assert (done.code, report["problems"], report["log"]["found"]) == (0, [], True)
    assert all(one["rejected"] for one in report["bad_requests"])
    assert set(report["releases"]) == {"v43"}
    assert report["instances"] == {"web.1": report["pings"]["sent"]}
    # That the release has not just started is the only warning.
    assert len(report["warnings"]) == 1
    assert smoke_test(real.url).report["warnings"] == []


def test_both_workers_are_seen(real: Service) -> None:
    done = smoke_test(real.url, "--consecutive", 60, "--no-bad-requests", "--interval", 0)
    assert (done.code, len(done.report["workers"])) == (0, 2)


def test_another_release_is_old_for_both_commands(real: Service) -> None:
    done = smoke_test(real.url, "--expect-release", "v44", "--wait", 0.5)
    watched = rollout(real.url, "--expect-release", "v44", "--deadline", 0.5)
    assert [(run.code, set(run.report["releases"])) for run in (done, watched)] == [
        (4, {"v43"}),
        (4, {"v43"}),
    ]


def test_a_wrong_base_is_not_reached(real: Service) -> None:
    assert smoke_test(f"{real.url}/somewhere", "--wait", 0.5).code == 9


def test_a_route_of_its_own_is_read_as_any_services(real: Service) -> None:
    done = smoke_test(
        *(f"{real.url}/system/version", "--release-json", "commit"),
        *("--expect-release", COMMIT[:8], "--consecutive", 3),
    )
    assert done.code == 0


def test_a_hidden_release_is_proved_or_it_is_old() -> None:
    with running_service(**RELEASE, PETSAGE_DISCLOSE_RELEASE="false") as service:
        right = smoke_test(service.url, "--expect-release", "v43", "--no-bad-requests")
        wrong = smoke_test(service.url, "--expect-release", "v44", "--wait", 0.5)
    assert (right.code, right.report["instances"], wrong.code) == (0, {}, 4)
