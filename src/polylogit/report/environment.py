"""The template environment of the pages: strict, with everything escaped, and with one style."""

from collections.abc import Callable, Mapping
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from polylogit.plural import counted
from polylogit.report.numbers import cell_text, percent

__all__ = ["rendered_page"]


def rendered_page(template: str, filters: Mapping[str, Callable[..., Any]], **contents: Any) -> str:  # noqa: ANN401
    """A page of the package's templates.

    Args:
        template: The file's name.
        filters: Its own filters, beside `percent`, `counted` and `cell`.
        **contents: Its variables, beside `style`.

    Returns:
        One HTML document in UTF-8.
    """
    environment = Environment(
        loader=PackageLoader("polylogit.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"percent": percent, "counted": counted, "cell": cell_text, **filters}
    style = Markup(environment.get_template("page.css").render())  # noqa: S704 - the package's own file
    return environment.get_template(template).render(style=style, **contents)
