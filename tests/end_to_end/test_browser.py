"""A real browser on the pages: they work, fit a phone, and ask nobody else (DESIGN, 2.1 and 2.2).

Loading Swagger UI is what takes long here: several tests share one page that shows it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Literal
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.running import PATIENCE_SECONDS, Service

pytestmark = pytest.mark.contract

REPORT_VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
SMALL, NARROW, WIDE = 320, 390, 1280


@contextmanager
def opened(browser: Browser, service: Service, path: str, *, width: int = WIDE) -> Iterator[Page]:
    """Open a page; when the block ends, it has broken no rule of its own."""
    context = browser.new_context(viewport={"width": width, "height": 844})
    context.set_default_timeout(PATIENCE_SECONDS * 1_000)
    context.add_init_script(REPORT_VIOLATIONS)
    page = context.new_page()
    complaints: list[str] = []
    page.on("console", lambda message: complaints.append(message.text))
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("request", lambda request: complaints.extend(_elsewhere(request, service)))
    page.on("response", lambda answer: complaints.extend([answer.url] * (answer.status >= 400)))
    if path.startswith("/team/"):
        page.route("**/*", lambda route: _strip_prefix(route, service))
    try:
        page.goto(service.url + path)
        yield page
        assert page.evaluate("window.violations") == []
        assert complaints == []
    finally:
        context.close()


def _elsewhere(request: Request, service: Service) -> list[str]:
    own = request.url.startswith((service.url + "/", "data:"))
    return [] if own else [f"asked {request.url}"]


def _strip_prefix(route: Route, service: Service) -> None:
    """Do what a proxy does that serves the app under /team/petsage."""
    path = urlsplit(route.request.url).path
    assert path.startswith("/team/petsage/"), path
    headers = route.request.headers | {"x-forwarded-prefix": "/team/petsage"}
    answer = route.fetch(url=service.url + path.removeprefix("/team/petsage"), headers=headers)
    route.fulfill(response=answer)


def fit(page: Page, *widths: int) -> bool:
    """Return whether the page needs no scrolling sideways at these widths; keep the last."""
    for width in widths:
        page.set_viewport_size({"width": width, "height": 844})
        if page.evaluate("document.documentElement.scrollWidth") != width:
            return False
    return True


def execute_ping(page: Page) -> str:
    """Execute POST /system/smoke-test as a reader would, and return the response shown."""
    operation = page.locator("[id$='-smoke_test'].opblock")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    shown = operation.locator(".live-responses-table .response-col_description pre").first
    expect(shown).to_contain_text('"pong"')
    return shown.inner_text()


@pytest.mark.parametrize("path", ["/", "/redoc"])
def test_a_page_opens_without_a_complaint_or_a_sideways_scroll(
    browser: Browser, service: Service, path: str
) -> None:
    with opened(browser, service, path) as page:
        expect(page.get_by_text("PetSage API").first).to_be_visible()
        page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
        assert fit(page, WIDE, NARROW)
        assert page.evaluate(TOO_SMALL) == []
        assert_follows_the_color_scheme(page)


def assert_follows_the_color_scheme(page: Page) -> None:
    schemes: tuple[Literal["dark", "light"], ...] = ("dark", "light")
    for scheme in schemes:
        page.emulate_media(color_scheme=scheme)
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        brightness = sum(int(part) for part in background[4:-1].split(",")) / 3
        assert (brightness > 128) == (scheme == "light")


def test_from_the_welcome_one_comes_to_the_reading_page(browser: Browser, service: Service) -> None:
    with opened(browser, service, "/") as page:
        page.locator("a[href$='/redoc']").first.click()
        expect(page).to_have_url(f"{service.url}/redoc")
        expect(page.get_by_text("not-ready").first).to_be_visible()


def test_swagger_ui_sends_the_ping_behind_a_proxy_with_a_prefix(
    browser: Browser, hidden: Service
) -> None:
    with opened(browser, hidden, "/team/petsage/docs") as page:
        shown = execute_ping(page)
        assert '"pong": "Hello, PetSage!"' in shown
        assert '"status": "ok"' in shown


@pytest.fixture(scope="module")
def swagger(browser: Browser, service: Service) -> Iterator[Page]:
    """Return Swagger UI on a phone, reached from the welcome, with a ping sent and responded to.

    The tests change nothing but the width, and each sets its own.
    """
    with opened(browser, service, "/", width=NARROW) as page:
        page.locator("a[href$='/docs']").first.click()
        assert '"pong": "Hello, PetSage!"' in execute_ping(page)
        yield page


def test_swagger_ui_fits_a_phone_and_follows_the_color_scheme(swagger: Page) -> None:
    assert fit(swagger, SMALL, WIDE, NARROW)
    assert_follows_the_color_scheme(swagger)


def test_swagger_ui_shows_every_operation_with_examples_of_its_own(swagger: Page) -> None:
    closed = ".opblock:not(.is-open) .opblock-summary-control"
    swagger.evaluate(f"document.querySelectorAll('{closed}').forEach((it) => it.click())")
    expect(swagger.locator(".opblock")).to_have_count(10)
    expect(swagger.locator(".opblock .responses-table:not(.live-responses-table)")).to_have_count(
        10
    )
    assert fit(swagger, NARROW)
    assert "additionalProp" not in swagger.content()


def test_a_tag_and_what_it_is_about_are_not_squeezed_together_on_a_phone(swagger: Page) -> None:
    assert fit(swagger, NARROW)
    heading = swagger.locator(".opblock-tag a").bounding_box()
    about = swagger.locator(".opblock-tag small").bounding_box()
    assert heading
    assert about
    assert about["y"] >= heading["y"] + heading["height"]
    assert about["width"] > 0.85 * NARROW


ABOVE_ITS_BUTTONS = """(selector) => {
    const block = document.querySelector(selector);
    const bottom = block.querySelector("pre code").getBoundingClientRect().bottom;
    const top = (it) => it.getBoundingClientRect().top;
    return [...block.querySelectorAll("button")].map((it) => top(it) >= bottom);
}"""


def test_on_a_phone_no_button_covers_the_response(swagger: Page) -> None:
    assert fit(swagger, NARROW)
    assert (
        swagger.evaluate(ABOVE_ITS_BUTTONS, ".live-responses-table .highlight-code") == [True] * 2
    )
    assert swagger.evaluate(ABOVE_ITS_BUTTONS, ".curl-command") == [True]


TOO_SMALL = """() => {
    const seen = [...document.querySelectorAll("a, button, select, input, textarea, summary")]
        .filter((it) => it.offsetParent && it.getBoundingClientRect().width > 1);
    const name = (it) => `${it.tagName} ${it.className} ${it.textContent.trim().slice(0, 30)}`;
    return seen.filter((it) => it.getBoundingClientRect().height < 24).map(name);
}"""


def test_on_a_phone_a_finger_finds_what_it_aims_at(swagger: Page) -> None:
    assert fit(swagger, NARROW)
    sizes = swagger.evaluate(
        """() => [...document.querySelectorAll("textarea, select, input")]
            .map((it) => getComputedStyle(it).fontSize)"""
    )
    # With smaller letters, iOS zooms in.
    assert set(sizes) == {"16px"}
    assert swagger.evaluate(TOO_SMALL) == []


BROKEN = """(selector) => [...document.querySelectorAll(selector)].flatMap((it) => {
    const walk = document.createTreeWalker(it, NodeFilter.SHOW_TEXT);
    const found = [];
    for (let text; (text = walk.nextNode()); )
        for (const { 0: word, index } of text.data.matchAll(/[a-z<>]+/gi)) {
            const range = document.createRange();
            range.setStart(text, index);
            range.setEnd(text, index + word.length);
            if (range.getClientRects().length > 1) found.push(word);
        }
    return found;
})"""

# To the right, or below where there is no room.
DISTANCE = """(selector) => Math.min(...[...document.querySelectorAll(selector)].map((row) => {
    const kind = new Range();
    kind.selectNodeContents(row.querySelector(".parameter__type"));
    const from = kind.getBoundingClientRect();
    const to = row.querySelector(".renderedMarkdown").getBoundingClientRect();
    return Math.max(to.left - from.right, to.top - from.bottom);
}))"""


@pytest.mark.parametrize("width", [SMALL, NARROW, WIDE])
def test_no_word_is_broken_and_a_type_keeps_its_distance(swagger: Page, width: int) -> None:
    operation = "[id$='-smoke_test'].opblock"
    assert fit(swagger, width)
    assert swagger.evaluate(BROKEN, f"{operation} .opblock-section, {operation} h5") == []
    assert swagger.evaluate(DISTANCE, f"{operation} .parameters tr:has(.parameter__type)") >= 12
