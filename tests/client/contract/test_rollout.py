"""`petsage rollout`: the switch, its budget, and the command that it runs (DESIGN 3.3)."""

from __future__ import annotations

import os
import shlex
import signal
import socket
import subprocess
import time
from pathlib import Path

import pytest

from tests.client.fleets import HIDDEN, NEW, OLD, hangs, resets, switching, then
from tests.client.runs import COMMAND, ROOT, Done, environment, rollout
from tests.client.servers import Fleet, Received, Running, serving
from tests.running import gone, until_gone

pytestmark = pytest.mark.contract


def warnings(run: Done) -> list[str]:
    """Return the warnings but for the one that this machine was busy, so that pings were late."""
    return [one for one in run.report["warnings"] if " late" not in one]


def test_a_switch_that_loses_nothing_passes() -> None:
    with serving(switching(10)) as server:
        done = rollout(server.url)
        assert all(one.expects == "v43" for one in server.requests)
    report = done.report
    assert (done.code, report["pings"]["failed"], report["failures"]) == (0, {}, [])
    assert report["pings"]["ok"] == report["pings"]["sent"]
    assert report["releases"]["v42"]["count"] == 10
    assert report["streak"]["interruptions"] == 0
    assert report["switch"]["first_new"] > report["started_at"]
    assert report["switch"]["last_old"] is not None
    assert (report["command"], report["open_gap_s"], report["rate"]) == (None, None, 25)
    assert warnings(done) == []


def test_a_budget_of_failed_pings_and_of_a_gap() -> None:
    fleet = Fleet(lambda number: OLD if number < 5 else resets if number < 30 else NEW)
    with serving(fleet) as server:
        within = rollout(server.url, "--max-failures", 25, "--max-gap", 60, "--max-latency", 60)
    fleet = Fleet(lambda number: OLD if number < 5 else resets if number < 30 else NEW)
    with serving(fleet) as server:
        over = rollout(server.url, "--max-failures", 25, "--max-gap", 0.5)
    assert (within.code, over.code) == (0, 7)
    assert within.report["longest_gap_s"] > 0.5
    assert "0.5" in over.sentences


def test_a_budget_of_latency() -> None:
    def slow(request: Received, connection: socket.socket) -> bytes:
        time.sleep(0.05)
        return OLD(request, connection)

    with serving(switching(5, slow)) as server:
        assert rollout(server.url, "--max-latency", 0.04).code == 7


def test_a_ping_that_hangs_delays_no_other() -> None:
    with serving(Fleet(lambda number: hangs if 5 <= number < 25 else NEW)) as server:
        done = rollout(server.url, "--timeout", 2, "--max-failures", 100)
    # Each of them hangs for 2 s, while the streak behind them is made.
    assert done.code == 0
    assert done.report["elapsed_s"] < 20


def test_a_fleet_that_alternates_at_the_end_is_unproved_and_names_the_old_instance() -> None:
    left = OLD.named(instance="web.2")
    with serving(Fleet(lambda number: (NEW, left)[number % 2])) as server:
        done = rollout(server.url, "--deadline", 1)
    assert done.code == 5
    assert "web.2" in done.sentences
    assert done.report["streak"]["interruptions"] > 1


def test_a_switch_is_asked_for(service: Running) -> None:
    unasked = rollout(service.url)
    asked = rollout(service.url, "--require-switch")
    with serving(switching(10)) as server:
        seen = rollout(server.url, "--require-switch")
    assert [run.code for run in (unasked, asked, seen)] == [0, 7, 0]
    assert [len(warnings(run)) for run in (unasked, seen)] == [1, 0]


def test_a_redeploy_of_the_same_release_is_told_by_its_workers(tmp_path: Path) -> None:
    deployed = tmp_path / "deployed"

    def respond(request: Received, connection: socket.socket) -> bytes:
        return (NEW.named(worker="w2") if deployed.exists() else NEW)(request, connection)

    with serving(respond) as server:
        renewed = rollout(server.url, "--require-switch", "--", "touch", deployed)
        unchanged = rollout(server.url, "--require-switch", "--", "true")
        tolerated = rollout(server.url, "--", "true")
    assert [run.code for run in (renewed, unchanged, tolerated)] == [0, 7, 0]
    assert warnings(tolerated)


