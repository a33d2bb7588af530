"""axe-core finds nothing on the pages, nor on /docs anything that is not Swagger UI's own."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser

from tests.running import Service, running_service
from tests.tools import require

pytestmark = pytest.mark.contract

# Swagger UI's own markup is left out: what it lacks can only be repaired there.
FINDINGS = """async () => {
    document.querySelectorAll("details").forEach((it) => { it.open = true; });
    const found = await axe.run({ exclude: [["#swagger-ui"]] });
    return found.violations.map(({ id, nodes }) => [id, nodes.map(({ html }) => html)]);
}"""


@pytest.fixture(scope="module")
def axe(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Return the script of axe-core, fetched with npm."""
    npm = require("npm")
    folder = tmp_path_factory.mktemp("axe")
    options = ["--silent", "--no-audit", "--no-fund", "--ignore-scripts"]
    done = subprocess.run(
        [npm, "install", *options, "--prefix", str(folder), "axe-core@4"],
        capture_output=True,
        text=True,
    )
    if done.returncode != 0:
        pytest.skip(f"npm can't fetch axe-core: {done.stderr}")
    return Path(folder, "node_modules/axe-core/axe.min.js").read_text()


@pytest.fixture(scope="module")
def disclosing() -> Iterator[Service]:
    with running_service(PETSAGE_RELEASE="v43") as service:
        yield service


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [390, 1280])
@pytest.mark.parametrize("path", ["/", "/redoc", "/docs"])
def test_axe_finds_nothing(
    browser: Browser, disclosing: Service, axe: str, path: str, width: int, scheme: str
) -> None:
    context = browser.new_context(
        viewport={"width": width, "height": 844},
        color_scheme=scheme,  # type: ignore[arg-type]
        bypass_csp=True,  # for axe itself
    )
    try:
        page = context.new_page()
        page.goto(disclosing.url + path)
        if path == "/docs":
            page.locator(".opblock").first.wait_for()
        page.evaluate(axe)
        assert page.evaluate(FINDINGS) == []
    finally:
        context.close()
