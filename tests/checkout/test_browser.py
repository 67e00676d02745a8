"""Every page of the built book in a real browser: on a desk, on a phone, in the dark, on paper."""

from __future__ import annotations

import functools
import http.server
import shutil
import threading
from pathlib import Path

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import sync_playwright

HTML = Path(__file__).parents[2] / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
PAGES = sorted(
    path.relative_to(HTML).as_posix()
    for path in HTML.rglob("*.html")
    if "_static" not in path.parts and path.name not in ("index.html", "genindex.html")
)
DESK, PHONE = {"width": 1280, "height": 900}, {"width": 390, "height": 844}
LEAST_LETTER = 9  # px
HEAVY = ("critical", "serious")
# Markup of the theme and of the bibliography, which is not ours.
OF_OTHERS = {"scrollable-region-focusable", "aria-required-children"}

pytestmark = pytest.mark.skipif(not PAGES, reason="the book has not been built: make book")


@pytest.fixture(scope="module")
def site():
    """Serve the book as a web server does; return its address."""
    silent = type("Silent", (http.server.SimpleHTTPRequestHandler,), {"log_message": lambda *_: 0})
    handler = functools.partial(silent, directory=HTML)
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no chromium on this machine")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="module", params=PAGES)
def page(request, browser, site):
    """A page as it opens on a desk, with what went wrong until then."""
    page = browser.new_page(viewport=DESK)
    page.problems = []
    page.on("console", lambda m: m.type == "error" and page.problems.append(m.text))
    page.on("pageerror", lambda error: page.problems.append(str(error)))
    page.on("requestfailed", lambda r: page.problems.append(r.url))
    page.on("response", lambda r: r.status >= 400 and page.problems.append(f"{r.status} {r.url}"))
    page.goto(f"{site}/{request.param}", wait_until="networkidle")
    yield page
    page.close()


def view(page, size, scheme="light", media="screen"):
    page.set_viewport_size(size)
    page.emulate_media(media=media, color_scheme=scheme)
    page.evaluate("s => document.documentElement.dataset.theme = s", scheme)
    page.wait_for_timeout(50)


def test_nothing_goes_wrong(page):
    assert not page.problems


def test_maths_is_drawn(page):
    undrawn = (
        "[...document.querySelectorAll('.math')].filter(m => !m.querySelector('mjx-container'))"
    )
    assert page.evaluate(f"{undrawn}.length") == 0
    assert page.locator("[data-mjx-error]").count() == 0


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_the_page_does_not_scroll_sideways(page, size):
    view(page, size)
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0


CUT = """(part) => {
  const scrolls = e => ['auto', 'scroll'].includes(getComputedStyle(e).overflowX);
  const inside = e => e && (scrolls(e) || inside(e.parentElement));
  const fits = e => e.getBoundingClientRect().right <= window.innerWidth + 1;
  return [...document.querySelectorAll(part)]
    .filter(e => e.offsetParent && !fits(e) && !inside(e))
    .map(e => e.outerHTML.slice(0, 80));
}"""


@pytest.mark.parametrize("part", ["main table", "main pre", "main figure img", "mjx-container"])
def test_what_is_wider_than_a_phone_has_a_scroller(page, part):
    view(page, PHONE)
    assert page.evaluate(CUT, part) == []


LETTERS = """() => [...document.querySelectorAll('img[data-letter]')]
  .map(i => i.dataset.letter * i.getBoundingClientRect().width)"""


@pytest.mark.parametrize("size", [DESK, PHONE], ids=["desk", "phone"])
def test_letters_of_figures_can_be_read(page, size):
    view(page, size)
    assert [round(px, 1) for px in page.evaluate(LETTERS) if px < LEAST_LETTER - 0.05] == []


@pytest.mark.parametrize(
    ("size", "scheme"), [(DESK, "light"), (DESK, "dark"), (PHONE, "light")],
    ids=["desk, light", "desk, dark", "phone, light"],
)  # fmt: skip
def test_no_heavy_finding_of_axe(page, size, scheme):
    """Contrast among them."""
    view(page, size, scheme)
    found = Axe().run(page, "main").response["violations"]
    heavy = {
        violation["id"]: violation["nodes"][0]["html"][:150]
        for violation in found
        if violation["impact"] in HEAVY and violation["id"] not in OF_OTHERS
    }
    assert heavy == {}


def test_on_paper_nothing_is_cut(page):
    view(page, {"width": 794, "height": 1123}, media="print")  # A4 at 96 dots an inch
    root = "document.documentElement"
    assert page.evaluate(f"{root}.scrollWidth - {root}.clientWidth") <= 0


def test_search_finds_a_term(browser, site):
    page = browser.new_page(viewport=DESK)
    page.goto(f"{site}/search.html?q=responsibilities")
    page.wait_for_selector("#search-results li a", timeout=10_000)
    assert page.locator("#search-results li").count() >= 2
    page.close()


def test_players_move(browser, site):
    page = browser.new_page(viewport=DESK)
    players = 0
    for name in PAGES:
        page.goto(f"{site}/{name}")
        for slider in page.locator("main input[type=range]").all():
            players += 1
            image = "e => e.closest('figure').querySelector('.mixflow-live').src"
            before = slider.evaluate(image), slider.input_value()
            slider.focus()
            at_the_end = before[1] == slider.get_attribute("max")
            slider.press("ArrowLeft" if at_the_end else "ArrowRight")
            after = slider.evaluate(image), slider.input_value()
            assert after[0] != before[0], name
            assert after[1] != before[1], name
    assert players
    page.close()
