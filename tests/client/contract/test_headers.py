"""What proxies remove and replace is a warning, and what rests on it is proved otherwise."""

from __future__ import annotations

import pytest

from tests.client.fleets import (
    HIDDEN,
    HIDDEN_OLD,
    NEW,
    alternating,
    own_ids,
    stripped,
    switching,
    then,
    without_header,
)
from tests.client.runs import rollout, smoke_test
from tests.client.servers import Received, Running, constant, is_ping, serving

pytestmark = pytest.mark.contract


def fast(*more: object) -> tuple[object, ...]:
    return ("--consecutive", 4, "--no-bad-requests", *more)


def bogus(server: Running) -> list[Received]:
    return [one for one in server.pings if one.expects != "v43"]


def test_a_replaced_request_id_is_one_warning() -> None:
    with serving(own_ids(NEW)) as server:
        done = smoke_test(server.url, "--consecutive", 4)
    assert (done.code, len(done.report["warnings"])) == (0, 1)
    assert len(done.warnings_of("X-Request-ID")) == 1
    with serving(own_ids(switching(10))) as server:
        watched = rollout(server.url)
    assert (watched.code, len(watched.warnings_of("X-Request-ID"))) == (0, 1)


@pytest.mark.parametrize("header", ["X-Request-ID", "Cache-Control"])
def test_a_removed_header_is_one_warning(header: str) -> None:
    with serving(without_header(NEW, header.encode())) as server:
        done = smoke_test(server.url, *fast())
    assert (done.code, len(done.report["warnings"])) == (0, 1)
    assert len(done.warnings_of(header)) == 1


def test_petsages_headers_removed_is_a_warning_that_names_them() -> None:
    with serving(stripped(NEW)) as server:
        done = smoke_test(server.url, "--consecutive", 4)
    assert done.code == 0
    told = " ".join(done.report["warnings"])
    assert all(f"PetSage-{name}" in told for name in ("Release", "Instance", "Worker"))


def test_without_petsages_headers_the_proof_rests_on_what_a_bogus_release_gets() -> None:
    with serving(stripped(NEW)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", *fast())
        # No worker is named: as many rejections as the streak needs.
        assert len(bogus(server)) >= 4
    assert done.code == 0
    with serving(stripped(switching(10))) as server:
        watched = rollout(server.url)
        assert len(bogus(server)) >= 5
    assert watched.code == 0
    with serving(stripped(NEW.named(ignores_expect=True))) as server:
        lax = smoke_test(server.url, "--expect-release", "v43", *fast("--wait", 0.7))
    assert lax.code == 5


def test_a_hidden_release_is_proved_by_what_each_of_its_workers_rejects() -> None:
    second = HIDDEN.named(worker="w3")
    with serving(alternating(HIDDEN, second)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", *fast())
        controls = bogus(server)
    assert (done.code, set(done.report["releases"])) == (0, {"v43"})
    assert len(controls) >= 2
    assert len({one.expects for one in controls}) == len(controls)
    assert done.report["instances"] == {}
    with serving(then(10, HIDDEN_OLD, HIDDEN)) as server:
        assert rollout(server.url).code == 0


def test_a_worker_that_never_meets_the_control_leaves_the_streak_unproved() -> None:
    # The balancer sends what expects v43 to one worker, and all else to another.
    second = HIDDEN.named(worker="w3")
    with serving(lambda one, _: (HIDDEN if one.expects == "v43" else second)(one)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", *fast("--wait", 0.7))
    assert done.code == 5


def test_a_412_of_a_cache_proves_nothing_of_a_worker() -> None:
    cached = HIDDEN.problem(Received("POST", "/", {}, b""), "release-mismatch")
    hit = cached.replace(b"PetSage-Worker: w1\r\n", b"Age: 30\r\n")
    with serving(lambda one, _: HIDDEN(one) if one.expects == "v43" else hit) as server:
        done = smoke_test(server.url, "--expect-release", "v43", *fast("--wait", 0.7))
    assert done.code == 5


def test_a_bogus_release_is_not_sent_where_responses_name_theirs() -> None:
    with serving(NEW.named(ignores_expect=True)) as server:
        done = smoke_test(server.url, "--expect-release", "v43", *fast())
        assert bogus(server) == []
    assert done.code == 0


def test_the_curl_url_is_taken_for_the_base_with_a_warning() -> None:
    for path in ("/system/smoke-test", "/pets/api/v1/system/smoke-test", "/system/version/"):
        with serving(NEW) as server:
            done = smoke_test(f"{server.url}{path}", "--consecutive", 1)
            prefix = "/pets" if "/pets" in path else ""
            assert {one.path for one in server.pings} == {f"{prefix}/system/smoke-test"}
        assert (done.code, len(done.report["warnings"])) == (0, 1)


def test_a_prefix_and_headers_reach_the_service() -> None:
    with serving(NEW) as server:
        more = ("-H", "Authorization: Bearer abc", "--header", "X-Team: pets")
        done = smoke_test(f"{server.url}/pets/", "--consecutive", 3, *more)
        pings = server.pings
    assert (done.code, done.report["warnings"]) == (0, [])
    assert {one.path for one in pings} == {"/pets/system/smoke-test"}
    assert {one.headers["authorization"] for one in pings} == {"Bearer abc"}
    assert {one.headers["x-team"] for one in server.requests} == {"pets"}
    assert len({one.request_id for one in server.requests}) == len(server.requests)
    assert len({one.body for one in pings}) == len(pings) == 3
    assert all(map(is_ping, pings))
    assert "Bearer abc" not in done.out + done.err


def test_retry_after_is_honoured() -> None:
    tired = constant(503, Retry_After="2")
    with serving(then(1, tired, NEW)) as server:
        done = smoke_test(server.url, *fast())
        assert done.code == 0
    assert 2 <= done.report["elapsed_s"] < 30
