"""The client against the service itself, run from the Procfile line with two workers."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.client.runs import smoke_test
from tests.running import Service, running_service

COMMIT = "0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c0f9a3b7c"
RELEASE = {"PETSAGE_RELEASE": "v43", "PETSAGE_COMMIT": COMMIT, "WEB_CONCURRENCY": "2"}


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service(**RELEASE, PETSAGE_INSTANCE="web.1") as running:
        yield running


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--expect-release", "v43"],
        ["--expect-release", COMMIT[:7]],
        ["--expect-release", "v43", "--instances", "1"],
    ],
    ids=" ".join,
)
def test_it_passes(service: Service, arguments: list[str]) -> None:
    done = smoke_test(service.url, *arguments)
    assert (done.code, done.report["problems"], done.report["warnings"]) == (0, [], [])
    assert all(refusal["passed"] for refusal in done.report["refusals"])
    assert set(done.report["releases"]) == {"v43"}
    assert done.report["instances"] == {"web.1": done.report["pings"]["sent"]}


def test_both_workers_are_seen(service: Service) -> None:
    assert len(smoke_test(service.url, "--consecutive", 60).report["workers"]) == 2


def test_another_release_is_4(service: Service) -> None:
    done = smoke_test(service.url, "--expect-release", "v44", "--wait", 1)
    assert (done.code, set(done.report["releases"])) == (4, {"v43"})


def test_its_own_log_is_the_far_end_of_a_pipeline(service: Service) -> None:
    done = smoke_test(service.url, "--logs", service.log)
    assert (done.code, done.report["log"]["found"], done.report["log"]["whole"]) == (0, True, True)


def test_a_wrong_prefix_is_1_at_once(service: Service) -> None:
    done = smoke_test(f"{service.url}/somewhere", "--wait", 30)
    assert (done.code, done.report["elapsed_s"] < 5) == (1, True)


def test_a_hidden_release_is_proved_or_it_is_4() -> None:
    with running_service(**RELEASE, PETSAGE_DISCLOSE_RELEASE="false") as service:
        right = smoke_test(service.url, "--expect-release", "v43")
        wrong = smoke_test(service.url, "--expect-release", "v44", "--wait", 1)
    assert (right.code, right.report["instances"]) == (0, {})
    assert (wrong.code, set(wrong.report["releases"])) == (4, {"(hidden, another)"})
