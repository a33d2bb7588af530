"""The report of a rollout in a real browser: on a narrow screen, in the dark, and printed."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from petsage.client.explain import explain
from petsage.client.reports import render
from tests.client.reported import watched

COMMIT = "3f6c1e0a9b7d4e55aa0123456789abcdef012345"
# Every label lies within the picture, and its letters are large enough to read.
LABELS = """() => {
    const svg = document.querySelector("figure svg");
    const frame = svg.getBoundingClientRect();
    const scale = frame.width / svg.viewBox.baseVal.width;
    const labels = [...svg.querySelectorAll("text")];
    return labels.filter((it) => it.getBoundingClientRect().width).filter((it) => {
        const box = it.getBoundingClientRect();
        const letters = parseFloat(getComputedStyle(it).fontSize) * scale;
        return box.left < frame.left - 1 || box.right > frame.right + 1 || letters < 8.5;
    }).map((it) => it.textContent);
}"""


@pytest.fixture(scope="module", params=[(200, "v42"), (30_000, COMMIT)], ids=["200", "30,000"])
def report(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pings, old = request.param
    run = watched(pings, old=old, argv=("git", "push", "heroku", "main"))
    path: Path = tmp_path_factory.mktemp("report") / "rollout.html"
    path.write_text(render(run, explain(run), "html"))
    return path


@pytest.mark.parametrize("width", [320, 390, 1200])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_screen(browser: Browser, report: Path, width: int, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    requests: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: requests.append(request.url))
    page.goto(report.as_uri())
    assert requests == [report.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    if width >= 390:
        assert page.evaluate(LABELS) == []
    stroke = page.locator(".dots.r0").first.evaluate("one => getComputedStyle(one).stroke")
    assert stroke == {"light": "rgb(0, 114, 178)", "dark": "rgb(86, 180, 233)"}[scheme]
    context.close()


def test_it_is_printed_on_a_few_light_pages(browser: Browser, report: Path) -> None:
    context = browser.new_context(color_scheme="dark")
    page = context.new_page()
    page.goto(report.as_uri())
    pages = page.pdf(format="A4").count(b"/Type /Page\n")
    assert 1 <= pages <= 3
    page.emulate_media(media="print")
    background = page.evaluate("getComputedStyle(document.body).backgroundColor")
    assert background == "rgb(255, 255, 255)"
    context.close()
