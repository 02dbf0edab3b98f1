"""The language switch of the site: `page.md` is English, and `page.ko.md`, where there is one, the same in Korean.

A hook of mkdocs. It tells the theme's switch where the other language of each page is, and marks Korean pages as such.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from mkdocs.config.defaults import MkDocsConfig
    from mkdocs.structure.pages import Page
    from mkdocs.utils.templates import TemplateContext

HOME = {"en": "index.md", "ko": "index.ko.md"}
NAMES = {"en": "English", "ko": "한국어"}
_ENDING = ".ko.md"
# The theme's script takes each of these for the root of a site in that language, and asks for a sitemap.xml beside it.
_ALTERNATE = re.compile(r'\s*<link rel="alternate"[^>]*>')


def language_of(source: str) -> str:
    """The language of a page, by the name of its file.

    Args:
        source: Path of the Markdown file.

    Returns:
        "en" or "ko".
    """
    return "ko" if source.endswith(_ENDING) else "en"


def source_in(language: str, source: str) -> str:
    """The file that a page has in a language, whether or not it exists.

    Args:
        language: "en" or "ko".
        source: Path of the Markdown file in either language.

    Returns:
        The path.

    Example:
        >>> source_in("ko", "lessons/README.md"), source_in("en", "lessons/README.ko.md")
        ('lessons/README.ko.md', 'lessons/README.md')
    """
    bare = source.removesuffix(_ENDING).removesuffix(".md")
    return bare + (_ENDING if language == "ko" else ".md")


def on_page_context(context: TemplateContext, *, page: Page, config: MkDocsConfig, **_: object) -> TemplateContext:
    """Point the switch at the page in the other language, or at that language's first page."""
    files = {file.src_uri: file for file in context["pages"]}
    source = page.file.src_uri
    config.extra["alternate"] = [
        {"name": name, "lang": language, "link": files.get(source_in(language, source), files[HOME[language]]).url}
        for language, name in NAMES.items()
    ]
    return context


def on_post_page(output: str, *, page: Page, **_: object) -> str:
    """Mark the language of a Korean page, for screen readers, fonts and search engines; leave out `_ALTERNATE`."""
    output = _ALTERNATE.sub("", output)
    if language_of(page.file.src_uri) == "en":
        return output
    return output.replace('<html lang="en"', '<html lang="ko"', 1)
