"""`petsage rollout` as scripts run it: exit codes, the command inside, signals, what is said."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import shlex
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.client.runs import COMMAND, ROOT, environment, petsage, rollout
from tests.client.servers import Fleet, Instance, Received, Respond, Running, http, serving
from tests.running import free_port, gone, until_gone

NEW = Instance()
OLD = Instance(release="v42", worker="w0")


def switching(at: int, between: Respond | None = None) -> Fleet:
    """Return a fleet that goes over to v43 at ping `at`, where `between` answers once."""
    return Fleet(
        lambda number: OLD if number < at else between if number == at and between else NEW
    )


def resets(_request: Received, connection: socket.socket) -> None:
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\0\0\0\0\0\0\0")


def hangs(_request: Received, connection: socket.socket) -> None:
    connection.recv(1)


def page(_request: Received, _connection: socket.socket) -> bytes:
    return http(404, b"<h1>parked</h1>", Content_Type="text/html")


@pytest.fixture
def service() -> Iterator[Running]:
    with serving(NEW) as server:
        yield server


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


def test_after_a_failed_command_ctrl_c_is_130_and_the_report_names_both(
    service: Running, tmp_path: Path
) -> None:
    ended = Path(tmp_path, "ended")
    process = started(service.url, "--", "sh", "-c", f"echo yes > {ended}; exit 3")
    await_file(ended)
    time.sleep(1)
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=15)
    problems = json.loads(out)["problems"]
    assert (process.returncode, problems[0]) == (130, "Interrupted by SIGINT.")
    assert "'sh' failed with exit code 3" in problems[1]


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


def started(url: str, *arguments: object) -> subprocess.Popen[bytes]:
    command = [*COMMAND, "rollout", url, "--expect-release", "v44", "--format", "json"]
    return subprocess.Popen(
        [*command, "--rate", "50", *map(str, arguments)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment(),
        cwd=ROOT,
    )


def await_file(path: Path) -> str:
    for _ in range(200):
        if path.exists() and path.read_text().endswith("\n"):
            return path.read_text()
        time.sleep(0.05)
    raise AssertionError(f"{path} did not come")


SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


@pytest.mark.parametrize("number", SIGNALS, ids=[one.name for one in SIGNALS])
def test_a_signal_goes_on_to_the_command_and_leaves_the_whole_report(
    service: Running, tmp_path: Path, number: signal.Signals
) -> None:
    told, pids = Path(tmp_path, "told"), Path(tmp_path, "pids")
    # A shell starts what runs behind it with SIGINT ignored; a killed group spares nobody.
    script = (
        f"trap 'echo {number.name} > {told}; exit 1' {number.name[3:]};"
        f"sleep 60 & echo $! $$ > {pids}; wait"
    )
    process = started(service.url, "--", "sh", "-c", script)
    left = await_file(pids).split()
    process.send_signal(number)
    out, err = process.communicate(timeout=15)
    report = json.loads(out)
    assert (process.returncode, report["exit_code"]) == (130, 130)
    assert report["problems"] == [f"Interrupted by {number.name}."]
    assert report["pings"]["ok"] > 20
    assert (told.read_text(), b"Traceback" in err) == (f"{number.name}\n", False)
    assert all(until_gone(int(pid)) for pid in left)


def test_a_second_ctrl_c_kills_the_command_at_once_and_the_report_is_still_written(
    service: Running, tmp_path: Path
) -> None:
    pids, output = Path(tmp_path, "pids"), Path(tmp_path, "report.json")
    output.write_text("the report of an older run")
    script = f"trap '' INT TERM; echo $$ > {pids}; sleep 60; sleep 60"
    process = started(service.url, "--output", output, "--", "sh", "-c", script)
    pid = int(await_file(pids))
    process.send_signal(signal.SIGINT)
    time.sleep(1)
    assert process.poll() is None
    process.send_signal(signal.SIGINT)
    out, _ = process.communicate(timeout=5)
    report = json.loads(output.read_text())
    assert (process.returncode, report["exit_code"]) == (130, 130)
    assert b"INTERRUPTED" in out
    assert report["command"]["exit_code"] == 137
    assert "stopped half-way" in report["what_next"]
    assert until_gone(pid)


def test_a_third_ctrl_c_ends_it_though_nobody_takes_the_report(service: Running) -> None:
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        while True:
            os.write(writer, b"x")
    except BlockingIOError:
        os.set_blocking(writer, True)
    process = subprocess.Popen(
        [*COMMAND, "rollout", service.url, "--expect-release", "v44"],
        stdin=subprocess.DEVNULL,
        stdout=writer,
        stderr=subprocess.DEVNULL,
        env=environment(),
        cwd=ROOT,
    )
    time.sleep(1.5)
    for _ in range(2):
        process.send_signal(signal.SIGINT)
        time.sleep(0.7)
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    assert process.wait(5) == 130
    os.close(reader)
    os.close(writer)


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


def test_pings_that_hang_when_a_run_is_interrupted_are_no_sign_of_the_old_release() -> None:
    with serving(Fleet(lambda number: OLD if number < 20 else hangs)) as server:
        process = started(server.url, "--timeout", 10)
        time.sleep(4)
        process.send_signal(signal.SIGINT)
        out, _ = process.communicate(timeout=15)
    now = json.loads(out)["now"]
    assert (now["answers"], now["releases"]) == (None, {})


def test_without_a_petsage_the_progress_says_that_the_command_is_not_started() -> None:
    with serving(page) as server:
        done = rollout(server.url, "--deadline", 6, "--", "true")
    assert (done.code, done.report["command"]["started_at"]) == (3, None)
    assert "PetSage has not answered yet, and so the command is not started" in done.err
    assert "but not PetSage" in done.report["headline"]


def test_after_a_command_that_worked_the_progress_says_for_how_long_it_waits() -> None:
    with serving(OLD) as server:
        done = rollout(server.url, "--deadline", 6, "--", "true")
    assert done.code == 4
    assert (
        "the command has ended; waiting for v43 until 6 s (bound it with --after-command)"
        in done.err
    )


def test_pings_that_hang_do_not_hold_up_the_end_of_an_interrupted_run() -> None:
    with serving(hangs) as server:
        process = started(server.url)
        time.sleep(1.5)
        process.send_signal(signal.SIGINT)
        began = time.monotonic()
        out, _ = process.communicate(timeout=15)
        assert time.monotonic() - began < 3
    report = json.loads(out)
    assert report["verdict"] == "interrupted"
    assert "had not come to an end" in report["warnings"][0]


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
        *("{url}", "--expect-release", "v43", "--after-command", "1.9", "--", "true"),
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


def test_quiet_says_nothing_but_the_commands_own_words(service: Running) -> None:
    done = petsage(
        *("rollout", service.url, "--expect-release", "v43", "--rate", 50, "-q"),
        *("--", "echo", "deployed"),
    )
    assert (done.code, done.out, done.err) == (0, "", "deployed\n")


def test_without_a_terminal_it_says_a_plain_line_now_and_then(service: Running) -> None:
    done = rollout(service.url, "--consecutive", 280)
    (line,) = done.err.splitlines()
    assert line.startswith("petsage: 5 s  50.")
    assert "v43 100 %  0 failed of 25" in line
    assert "\x1b" not in done.err


# Makes the terminal on its stdin the one that it can be signalled from, as a login does.
LOGIN = [
    sys.executable,
    "-c",
    "import os, sys; os.login_tty(0); os.execv(sys.argv[1], sys.argv[1:])",
]


def on_a_terminal(
    *arguments: object, seconds: float = 30.0, through: tuple[str, ...] = ()
) -> tuple[int, str]:
    """Run petsage with its stderr on a terminal; return its exit code and what stood there."""
    terminal, side = pty.openpty()
    process = subprocess.Popen(
        [*through, *COMMAND, *map(str, arguments)],
        stdin=side,
        stdout=subprocess.DEVNULL,
        stderr=side,
        env=environment(TERM="xterm", COLUMNS="160"),
        cwd=ROOT,
    )
    os.close(side)
    shown = b""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if not select.select([terminal], [], [], 0.2)[0]:
            continue
        try:
            piece = os.read(terminal, 65_536)
        except OSError:
            break
        if not piece:
            break
        shown += piece
    os.close(terminal)
    return process.wait(5), shown.decode()


def test_on_a_terminal_a_live_line_shows_who_answers_and_what_fails() -> None:
    with serving(switching(40, resets)) as server:
        code, shown = on_a_terminal(
            *("rollout", server.url, "--expect-release", "v43", "--rate", 50)
        )
    assert code == 7
    live = [line for line in shown.split("\r\x1b[K") if line]
    assert any("v42 100 %" in line and "waiting for v43" in line for line in live)
    assert any("1 failed of" in line and "last: reset" in line and "█" in line for line in live)
    assert shown.endswith("\r\x1b[K")


def test_while_it_watches_on_the_live_line_says_that_the_command_failed() -> None:
    with serving(OLD) as server:
        code, shown = on_a_terminal(
            *("rollout", server.url, "--expect-release", "v43", "--rate", 50),
            *("--after-command", 1, "--", "sh", "-c", "exit 3"),
        )
    assert code == 8
    assert "watching on for v43 for up to 1 s" in shown
    live = [line for line in shown.split("\r\x1b[K") if "the command failed (3)" in line]
    assert len(live) > 3
    assert all("waiting for v43" in line for line in live)


def test_the_live_line_says_what_answers_under_a_wrong_url() -> None:
    with serving(page) as server:
        _, shown = on_a_terminal(
            *("rollout", server.url, "--expect-release", "v43", "--rate", 50, "--deadline", 1)
        )
    assert "last: not PetSage (404)" in shown


def test_the_commands_lines_stand_whole_above_the_live_line(service: Running) -> None:
    script = "for step in 1 2 3; do echo step $step of the deploy; sleep 0.4; done"
    code, shown = on_a_terminal(
        *("rollout", service.url, "--expect-release", "v43", "--rate", 50),
        *("--", "sh", "-c", script),
    )
    assert code == 0
    for step in (1, 2, 3):
        assert re.search(rf"(^|\n|\x1b\[K)step {step} of the deploy\r?\n", shown), shown
    assert "the command runs" in shown


def test_a_command_that_reads_a_terminal_is_told_at_once_that_there_is_nothing(
    service: Running,
) -> None:
    code, _ = on_a_terminal(
        *("rollout", service.url, "--expect-release", "v43", "--rate", 50),
        *("--", "sh", "-c", "read answer"),
    )
    # `read` fails at the end of its input; a stopped one would hang until the deadline.
    assert code == 8


def test_a_command_that_asks_at_the_terminal_itself_is_not_stopped(service: Running) -> None:
    code, shown = on_a_terminal(
        *("rollout", service.url, "--expect-release", "v43", "--rate", 50, "--deadline", 8),
        *("--", "sh", "-c", "read answer < /dev/tty || echo no password"),
        through=tuple(LOGIN),
    )
    # As git, ssh and sudo ask for a password: in the background they would wait for ever.
    assert (code, "no password" in shown) == (0, True)


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