def test_a_hidden_fleet_that_switches_passes() -> None:
    with serving(then(10, HIDDEN.named(release="v42", worker="w0"), HIDDEN)) as server:
        assert rollout(server.url, "--require-switch").code == 0


def test_the_command_runs_after_the_service_was_seen_and_its_output_goes_to_stderr(
    service: Running,
) -> None:
    before = len(service.requests)
    script = "echo to stdout; echo to stderr >&2"
    done = rollout(service.url, "--", "sh", "-c", script)
    command = done.report["command"]
    assert (done.code, command["exit_code"], command["argv"]) == (0, 0, ["sh", "-c", script])
    assert command["started"]
    assert all(f"to {stream}\n" in done.err for stream in ("stdout", "stderr"))
    # A second at 25 a second before it, and a streak of five behind it.
    assert len(service.requests) - before > 20


def test_a_streak_before_the_end_of_the_command_does_not_count(tmp_path: Path) -> None:
    ended = tmp_path / "ended"

    def respond(request: Received, connection: socket.socket) -> bytes:
        return (OLD if ended.exists() else NEW)(request, connection)

    with serving(respond) as server:
        done = rollout(server.url, "--after-command", 1, "--", "touch", ended)
    assert done.code == 4


@pytest.mark.parametrize(
    ("script", "code"), [("exit 3", 3), ("kill -9 $$", 137)], ids=["exits", "is killed"]
)
def test_a_command_that_fails(service: Running, script: str, code: int) -> None:
    done = rollout(service.url, "--", "sh", "-c", script)
    assert (done.code, done.report["command"]["exit_code"]) == (8, code)
    # The headline says who responds now.
    assert "v43" in done.report["headline"]


def test_a_command_that_can_not_be_started_after_all(service: Running, tmp_path: Path) -> None:
    program = tmp_path / "deploy"
    program.write_text("#!/nowhere/at/all\n")
    program.chmod(0o755)
    done = rollout(service.url, "--", program)
    assert (done.code, done.report["command"]["exit_code"]) == (8, 126)
    assert str(program) in done.sentences


def test_what_a_command_leaves_behind_when_it_has_ended_is_its_own(
    service: Running, tmp_path: Path
) -> None:
    pid = tmp_path / "pid"
    done = rollout(service.url, "--", "sh", "-c", f"sleep 60 >/dev/null 2>&1 & echo $! > {pid}")
    left = int(pid.read_text())
    try:
        assert (done.code, gone(left)) == (0, False)
    finally:
        os.kill(left, signal.SIGKILL)


def test_a_command_that_still_runs_at_the_deadline_is_stopped_with_all_its_children(
    service: Running, tmp_path: Path
) -> None:
    pids, cleaned = tmp_path / "pids", tmp_path / "cleaned"
    child = f"trap 'echo yes > {cleaned}; exit' TERM; while :; do sleep 0.1; done"
    script = f"sh -c {shlex.quote(child)} & echo $! $$ > {pids}; wait; wait"
    done = rollout(service.url, "--deadline", 2, "--", "sh", "-c", script)
    assert (done.code, cleaned.exists()) == (8, True)
    assert all(until_gone(int(pid)) for pid in pids.read_text().split())


def test_a_command_that_is_stopped_is_8_though_it_then_ends_with_0(service: Running) -> None:
    script = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    done = rollout(service.url, "--deadline", 2, "--", "sh", "-c", script)
    assert (done.code, done.report["command"]["exit_code"]) == (8, 0)


def test_the_watch_ends_so_long_after_the_command() -> None:
    with serving(OLD) as server:
        done = rollout(server.url, "--after-command", 0.5, "--deadline", 600, "--", "true")
    assert (done.code, done.report["elapsed_s"] < 60) == (4, True)


def test_open_files_are_asked_for_or_the_lack_of_them_is_usage(service: Running) -> None:
    asked = [*COMMAND, "rollout", service.url, "--expect-release", "v43", "--rate", "50"]
    codes = [
        subprocess.run(
            ["sh", "-c", f"ulimit {limit} && exec {shlex.join([*asked, '--consecutive', '2'])}"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            timeout=60,
        ).returncode
        for limit in ("-S -n 200", "-n 200")
    ]
    assert codes == [0, 2]
