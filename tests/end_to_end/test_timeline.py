"""The timeline in a real browser: on a narrow screen, in the dark, and asking nobody."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Browser

from petsage.client.reports import rendered
from tests.client.rollouts import went

COMMIT = "3f6c1e0a9b7d4e55aa0123456789abcdef012345"


@pytest.fixture(scope="module", params=[(200, "v42"), (30_000, COMMIT)], ids=["200", "30,000"])
def page_file(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    pings, old = request.param
    path: Path = tmp_path_factory.mktemp("timeline") / "rollout.html"
    path.write_text(rendered(went(pings, old=old), "html"))
    return path


@pytest.mark.parametrize("width", [320, 390, 1000])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_it_fits_every_screen(browser: Browser, page_file: Path, width: int, scheme: str) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 800},
        color_scheme="dark" if scheme == "dark" else "light",
    )
    asked: list[str] = []
    page = context.new_page()
    page.on("request", lambda request: asked.append(request.url))
    page.goto(page_file.as_uri())
    assert asked == [page_file.as_uri()]
    assert page.evaluate("document.documentElement.scrollWidth") == width
    seen = page.locator(".timeline svg:visible")
    assert seen.count() == 1
    # Its letters are as large as they were meant: the picture is drawn for the screen.
    box = seen.bounding_box()
    assert box is not None
    view = int(str(seen.get_attribute("viewBox")).split()[2])
    assert box["width"] / view > 0.8
    blue = seen.locator(".lane.r0").evaluate("one => getComputedStyle(one).stroke")
    assert blue == {"light": "rgb(0, 114, 178)", "dark": "rgb(86, 180, 233)"}[scheme]
    # No label leaves the picture.
    assert page.evaluate(
        """() => [...document.querySelectorAll('.timeline svg')].filter(svg =>
            svg.getBoundingClientRect().width).every(svg => {
                const frame = svg.getBoundingClientRect();
                return [...svg.querySelectorAll('text')].every(text => {
                    const box = text.getBoundingClientRect();
                    return box.left >= frame.left - 1 && box.right <= frame.right + 1;
                });
            })"""
    )
    context.close()
