"""The built site in a browser: the search finds pages, and no page is wider than a phone."""

import subprocess
import sys
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.slow


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


def test_the_search_finds_prediction_sets(site, chromium):
    address, _ = site
    page = chromium.new_page(viewport={"width": 1280, "height": 900})
    page.goto(f"{address}/index.html")
    page.fill("input[name=query]", "prediction sets")
    first = page.wait_for_selector(".md-search-result__item h1", timeout=20_000)
    assert first.inner_text() == "Prediction sets"
    page.close()


def test_no_page_is_wider_than_a_phone_or_raises_an_error(site, chromium):
    address, folder = site
    page = chromium.new_page(viewport={"width": 390, "height": 844})
    errors = []
    page.on("pageerror", lambda error: errors.append(str(error)))
    files = sorted(folder.rglob("*.html"))
    assert len(files) > 40
    for file in files:
        name = file.relative_to(folder).as_posix()
        page.goto(f"{address}/{name}", wait_until="load")
        wider = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wider <= 0, f"{name} is {wider} pixels wider than the screen"
        assert not errors, f"{name}: {errors}"
    page.close()
