"""Text from files on a terminal: control characters are shown as escapes, and long names are cut.

A class name, a column name, a cell or a path may hold escape sequences that move the cursor, change colours or rewrite
earlier lines, and characters that reverse the direction of text. On a terminal they are shown, never obeyed.
"""

import re
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

__all__ = ["TerminalConsole", "printable", "short_message", "short_name"]

MOST_NAME_LETTERS = 48
MOST_WORD_LETTERS = 200
MOST_LINE_LETTERS = 4000

_UNSAFE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff\ud800-\udfff]")
_LONG_WORD = re.compile(rf"[^\s/\\]{{{MOST_WORD_LETTERS + 1},}}")


def printable(text: str) -> str:
    r"""Text with every control character replaced by its escape; line feeds and tabs stay.

    Args:
        text: Any text, lone surrogates included.

    Returns:
        Text that a terminal shows as it is.

    Example:
        >>> printable("red \x1b[31mfish\x07"), printable("one\ntwo")
        ('red \\x1b[31mfish\\x07', 'one\ntwo')
    """
    return _UNSAFE.sub(lambda found: found[0].encode("unicode_escape").decode("ascii"), text)


def short_name(name: str, most: int = MOST_NAME_LETTERS) -> str:
    r"""A name as one line of at most so many characters, for a cell of a table.

    Example:
        >>> short_name("fish"), short_name("a\nb"), short_name("x" * 300, most=12)
        ('fish', 'a\\nb', 'xxxxxxxx…xxx')
    """
    name = printable(name).replace("\n", "\\n").replace("\t", "\\t")
    return name if len(name) <= most else f"{name[: most - 4]}…{name[-3:]}"


def short_message(message: str) -> str:
    """A message without control characters, in which endless words and lines are cut.

    Example:
        >>> len(short_message("the class " + "x" * 10_000)) < 250
        True
    """
    message = _LONG_WORD.sub(lambda found: f"{found[0][: MOST_WORD_LETTERS - 20]}…{found[0][-10:]}", printable(message))
    lines = message.split("\n")
    return "\n".join(line if len(line) <= MOST_LINE_LETTERS else f"{line[:MOST_LINE_LETTERS]}…" for line in lines)


class TerminalConsole(Console):
    """A console that reads no markup in what it prints, and escapes the control characters of its text.

    Args:
        stderr: Whether to write to standard error.
    """

    def __init__(self, *, stderr: bool = False) -> None:
        super().__init__(stderr=stderr, markup=False, highlight=False, emoji=False)

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        """Render as rich does, then escape the text of every segment that is not rich's own control code."""
        for segment in super().render(renderable, options):
            yield segment if segment.control else segment._replace(text=printable(segment.text))

    def on_broken_pipe(self) -> None:
        """Let the command line end as it does for everything that it prints."""
        raise BrokenPipeError
