"""A real browser on the pages: they work, look the same at 390 px, and ask nobody else."""

from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, Request, Route, expect

from tests.running import Service, running_service

REPORT_VIOLATIONS = """
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (event) =>
      window.violations.push(`${event.violatedDirective} ${event.blockedURI}`));
"""
NARROW, WIDE = 390, 1280
# Long enough for a machine that runs other tests besides.
expect.set_options(timeout=15_000)
PATHS = ["/", "/docs", "/docs/", "/redoc"]


@pytest.fixture(scope="module")
def service() -> Iterator[Service]:
    with running_service(PETSAGE_RELEASE="v43", PETSAGE_TRUSTED_PROXIES="1") as service:
        yield service


@contextmanager
def opened(browser: Browser, service: Service, path: str, *, width: int = WIDE) -> Iterator[Page]:
    """Open a page; when the block ends, it has broken no rule of its own."""
    context = browser.new_context(viewport={"width": width, "height": 844})
    context.set_default_timeout(15_000)
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
        if "/docs" in path:
            expect(page.locator(".opblock").first).to_be_visible()
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


def width_of(page: Page) -> int:
    width: int = page.evaluate("document.documentElement.scrollWidth")
    return width


def execute_ping(page: Page) -> str:
    """Execute POST /system/smoke-test as a reader would, and return the answer shown."""
    operation = page.locator("[id$='-smoke_test'].opblock")
    operation.locator(".opblock-summary-control").click()
    operation.get_by_role("button", name="Try it out").click()
    operation.get_by_role("button", name="Execute").click()
    shown = operation.locator(".live-responses-table .response-col_description pre").first
    expect(shown).to_contain_text('"pong"')
    return shown.inner_text()


@pytest.mark.parametrize("path", PATHS)
def test_a_page_opens_without_a_complaint_or_a_sideways_scroll(
    browser: Browser, service: Service, path: str
) -> None:
    with opened(browser, service, path) as page:
        expect(page.get_by_text("PetSage API").first).to_be_visible()
        for width in (NARROW, WIDE):
            page.set_viewport_size({"width": width, "height": 844})
            assert width_of(page) == width
        for scheme in ("dark", "light"):
            page.emulate_media(color_scheme=scheme)  # type: ignore[arg-type]
            background = page.evaluate("getComputedStyle(document.body).backgroundColor")
            brightness = sum(int(part) for part in background[4:-1].split(",")) / 3
            assert (brightness > 128) == (scheme == "light")


@pytest.mark.parametrize(
    ("path", "width"), [("/docs", NARROW), ("/docs/", WIDE), ("/team/petsage/docs", WIDE)]
)
def test_swagger_ui_sends_the_ping_and_shows_the_pong(
    browser: Browser, service: Service, path: str, width: int
) -> None:
    with opened(browser, service, path, width=width) as page:
        answer = execute_ping(page)
        assert '"pong": "Hello, PetSage!"' in answer
        assert '"status": "ok"' in answer
        assert width_of(page) == width


def test_swagger_ui_shows_every_operation_with_examples_of_its_own(
    browser: Browser, service: Service
) -> None:
    with opened(browser, service, "/docs", width=NARROW) as page:
        operations = page.locator(".opblock")
        assert operations.count() == 10
        for operation in operations.all():
            operation.locator(".opblock-summary-control").click()
            expect(operation.locator(".responses-table").first).to_be_visible()
        assert width_of(page) == NARROW
        assert "additionalProp" not in page.content()


def test_a_tag_and_what_it_is_about_are_not_squeezed_together_on_a_phone(
    browser: Browser, service: Service
) -> None:
    with opened(browser, service, "/docs", width=NARROW) as page:
        heading = page.locator(".opblock-tag a").bounding_box()
        about = page.locator(".opblock-tag small").bounding_box()
        assert heading
        assert about
        assert about["y"] >= heading["y"] + heading["height"]
        assert about["width"] > 0.85 * NARROW


def test_the_reading_view_is_read_at_390_px_with_all_of_it_open(
    browser: Browser, service: Service
) -> None:
    with opened(browser, service, "/redoc", width=NARROW) as page:
        page.evaluate("document.querySelectorAll('details').forEach((it) => { it.open = true; })")
        assert width_of(page) == NARROW
        expect(page.get_by_text("urn:petsage:problem:not-ready").first).to_be_visible()


def test_from_the_welcome_one_comes_to_all_the_rest(browser: Browser, service: Service) -> None:
    for name, heading in (("Try it out", "PetSage API"), ("Read about it", "Routes")):
        with opened(browser, service, "/") as page:
            page.get_by_role("link", name=name).click()
            expect(page.get_by_role("heading", name=heading).first).to_be_visible()


ABOVE_ITS_BUTTONS = """(selector) => {
    const block = document.querySelector(selector);
    const bottom = block.querySelector("pre code").getBoundingClientRect().bottom;
    const top = (it) => it.getBoundingClientRect().top;
    return [...block.querySelectorAll("button")].map((it) => top(it) >= bottom);
}"""


def test_on_a_phone_no_button_stands_on_the_answer(browser: Browser, service: Service) -> None:
    with opened(browser, service, "/docs", width=NARROW) as page:
        execute_ping(page)
        answer = ".live-responses-table .highlight-code"
        assert page.evaluate(ABOVE_ITS_BUTTONS, answer) == [True, True]
        assert page.evaluate(ABOVE_ITS_BUTTONS, ".curl-command") == [True]


SMALL = """() => {
    const seen = [...document.querySelectorAll("a, button, select, input, textarea, summary")]
        .filter((it) => it.offsetParent && it.getBoundingClientRect().width > 1);
    const name = (it) => `${it.tagName} ${it.className} ${it.textContent.trim().slice(0, 30)}`;
    return seen.filter((it) => it.getBoundingClientRect().height < 24).map(name);
}"""


@pytest.mark.parametrize("path", ["/", "/docs", "/redoc"])
def test_on_a_phone_a_finger_finds_what_it_aims_at(
    browser: Browser, service: Service, path: str
) -> None:
    with opened(browser, service, path, width=NARROW) as page:
        if path == "/docs":
            execute_ping(page)
            fields = page.locator("textarea, select, input").all()
            sizes = {field.evaluate("it => getComputedStyle(it).fontSize") for field in fields}
            assert sizes == {"16px"}
        assert page.evaluate(SMALL) == []


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


@pytest.mark.parametrize("width", [320, NARROW, WIDE])
def test_no_word_is_broken_and_a_type_keeps_its_distance(
    browser: Browser, service: Service, width: int
) -> None:
    with opened(browser, service, "/docs", width=width) as page:
        execute_ping(page)
        ready = page.locator("[id$='-ready'].opblock")
        ready.locator(".opblock-summary-control").click()
        expect(ready.locator(".parameters").first).to_be_visible()
        assert page.evaluate(BROKEN, ".opblock-section, .live-responses-table h5") == []
        assert page.evaluate(DISTANCE, ".parameters tr:has(.parameter__type)") >= 12
        assert width_of(page) == width
