"""`petsage rollout` as scripts run it: exit codes, the command inside, faults of usage."""

from __future__ import annotations

import os
import shlex
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.fleets import NEW, OLD, hangs, page, resets, switching
from tests.client.runs import COMMAND, ROOT, environment, petsage, rollout
from tests.client.servers import Fleet, Respond, Running, http, serving
from tests.running import free_port, gone, until_gone


def test_a_switch_that_nobody_noticed_is_0() -> None:
    with serving(switching(20)) as server:
        done = rollout(server.url)
    report = done.report
    assert (done.code, report["verdict"], report["exit_code"]) == (0, "passed", 0)
    assert set(report["releases"]) == {"v42", "v43"}
    assert all(one.expects == "v43" for one in server.requests)


BROKEN = {
    "reset": ("reset", resets),
    "5xx": ("5xx", lambda _request, _connection: http(502)),
    "other status": ("other status", lambda request, _: OLD.problem(request, "not-found")),
    "not PetSage": ("not PetSage", page),
    "wrong pong": ("wrong pong", lambda request, _: NEW.pong(request, "another")),
    "timeout": ("timeout", hangs),
}


@pytest.mark.parametrize(("failure", "respond"), BROKEN.values(), ids=BROKEN.keys())
def test_one_ping_that_fails_at_the_switch_is_7(failure: str, respond: Respond) -> None:
    with serving(switching(20, respond)) as server:
        done = rollout(server.url, "--timeout", 0.5)
    assert (done.code, done.report["pings"]["failed"]) == (7, {failure: 1})
    assert [one["class"] for one in done.report["failures"]] == [failure]


def test_a_budget_is_kept_or_not() -> None:
    with serving(switching(20, resets)) as server:
        assert rollout(server.url, "--max-failures", 1).code == 0
    with serving(switching(20)) as server:
        assert rollout(server.url, "--max-gap", 0.001).code == 7
    with serving(switching(20)) as server:
        assert rollout(server.url, "--max-latency", 10).code == 0


def test_a_service_that_never_answers_is_3() -> None:
    done = rollout(f"http://127.0.0.1:{free_port()}", "--deadline", 1)
    assert (done.code, list(done.report["pings"]["failed"])) == (3, ["refused"])


def test_only_the_old_release_is_4_and_a_mixed_fleet_5() -> None:
    with serving(OLD) as server:
        assert rollout(server.url, "--deadline", 1).code == 4
    with serving(Fleet(lambda number: (OLD, NEW)[number % 2])) as server:
        assert rollout(server.url, "--deadline", 1).code == 5


def test_the_command_of_a_deploy_that_works(service: Running) -> None:
    script = "echo to stdout; echo to stderr >&2"
    done = rollout(service.url, "--", "sh", "-c", script)
    command = done.report["command"]
    assert (done.code, command["exit_code"], command["argv"]) == (0, 0, ["sh", "-c", script])
    assert "to stdout\n" in done.err
    assert "to stderr\n" in done.err
    assert command["started_at"] < command["ended_at"]


def test_a_command_that_fails_is_8(service: Running) -> None:
    done = rollout(service.url, "--", "sh", "-c", "exit 3")
    assert (done.code, done.report["command"]["exit_code"]) == (8, 3)
    assert "failed with exit code 3" in done.err


def test_the_watch_after_the_command_and_the_switch_can_be_asked_for(service: Running) -> None:
    done = rollout(service.url, "--after-command", 5, "--require-switch", "--", "true")
    assert (done.code, done.report["verdict"]) == (7, "over-budget")
    assert "No switch was observed" in done.report["problems"][0]


def test_a_command_that_a_signal_ends_has_a_shells_exit_code(service: Running) -> None:
    done = rollout(service.url, "--", "sh", "-c", "kill -9 $$")
    assert (done.code, done.report["command"]["exit_code"]) == (8, 137)


def test_a_command_that_cannot_be_started_after_all_is_8(service: Running, tmp_path: Path) -> None:
    program = Path(tmp_path, "deploy")
    program.write_text("#!/nowhere/at/all\n")
    program.chmod(0o755)
    done = rollout(service.url, "--", program)
    assert (done.code, done.report["command"]["exit_code"]) == (8, 126)
    assert done.report["problems"][0] == (
        f"The command {str(program)!r} could not be started: No such file or directory."
    )
    # It had no output that could be seen.
    assert "output" not in done.report["what_next"]


def test_what_a_command_leaves_behind_when_it_has_ended_is_its_own(
    service: Running, tmp_path: Path
) -> None:
    pid = Path(tmp_path, "pid")
    done = rollout(service.url, "--", "sh", "-c", f"sleep 60 >/dev/null 2>&1 & echo $! > {pid}")
    try:
        assert done.code == 0
        assert not gone(int(pid.read_text()))
    finally:
        os.kill(int(pid.read_text()), signal.SIGKILL)


@pytest.mark.parametrize("trap", ["", "trap '' TERM; "], ids=["obeys", "ignores SIGTERM"])
def test_a_command_that_hangs_is_ended_with_all_its_children(
    service: Running, tmp_path: Path, trap: str
) -> None:
    pids = Path(tmp_path, "pids")
    script = f"{trap}sh -c 'sleep 60' & echo $! > {pids}; echo $$ >> {pids}; wait; wait; sleep 60"
    done = rollout(service.url, "--deadline", 2, "--", "sh", "-c", script)
    assert done.code == 8
    assert "was stopped" in done.report["problems"][0]
    assert all(until_gone(int(pid)) for pid in pids.read_text().split())


