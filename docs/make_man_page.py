"""Writes the manual page of the command line, from the help of its commands.

    python docs/make_man_page.py

The wheel installs it as share/man/man1/polylogit.1, where `man polylogit` finds it beside the command.
"""

import re
from collections.abc import Iterator
from pathlib import Path

import click
import typer

from polylogit.cli.app import app

PAGE = Path(__file__).parent / "polylogit.1"


def main() -> None:
    """Write the page."""
    PAGE.write_text(page_text(), encoding="utf-8")


def page_text() -> str:
    """The page in the macros of man(7).

    Returns:
        The text of the file.
    """
    command = typer.main.get_command(app)
    lines = [
        '.\\" Written by docs/make_man_page.py from the help of the commands.',
        '.TH POLYLOGIT 1 "" polylogit "User Commands"',
        ".SH NAME",
        f"polylogit \\- {_escaped('softmax classification, from a table or pictures to a model in use')}",
        ".SH SYNOPSIS",
        ".B polylogit",
        ".I COMMAND",
        "[\\fIOPTION\\fR ...]",
        ".SH DESCRIPTION",
        _escaped(command.help),
        ".SH COMMANDS",
        *_commands(command, "polylogit"),
        ".SH EXIT STATUS",
        *_tagged("0", "Done."),
        *_tagged("1", "The data or the model is at fault; one message says where and what to do."),
        *_tagged("2", "Wrong usage: an unknown option, or a recipe that is not valid."),
        ".SH ENVIRONMENT",
        *_tagged("POLYLOGIT_DATA", "Directory for downloaded data sets."),
    ]
    return "\n".join(lines) + "\n"


def _commands(group: click.Group, name: str) -> Iterator[str]:
    context = click.Context(group, info_name=name)
    for word in group.list_commands(context):
        command = group.get_command(context, word)
        path = f"{name} {word}"
        if hasattr(command, "list_commands"):
            yield from _commands(command, path)
            continue
        inside = click.Context(command, info_name=path)
        usage = re.sub(r"{(.*?)}(?:[.]{3})?", r"\1", " ".join([path, *command.collect_usage_pieces(inside)]))
        yield f".SS {_escaped(usage)}"
        yield from _paragraphs(command.help or "")
        for parameter in command.get_params(inside):
            record = parameter.get_help_record(inside)
            if record is not None:
                yield from _tagged(*record)
        if command.epilog:
            yield ".PP"
            yield from _paragraphs(command.epilog)


def _paragraphs(text: str) -> Iterator[str]:
    for number, paragraph in enumerate(re.split(r"\n\s*\n", text.strip())):
        if number:
            yield ".PP"
        if paragraph.startswith("\b"):  # click's mark of lines that stay as they are
            yield from (".nf", _escaped(paragraph.removeprefix("\b").strip("\n")), ".fi")
        else:
            yield _escaped(" ".join(paragraph.split()))


def _tagged(tag: str, text: str) -> tuple[str, str, str]:
    tag = re.sub(r" <(list\[)?\w+\]?>$", "", tag)  # the Python type of an argument
    return ".TP", f"\\fB{_escaped(tag)}\\fR", _escaped(" ".join(text.split()))


def _escaped(text: str | None) -> str:
    """Text in which nothing is a request or an escape; hyphens stay hyphens, so that options can be copied."""
    text = (text or "").replace("\\", "\\e").replace("-", "\\-")
    return re.sub(r"^(?=[.'])", r"\\&", text, flags=re.MULTILINE)


if __name__ == "__main__":
    main()
