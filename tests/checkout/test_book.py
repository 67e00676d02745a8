"""The built book: reads offline, describes its figures, has no dead ends, opens in a browser."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).parents[2]
HTML = ROOT / "_build" / "html"
BROWSERS = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable")
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--disable-dev-shm-usage",
    "--virtual-time-budget=20000",
)

pytestmark = pytest.mark.skipif(
    not (HTML / "index.html").is_file(), reason="the book has not been built: make book"
)


class Page(HTMLParser):
    """Collect what the tests look at."""

    def __init__(self, path: Path):
        super().__init__()
        self.path, self.name = path, path.relative_to(HTML).as_posix()
        self.ids, self.links, self.images, self.loaded = set(), [], [], []
        self.feed(path.read_text(encoding="utf-8"))

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        self.ids.update(attributes[key] for key in ("id", "name") if attributes.get(key))
        if tag == "a" and attributes.get("href"):
            self.links.append(attributes["href"])
        if tag == "img":
            self.images.append(attributes)
        if tag in {"script", "img", "iframe", "source", "video"} and attributes.get("src"):
            self.loaded.append(attributes["src"])
        if tag == "link" and attributes.get("rel") not in {"canonical", "next", "prev"}:
            self.loaded.append(attributes.get("href") or "")


@pytest.fixture(scope="module")
def pages():
    # Below _static lie templates of the theme, not pages.
    paths = [path for path in sorted(HTML.rglob("*.html")) if "_static" not in path.parts]
    return {path: Page(path) for path in paths}


def test_nothing_is_loaded_from_the_network(pages):
    remote = [
        (page.name, url)
        for page in pages.values()
        for url in page.loaded
        if urlsplit(url).scheme in {"http", "https"} or url.startswith("//")
    ]
    assert not remote
    for page in pages:
        assert not re.search(r"https?://(unpkg\.com|cdn\.|[\w.]*jsdelivr)", page.read_text())


def test_stylesheets_load_nothing_from_the_network():
    for path in HTML.rglob("*.css"):
        found = re.findall(r"(?:url\(|@import)\s*['\"]?(https?:)?//[^)]*", path.read_text())
        assert not found, f"{path.name}: {found}"


def test_every_image_has_alternative_text(pages):
    # MyST-NB writes the file's address when there is no alt text: that describes nothing.
    bare = [
        (page.name, image.get("src", "")[:80])
        for page in pages.values()
        for image in page.images
        if not (image.get("alt") or "").strip() or "_images/" in image["alt"]
    ]
    assert not bare


def test_internal_links_resolve(pages):
    broken = []
    for page in pages.values():
        for url in {*page.links, *page.loaded}:
            parts = urlsplit(url)
            if parts.scheme or parts.netloc:
                continue
            target = page.path
            if parts.path:
                target = (page.path.parent / unquote(parts.path)).resolve()
            if not target.is_file():
                broken.append((page.name, url))
            elif parts.fragment and target in pages:
                anchors = pages[target].ids | {"", "top"}
                if unquote(parts.fragment) not in anchors:
                    broken.append((page.name, url))
    assert not broken


def test_sources_of_the_pages_are_all_built():
    notebooks = {path.stem for path in (ROOT / "notebooks").glob("*.py")}
    built = {path.stem for path in (HTML / "executed").glob("*.html")}
    assert notebooks <= built, f"not in book/_toc.yml: {sorted(notebooks - built)}"


@pytest.fixture(scope="module")
def report():
    """What the last build that made pages left."""
    return json.loads((ROOT / "_build" / "book.json").read_text())


def test_no_cell_lacks_a_file_or_warns(report):
    assert report["lacks"] == []
    assert report["warnings"] == []


def test_stored_results_are_enough(report):
    if not report["offline"]:
        pytest.skip("the book was built with a network: make book OFFLINE=1")
    assert report["made"] == report["pages"]
    assert report["refused"] == []


def has_maths(path: Path) -> bool:
    return 'class="math' in path.read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def browser():
    found = next(filter(None, map(shutil.which, BROWSERS)), None)
    if found is None:
        pytest.skip("no chromium on this machine")
    return found


def dump(browser: str, page: Path, profile: Path) -> str:
    """Return a page's HTML after its scripts have run."""
    command = [browser, *FLAGS, f"--user-data-dir={profile}", "--dump-dom", page.as_uri()]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout


def test_pages_open_in_a_browser_and_maths_is_drawn(browser, pages, tmp_path):
    content = [path for path in pages if path.name not in {"index.html", "search.html"}]
    with_maths = [path for path in content if has_maths(path)]
    assert with_maths, "no page has maths; is the book complete?"
    executed = [path for path in content if path.parent.name == "executed"]
    for path in dict.fromkeys([*with_maths[:2], *executed[:1]]):
        document = dump(browser, path, tmp_path / "profile")
        assert re.search(r"<h1", document), f"{path.name} has no heading"
        if has_maths(path):
            assert "<mjx-container" in document, f"{path.name}: maths was not drawn"
            assert "data-mjx-error" not in document, f"{path.name}: a formula has an error"
