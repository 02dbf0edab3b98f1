"""The built site: its links, and in a browser its search, also from files, and its width on a phone."""

import importlib.util
import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


class _Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *_):
        """Print no line for each request."""


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    """The address of the site, built with warnings as errors."""
    pytest.importorskip("mkdocs")
    folder = tmp_path_factory.mktemp("site")
    build = [sys.executable, "-m", "mkdocs", "build", "--strict", "--quiet", "--site-dir", str(folder)]
    done = subprocess.run(build, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    server = ThreadingHTTPServer(("127.0.0.1", 0), partial(_Quiet, directory=str(folder)))
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}", folder
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture(scope="module")
def broken_links():
    """The function of docs/check_links.py, which is a hook of mkdocs and in no package."""
    pytest.importorskip("mkdocs")
    spec = importlib.util.spec_from_file_location("check_links", ROOT / "docs" / "check_links.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.broken_links


def test_a_link_that_leads_nowhere_is_found(broken_links, tmp_path):
    (tmp_path / "b.html").write_text('<h2 id="there"></h2><a href="https://example.org/x">', encoding="utf-8")
    good = '<a href="b.html#there"><a href="#here"><p id="here"><img src="b.html">'
    bad = '<a href="c.html"><a href="b.html#nowhere"><a href="#gone"><img src="p.png">'
    (tmp_path / "a.html").write_text(good + bad, encoding="utf-8")
    assert broken_links(tmp_path) == [f"a.html: {link}" for link in ("c.html", "b.html#nowhere", "#gone", "p.png")]


def test_no_link_of_the_site_leads_nowhere(site, broken_links):
    _, folder = site
    assert len(list(folder.rglob("*.html"))) > 40
    assert broken_links(folder) == []


def search(page, words):
    """The titles of the pages that the search finds, best first."""
    page.locator("input[name=query]").fill(words)
    page.keyboard.press("End")  # the theme searches when a key is released, as it is after any typed word
    page.wait_for_selector(".md-search-result__item h1", timeout=20_000)
    return [title.inner_text() for title in page.query_selector_all(".md-search-result__item h1")]


@pytest.mark.slow
@pytest.mark.parametrize("opened", ["from a server", "from files"])
@pytest.mark.parametrize(
    "query",
    [
        ("index.html", "prediction sets", "Prediction sets"),
        ("lessons/README.ko.html", "소프트맥스", "1. 소프트맥스와 비용 함수"),
    ],
)
def test_the_search_needs_nothing_but_the_site(site, chromium, opened, query):
    start, words, title = query
    address, folder = site
    root = folder.as_uri() if opened == "from files" else address
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    asked, failed = [], []
    page.on("request", lambda request: asked.append(request.url))
    page.on("requestfailed", lambda request: failed.append(request.url))
    page.on("response", lambda response: failed.append(response.url) if response.status >= 400 else None)
    page.goto(f"{root}/{start}")
    assert search(page, words)[0] == title
    assert not failed
    assert [url for url in asked if not url.startswith((root, "data:", "blob:", "about:"))] == []
    page.close()


@pytest.mark.slow
def test_no_page_is_wider_than_a_phone_or_raises_an_error(site, chromium):
    address, folder = site
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    page.on("response", lambda response: errors.append(response.url) if response.status >= 400 else None)
    files = sorted(folder.rglob("*.html"))
    assert len(files) > 40
    for file in files:
        name = file.relative_to(folder).as_posix()
        page.goto(f"{address}/{name}", wait_until="load")
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{name} is {wider} pixels wider than the screen"
        assert not errors, f"{name}: {errors}"
    page.close()
