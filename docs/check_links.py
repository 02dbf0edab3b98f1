"""Links of the built site that lead nowhere: a hook of mkdocs, which itself checks the Markdown files, not the pages.

A file that is excluded from the site passes mkdocs' check, and is missing all the same.
"""

from __future__ import annotations

from html.parser import HTMLParser
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import unquote, urlsplit

from mkdocs.exceptions import PluginError

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig


class _Page(HTMLParser):
    """The links of a page, and the anchors that others may lead to."""

    def __init__(self, content: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.anchors: set[str] = {""}
        self.feed(content)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = {name: value for name, value in attrs if value}
        self.anchors |= {given[name] for name in ("id", "name") if name in given}
        self.links += [given[name] for name in ("href", "src") if name in given]


def broken_links(site: Path) -> list[str]:
    """Each link within a site whose file or anchor does not exist.

    Args:
        site: The folder of the built site.

    Returns:
        "page: link" for each of them.
    """
    pages = {file.resolve(): _Page(file.read_text(encoding="utf-8")) for file in sorted(site.rglob("*.html"))}
    found = []
    for file, page in pages.items():
        if file.name == "404.html":  # its links are absolute, for a site at the root of its host
            continue
        for link in page.links:
            parts = urlsplit(link)
            if parts.scheme or parts.netloc:
                continue
            target = (file.parent / unquote(parts.path)).resolve() if parts.path else file
            if target.is_dir():
                target /= "index.html"
            anchors = pages[target].anchors if target in pages else {unquote(parts.fragment)}
            if not target.exists() or unquote(parts.fragment) not in anchors:
                found.append(f"{file.relative_to(site.resolve())}: {link}")
    return found


def on_post_build(*, config: MkDocsConfig, **_: object) -> None:
    """Fail the build where a link leads nowhere."""
    found = broken_links(Path(config.site_dir))
    if found:
        raise PluginError("links that lead nowhere:\n  " + "\n  ".join(found))
