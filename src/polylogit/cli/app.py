"""The application `polylogit`: its commands, in the order in which the help lists them.

Nothing here imports torch: a command does so once its options are checked.
"""

import sys
from typing import Annotated

import typer

from polylogit.cli.card import card
from polylogit.cli.check import check
from polylogit.cli.compare import compare
from polylogit.cli.console import accept_any_character
from polylogit.cli.evaluate import evaluate
from polylogit.cli.export import export
from polylogit.cli.lessons import lessons
from polylogit.cli.predict import predict
from polylogit.cli.recipes import init, recipes
from polylogit.cli.serve import serve
from polylogit.cli.several_processes import run_as_one_of_several, started_by_torchrun
from polylogit.cli.train import EPILOG as TRAIN_EPILOG
from polylogit.cli.train import train
from polylogit.system.termination import Terminated, raise_on_termination, stop_raising

__all__ = ["app", "main"]

app = typer.Typer(
    name="polylogit",
    help="Softmax classification: train a classifier on labelled data, evaluate it, and predict with one safe file.",
    epilog="Start with: polylogit train zoo",
    no_args_is_help=True,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)
app.command(epilog=TRAIN_EPILOG)(train)
app.command(epilog="Example: polylogit evaluate runs/zoo-auto/model.safetensors zoo")(evaluate)
app.command(epilog="Example: polylogit predict runs/zoo-auto/model.safetensors new.csv --out classes.csv")(predict)
app.command(epilog="Example: polylogit compare a.safetensors b.safetensors test.csv --report comparison.html")(compare)
app.command(epilog="Example: polylogit check animals.csv --target type --labels --out suspects.csv")(check)
app.command(epilog="Example: polylogit serve runs/zoo-auto/model.safetensors")(serve)
app.command(epilog="Example: polylogit card runs/zoo-auto/model.safetensors --out README.md")(card)
app.command(epilog="Example: polylogit export runs/zoo-auto/model.safetensors --to onnx")(export)
app.command(epilog="Example: polylogit init animals.csv --target type")(init)
app.add_typer(recipes, name="recipes")
app.command(epilog="Example: polylogit lessons eight-rows-softmax-twice")(lessons)


def main() -> None:
    """Run the command line."""
    raise_on_termination()
    try:
        if started_by_torchrun():
            run_as_one_of_several(app)
        else:
            app()
    except Terminated as ended:  # outside a command, as while it is imported
        stop_raising()
        sys.exit(128 + ended.number)


def _version(asked: bool | None) -> None:
    if asked:
        from polylogit import __version__

        typer.echo(f"polylogit {__version__}")
        raise typer.Exit


@app.callback()
def _options(
    version: Annotated[
        bool | None, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")
    ] = None,
) -> None:
    del version  # its callback has printed it
    accept_any_character()