def test_a_command_that_is_stopped_at_the_deadline_is_8_though_it_ends_with_0(
    service: Running,
) -> None:
    script = "trap 'exit 0' TERM; while :; do sleep 0.1; done"
    done = rollout(service.url, "--deadline", 2, "--", "sh", "-c", script)
    assert (done.code, done.report["command"]["exit_code"]) == (8, 0)
    assert "had not ended after 2 s and was stopped" in done.report["problems"][0]


@pytest.mark.parametrize("after", ["& wait", "; true"], ids=["behind it", "before it"])
def test_what_a_shell_has_started_may_clean_up_though_the_shell_is_gone(
    service: Running, tmp_path: Path, after: str
) -> None:
    cleaned = Path(tmp_path, "cleaned")
    child = f"trap 'sleep 1; echo yes > {cleaned}; exit' TERM; while :; do sleep 0.1; done"
    done = rollout(
        *(service.url, "--deadline", 2),
        *("--", "sh", "-c", f"sh -c {shlex.quote(child)} {after}"),
    )
    assert (done.code, cleaned.exists()) == (8, True)


def test_json_says_who_answers_now_and_what_to_do_about_it() -> None:
    with serving(switching(20, resets)) as server:
        now = rollout(server.url).report["now"]
    assert (now["answers"], list(now["releases"]), now["class"]) == ("v43", ["v43"], None)
    with serving(Fleet(lambda number: OLD if number < 20 else resets)) as server:
        report = rollout(server.url, "--deadline", 2, "--max-gap", 0.5).report
    assert (report["exit_code"], report["now"]["answers"], report["now"]["class"]) == (
        *(4, None, "reset"),
    )
    assert report["started_at"] < report["now"]["since"]
    assert report["headline"] == "v43 never answered, and now nobody answers."
    assert report["what_next"].startswith("Nobody answers any more")
    assert report["longest_gap_s"] < 0.5 < report["open_gap_s"]


USAGE = {
    "no release": ["{url}"],
    "a release that matches none": ["{url}", "--expect-release", "unknown"],
    "no rate": ["{url}", "--expect-release", "v43", "--rate", "0"],
    "a rate that is no number": ["{url}", "--expect-release", "v43", "--rate", "nan"],
    "more in flight than can be": [
        *("{url}", "--expect-release", "v43", "--rate", "300", "--timeout", "10")
    ],
    "more pings than can be kept": [
        *("{url}", "--expect-release", "v43", "--rate", "200", "--timeout", "1"),
        *("--deadline", "6000"),
    ],
    "a budget below nothing": ["{url}", "--expect-release", "v43", "--max-failures", "-1"],
    "a gap of no time": ["{url}", "--expect-release", "v43", "--max-gap", "0"],
    "an option of the smoke test": ["{url}", "--expect-release", "v43", "--logs", "-"],
    "a command that is not there": ["{url}", "--expect-release", "v43", "--", "/no/such"],
    "watching on after no command": [
        *("{url}", "--expect-release", "v43", "--after-command", "5"),
    ],
    "watching on for less than a row": [
        *("{url}", "--expect-release", "v43", "--after-command", "2", "--", "true"),
    ],
    "an unwritable output": ["{url}", "--expect-release", "v43", "--output", "/nowhere/a.html"],
}


@pytest.mark.parametrize("arguments", USAGE.values(), ids=USAGE.keys())
def test_a_fault_of_usage_is_2_before_the_first_ping(
    service: Running, arguments: list[str]
) -> None:
    done = petsage("rollout", *(one.format(url=service.url) for one in arguments))
    assert (done.code, done.out, service.requests) == (2, "", [])
    assert "Error" in done.err


def test_open_files_are_asked_for_or_the_lack_of_them_said(service: Running) -> None:
    asked = f"exec {shlex.join(COMMAND)} rollout {service.url} --expect-release v43 --rate 50"
    codes = [
        subprocess.run(
            ["sh", "-c", f"ulimit {limit} && {asked}"],
            cwd=ROOT,
            env=environment(),
            capture_output=True,
            timeout=60,
        )
        for limit in ("-S -n 200", "-n 200")
    ]
    assert [done.returncode for done in codes] == [0, 2]
    assert b"this system allows 200" in codes[1].stderr


def test_memory_is_flat_in_the_number_of_pings() -> None:
    probe = (
        "import resource, sys\n"
        "from petsage.client.record import Record\n"
        "from tests.client.facts import NEW\n"
        "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "record = Record(0.0)\n"
        "record.add(NEW, 0.0, 'v43', new=True)\n"
        "before = peak()\n"
        "for number in range(300_000):\n"
        "    record.add(NEW, number / 50, 'v43', new=True)\n"
        "print(peak() - before)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", probe], cwd=ROOT, capture_output=True, text=True, check=True
    )
    # 300,000 pings, 100 minutes at 50 a second, in under 10 MB.
    assert int(done.stdout) < 10_000
