"""A real rolling deploy behind HAProxy: no ping is lost, and in the wrong order it is caught.

(DESIGN, 3.3 and 3.7.) What takes long is to start instances: two deploys go over one fleet.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser

from tests.documents import first_words, promised, reports
from tests.rolling import rolling_fleet
from tests.running import PATIENCE_SECONDS, ROOT, environment, until_gone
from tests.tools import require

pytestmark = pytest.mark.contract

SCRIPT = str(Path(ROOT, "deploy", "rolling.py"))


class Deploys:
    """HAProxy and three instances, which go from v1 to v2 and then to v3."""

    def __init__(self, run: Path) -> None:
        self.page = run / "rollout.html"
        with rolling_fleet(run, "v1") as fleet:
            self.drained = fleet.deploy("v2", [], ["--output", self.page])
            self.naive = fleet.deploy("v3", ["--naive"], ["--format", "json"])


@pytest.fixture(scope="module")
def deploys(tmp_path_factory: pytest.TempPathFactory) -> Deploys:
    return Deploys(tmp_path_factory.mktemp("rolling"))


def test_one_by_one_and_drained_first_no_ping_is_lost(deploys: Deploys) -> None:
    assert deploys.drained.returncode == 0, deploys.drained.stdout + deploys.drained.stderr


def test_its_report_says_what_the_readme_shows(deploys: Deploys) -> None:
    (example,) = [report for report in reports() if "command" in first_words(report)]
    assert first_words(example) <= first_words(deploys.drained.stdout)


def test_stopped_while_in_rotation_it_is_over_budget(deploys: Deploys) -> None:
    report: dict[str, Any] = json.loads(deploys.naive.stdout)
    assert (deploys.naive.returncode, report["verdict"]) == (7, "over-budget"), deploys.naive.stderr
    # HAProxy found the connection refused, and told the client so with a 503.
    assert set(report["pings"]["failed"]) == {"5xx"}
    assert all("503" in one["detail"] for one in report["failures"])
    assert set(report["instances"]) == {"web.1", "web.2", "web.3"}
    # Each instance was another process before.
    assert len(report["workers"]) == 6
    assert set(report["releases"]) == {"v2", "v3"}
    assert report["switch"]
    assert report["command"]["exit_code"] == 0


def test_every_member_of_its_json_report_is_in_the_docs(deploys: Deploys) -> None:
    report = json.loads(deploys.naive.stdout)
    assert report.keys() == promised("rollout").keys()


LABELS_INSIDE = """() => [...document.querySelectorAll("svg")]
    .filter((svg) => svg.getBoundingClientRect().width)
    .map((svg) => {
        const frame = svg.getBoundingClientRect();
        const texts = [...svg.querySelectorAll("text")];
        return texts.filter((it) => it.getBoundingClientRect().width).every((text) => {
            const box = text.getBoundingClientRect();
            return box.left >= frame.left - 1 && box.right <= frame.right + 1;
        });
    })"""


def test_its_timeline_fits_every_screen_in_light_and_dark_and_asks_nobody(
    deploys: Deploys, browser: Browser
) -> None:
    url = deploys.page.as_uri()
    context = browser.new_context()
    context.set_default_timeout(PATIENCE_SECONDS * 1_000)
    asked: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(url)
    for width in (320, 390, 1_000):
        page.set_viewport_size({"width": width, "height": 800})
        assert page.evaluate("document.documentElement.scrollWidth") == width
        inside = page.evaluate(LABELS_INSIDE)
        assert inside
        assert all(inside)
    shades = {}
    schemes: tuple[Literal["dark", "light"], ...] = ("dark", "light")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        shades[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert shades["dark"] != shades["light"]
    assert asked == [url]
    assert {"v1", "v2"} <= set(page.inner_text("body").split())
    context.close()


@pytest.fixture
def shallow() -> Iterator[Path]:
    """Return a folder with a short name: a socket's path is at most some hundred bytes long."""
    with TemporaryDirectory() as folder:
        yield Path(folder)


def test_a_demo_that_is_told_to_end_leaves_its_report_and_nothing_running(shallow: Path) -> None:
    require("haproxy")
    process = subprocess.Popen(
        [sys.executable, "deploy/rolling.py", "demo", "--report", str(shallow / "rollout.json")],
        cwd=ROOT,
        env=environment(TMPDIR=str(shallow)),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    pids: list[int] = []
    with process:
        for line in process.stderr or ():
            if "out of rotation" in line and not pids:
                pids += (int(one.read_text()) for one in shallow.glob("*/*.pid"))
                process.terminate()
    left = [pid for pid in pids if not until_gone(pid)]
    for pid in left:
        os.kill(pid, signal.SIGKILL)
    assert (process.returncode, len(pids), left) == (130, 4, [])
    report = json.loads((shallow / "rollout.json").read_text())
    assert report["verdict"] == "interrupted"
    assert set(report["releases"]) == {"v42"}


def test_without_haproxy_the_demo_says_what_to_install_and_starts_nothing() -> None:
    done = subprocess.run(
        [sys.executable, SCRIPT, "demo"],
        cwd=ROOT,
        env=environment() | {"PATH": str(Path(sys.executable).parent)},
        capture_output=True,
        text=True,
        timeout=500,
    )
    assert done.returncode == 1
    assert "apt install haproxy" in done.stderr
