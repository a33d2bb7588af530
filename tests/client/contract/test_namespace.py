"""The system's own resolver and routes, in namespaces of Linux that belong to the test."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from tests.client.fleets import NEW, OLD
from tests.client.runs import COMMAND, ROOT, Done, environment
from tests.client.servers import serving_at
from tests.tools import require, require_namespaces

pytestmark = pytest.mark.contract

NAME = "pets.example"


def petsage_in_namespace(kinds: tuple[str, ...], before: str, *arguments: object) -> Done:
    """Run petsage in new namespaces of these kinds (`--mount`, `--net`), after a line of shell."""
    unshare = require_namespaces()
    ran = subprocess.run(
        [
            *(unshare, "--map-root-user", *kinds, "sh", "-ec", f'{before}; exec "$@"', "sh"),
            *(*COMMAND, *map(str, arguments), "--format", "json"),
        ],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        timeout=120,
        env=environment(),
        cwd=ROOT,
        text=True,
    )
    assert "Traceback" not in ran.stderr, ran.stderr
    return Done(ran.returncode, ran.stdout, ran.stderr)


@pytest.mark.parametrize("command", ["smoke-test", "rollout"])
def test_a_name_with_two_addresses_of_which_one_is_stale(command: str, tmp_path: Path) -> None:
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 {NAME}\n127.0.0.2 {NAME}\n")
    bounds = {
        "smoke-test": ("--wait", 1.5, "--interval", 0.03),
        "rollout": ("--deadline", 1.5, "--rate", 30),
    }
    with serving_at({"127.0.0.1": NEW, "127.0.0.2": OLD}) as servers:
        done = petsage_in_namespace(
            *(("--mount",), f"mount --bind {hosts} /etc/hosts"),
            *(command, f"http://{NAME}:{servers['127.0.0.1'].port}", "--expect-release", "v43"),
            *bounds[command],
        )
    assert done.code == 5
    assert servers["127.0.0.2"].address in done.sentences
    assert set(done.report["addresses"]) == {server.address for server in servers.values()}


@pytest.mark.parametrize("host", ["192.0.2.1", "[2001:db8::1]"], ids=["IPv4", "IPv6"])
def test_no_route_is_not_reached(host: str) -> None:
    arguments = ("smoke-test", f"http://{host}", "--wait", 0.5)
    done = petsage_in_namespace(("--net",), ":", *arguments)
    assert done.code == 9


def test_no_route_is_not_reached_by_a_rollout_and_neither_is_a_name_without_dns() -> None:
    arguments = ("--expect-release", "v43", "--deadline", 1, "--rate", 10)
    unrouted = petsage_in_namespace(("--net",), ":", "rollout", "http://192.0.2.1", *arguments)
    unnamed = petsage_in_namespace(("--net",), ":", "rollout", f"http://{NAME}", *arguments)
    assert (unrouted.code, unnamed.code) == (9, 9)
    assert list(unnamed.report["pings"]["failed"]) == ["dns"]


def test_a_family_without_a_route_is_left_out_with_a_warning(tmp_path: Path) -> None:
    require("ip")
    hosts = tmp_path / "hosts"
    hosts.write_text(f"127.0.0.1 {NAME}\n2001:db8::1 {NAME}\n")
    # In a network of its own, the service must be inside; it ends with the process namespace.
    serve = (
        "import threading\n"
        "from tests.client.fleets import NEW\n"
        "from tests.client.servers import serving\n"
        "with serving(NEW, port=8000): threading.Event().wait()\n"
    )
    inside = f"{shlex.quote(sys.executable)} -c {shlex.quote(serve)} >/dev/null 2>&1 &"
    done = petsage_in_namespace(
        ("--mount", "--net", "--pid", "--fork"),
        f"mount --bind {hosts} /etc/hosts; ip link set lo up; {inside} :",
        *("smoke-test", f"http://{NAME}:8000", "--expect-release", "v43", "--consecutive", 3),
        *("--no-bad-requests", "--wait", 30),
    )
    assert done.code == 0
    assert list(done.report["addresses"]) == ["127.0.0.1:8000"]
    assert len(done.warnings_of("IPv6")) == 1
