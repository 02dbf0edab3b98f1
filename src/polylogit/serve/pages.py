"""The pages of the service: each one file with its style and script inside, and a policy that forbids anything else.

The pages hold no data: their scripts ask the service for the model and for predictions, with the token where there is
one. The content security policy names the hashes of style and script, and allows requests to the service only.
"""

from base64 import b64encode
from collections.abc import Awaitable, Callable
from functools import cache
from hashlib import sha256
from importlib.resources import files

from starlette.requests import Request
from starlette.responses import Response

__all__ = ["page_endpoint", "page_html"]


@cache
def page_html(name: str) -> tuple[str, str]:
    """A page, and its content security policy.

    Args:
        name: "page" or "docs".

    Returns:
        HTML, and the value of the header `Content-Security-Policy`.

    Example:
        >>> html, policy = page_html("page")
        >>> html[:15], "default-src 'none'" in policy, "unsafe" in policy
        ('<!doctype html>', True, False)
    """
    folder = files("polylogit.serve") / "templates"
    style = (folder / "style.css").read_text(encoding="utf-8")
    script = (folder / f"{name}.js").read_text(encoding="utf-8")
    html = (folder / f"{name}.html").read_text(encoding="utf-8")
    html = html.replace("/* style */", style).replace("/* script */", script)
    policy = (
        f"default-src 'none'; style-src '{_hash(style)}'; script-src '{_hash(script)}'; connect-src 'self'; "
        "img-src 'self' blob: data:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return html, policy


def page_endpoint(name: str) -> Callable[[Request], Awaitable[Response]]:
    """The endpoint that answers with a page."""

    async def endpoint(request: Request) -> Response:
        del request
        html, policy = page_html(name)
        return Response(html, media_type="text/html", headers={"content-security-policy": policy})

    return endpoint


def _hash(text: str) -> str:
    return f"sha256-{b64encode(sha256(text.encode()).digest()).decode()}"
