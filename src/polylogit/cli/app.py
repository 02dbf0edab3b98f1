"""The command line: words and exit codes.

Owns what is printed and which exit status is given: 0 done, 1 the data or the model is at fault, 2 wrong usage, 130
interrupted. It computes nothing, and imports torch only once a command is sure to need it.
"""

import json
import sys
import textwrap
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer
from rich.console import Console
from rich.text import Text

from polylogit.data.pictures.names import stands_for_pictures
from polylogit.errors import PolylogitError, RecipeError
from polylogit.recipes import (
    LinearRecipe,
    Recipe,
    read_recipe,
    recipe_from_entries,
    shipped_recipes_by_use,
    starting_entries,
)

if TYPE_CHECKING:
    from polylogit.fitting.callbacks import FitObserver
    from polylogit.report.live import LiveFit

app = typer.Typer(
    name="polylogit",
    help="Softmax classification: train on rows with a class each, judge honestly, keep one safe file that predicts.",
    epilog="Start with: polylogit train zoo",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,
    context_settings={"help_option_names": ["-h", "--help"]},
)

Data = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="A name (zoo, mnist, fashion-mnist, ...), a table (.csv, .tsv, .parquet, .arrow, .jsonl), a folder of its "
        "parts, or a folder of pictures per class.",
    ),
]
DataRoot = Annotated[
    Path | None,
    typer.Option(metavar="FOLDER", help="Where data sets with a name lie or shall go. [default: POLYLOGIT_DATA]"),
]
Model = Annotated[Path, typer.Argument(metavar="MODEL", help="A model file that polylogit train wrote.")]
Report = Annotated[
    Path | None, typer.Option(metavar="FILE", help="Write the judgement as one HTML page that opens offline.")
]
Json = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, and nothing else.")]


def main() -> None:
    """Run the command line."""
    app()


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
    del version  # the callback has done its work


@app.command(
    epilog="Example: polylogit train animals.csv --target type --set training.C=10\n\n\b\nShipped recipes:\n"
    + "\n".join(
        textwrap.fill(
            f"{use}: {', '.join(names)}", 78, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )
        for use, names in shipped_recipes_by_use().items()
    )
)
def train(
    data: Data,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that holds the classes.")] = None,
    model: Annotated[
        Literal["linear", "mlp", "cnn", "residual"] | None,
        typer.Option(help="linear: softmax regression. mlp: hidden layers. cnn, residual: for pictures."),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="A recipe (.toml); a model file, to repeat its run; or the name of a shipped recipe, listed below.",
        ),
    ] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.OPTION=VALUE", help="Set one option of the recipe; may be repeated."),
    ] = None,
    weight: Annotated[
        str | None, typer.Option(metavar="COLUMN", help="The column that says how much each row counts.")
    ] = None,
    test: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="A second table: train on all rows of the first, judge on this one's."),
    ] = None,
    out: Annotated[
        Path | None, typer.Option(metavar="MODEL", help="The model file. [default: runs/DATA-MODEL/model.safetensors]")
    ] = None,
    report: Annotated[
        Path | None, typer.Option(metavar="FILE", help="The report. [default: report.html beside the model file]")
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Of every random draw. [default: 0]")] = None,
    device: Annotated[Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Where a network is fitted.")] = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the network's fit that was cut.")] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the network's fit there for TensorBoard too.")
    ] = None,
    data_root: DataRoot = None,
    as_json: Json = False,
) -> None:
    """Train a classifier, judge it on rows it has not seen, and keep it."""
    console = _console(as_json)
    with _faults_told():
        entries = read_recipe(recipe, settings or ())
        for section, option, value in (
            ("data", "target", target),
            ("data", "weight", weight),
            ("data", "test", test),
            ("model", "kind", model),
        ):
            if value is not None:
                entries.setdefault(section, {})[option] = value
        if seed is not None:
            entries["seed"] = seed
        if recipe is None:
            entries = starting_entries(data, entries, pictures=stands_for_pictures(data))
        checked = recipe_from_entries(entries)
        if out is not None and out.suffix != ".safetensors":
            raise RecipeError(f"--out {out}: a model file ends in .safetensors.")
        from polylogit import run

        observers = [] if tensorboard is None else [_tensorboard(tensorboard, checked)]
        with _watched(Console(stderr=True), "pictures" if stands_for_pictures(data) else "rows") as live:
            out = out or run.default_model_path(data, checked.model.kind)
            if resume and not run.checkpoint_path(out).exists():
                _tell_notes((f"--resume: there is no {run.checkpoint_path(out)} to go on from: the fit starts anew.",))
            result = run.train(
                data,
                checked,
                out=out,
                report=report or out.with_name("report.html"),
                data_root=data_root,
                device=device,
                resume=resume,
                on_progress=None if live is None else live.iteration,
                observers=[*observers, *([] if live is None else [live])],
            )
        if not result.whole:
            typer.echo(f"note: {result.fit_message} The model works as it is.", err=True)
        for finding in result.audit.of("warning") if result.audit is not None else ():
            typer.echo(f"warning: {finding}", err=True)
        if as_json:
            typer.echo(json.dumps(result.as_json(), ensure_ascii=False))
            return
        from polylogit.report.terminal import figures_in_short, judgement
        from polylogit.report.words import calibration_in_short

        trained_on = result.classifier.trained_on
        weighted = "" if checked.data.weight is None else f', weighed by "{checked.data.weight}"'
        how_it_went = result.fit_message if result.whole else f"{result.epochs} epochs, not the whole fit."
        console.print(
            f"{data}: {trained_on.rows_train} rows trained on, {trained_on.rows_test} held out, "
            f"{len(result.classifier.class_names)} classes{weighted}\n{checked.model.kind}: {how_it_went}\n",
            highlight=False,
        )
        if result.cross_validation is not None:
            from polylogit.run.cross_validation import cross_validation_told

            told_best = cross_validation_told(result.cross_validation, trained_on.rows_test)
            console.print(f"{told_best}\n", highlight=False)
        if result.test is None:
            console.print("No rows are held out, so these are the figures of the rows trained on. They flatter.\n")
            console.print(figures_in_short(result.train), highlight=False)
        else:
            console.print(judgement(result.test, result.train), highlight=False)
        calibrated = calibration_in_short(result.calibration, result.test, result.test_uncalibrated)
        console.print(f"\n{calibrated}", highlight=False)
        console.print(
            f"\nmodel    {result.model_path}\nhistory  {result.history_path}\n"
            f"report   {result.report_path or 'none, for there are no held-out rows to judge'}",
            highlight=False,
            soft_wrap=True,
        )
        console.print(f"\nNext: polylogit predict {result.model_path} {data}", highlight=False, soft_wrap=True)


@app.command(epilog="Example: polylogit evaluate runs/zoo-linear/model.safetensors zoo")
def evaluate(
    model: Model, data: Data, report: Report = None, data_root: DataRoot = None, as_json: Json = False
) -> None:
    """Judge a saved model on rows whose classes are known."""
    console = _console(as_json)
    with _faults_told():
        from polylogit import run

        result = run.evaluate(model, data, report=report, data_root=data_root)
        if as_json:
            typer.echo(json.dumps(result.as_json(), ensure_ascii=False))
            return
        from polylogit.report.terminal import judgement

        console.print(judgement(result.test), highlight=False)
        if report is not None:
            console.print(f"\nreport   {report}", highlight=False, soft_wrap=True)
        _tell_notes(result.notes)


@app.command(epilog="Example: polylogit check animals.csv --target type")
def check(
    data: Data,
    target: Annotated[str | None, typer.Option(metavar="COLUMN", help="The column that holds the classes.")] = None,
    settings: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="SECTION.OPTION=VALUE", help="Set one option of the recipe; may be repeated."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell everything that is wrong with a table, and train nothing. Exit status 1 if there are errors."""
    with _faults_told():
        entries = read_recipe(None, settings or ())
        if target is not None:
            entries.setdefault("data", {})["target"] = target
        checked = recipe_from_entries(entries)
        if stands_for_pictures(data):
            raise RecipeError(f"{data}: check audits tables; pictures are audited when they are read.")
        from polylogit.run.table_task import check_table

        found = check_table(data, checked)
        if as_json:
            typer.echo(json.dumps(found.as_json(), ensure_ascii=False))
        else:
            from polylogit.report.audit import audit_report

            _console(as_json).print(audit_report(found), highlight=False)
        if found.of("error"):
            raise typer.Exit(1)


@app.command(epilog="Example: polylogit predict runs/zoo-linear/model.safetensors new.csv --out classes.csv")
def predict(
    model: Model,
    data: Data,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Where to write: .csv, .parquet or .jsonl. [default: CSV on standard output]"
        ),
    ] = None,
    carry: Annotated[
        list[str] | None,
        typer.Option(metavar="COLUMN", help="A column of DATA to write before the prediction; may be repeated."),
    ] = None,
    abstain_below: Annotated[
        float | None,
        typer.Option(metavar="P", help="Give no class to rows whose top probability is below P; the report advises."),
    ] = None,
    data_root: DataRoot = None,
) -> None:
    """Predict the class of each row, with a probability per class."""
    with _faults_told():
        from polylogit import run

        if carry and out is None:
            raise RecipeError("--carry needs --out, the file to write the columns to.")
        with _counting(Console(stderr=True)) as told:
            result = run.predict(
                model, data, out, carry=carry or (), abstain_below=abstain_below, data_root=data_root, on_progress=told
            )
        _tell_notes(result.notes)
        if out is None and result.frame is not None:
            typer.echo(result.frame.write_csv(), nl=False)
        else:
            typer.echo(f"{out}: {result.rows} rows", err=True)


@app.command(epilog="Example: polylogit lessons eight-rows-softmax-twice")
def lessons(
    ids: Annotated[
        list[str] | None, typer.Argument(metavar="[ID ...]", help="Lessons. [default: the quick ones]")
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Run the long ones too: networks for pictures, 30 epochs each.")
    ] = False,
    listed: Annotated[bool, typer.Option("--list", help="Tell which lessons there are, and run none.")] = False,
    as_json: Json = False,
) -> None:
    """Run the systems of five documents on softmax classification: what they print, and what comes out here."""
    console = _console(as_json)
    with _faults_told():
        from polylogit.lessons.catalogue import choose_lessons

        chosen = choose_lessons(ids or (), every=every or (listed and not ids))
        if listed and as_json:
            typer.echo(json.dumps([lesson.as_json() for lesson in chosen], ensure_ascii=False))
            return
        from polylogit.lessons.terminal import closing_words, lesson_list, result_table

        if listed:
            console.print(lesson_list(chosen), highlight=False)
            return
        from polylogit.lessons.running import run_lesson

        results = []
        for lesson in chosen:
            with Console(stderr=True).status(Text(f"{lesson.id}, about {lesson.seconds:g} s")):
                results.append(run_lesson(lesson))
            console.print(result_table(results[-1]), highlight=False)
        console.print(closing_words(results), highlight=False)
        if as_json:
            rows = [row.as_json() for result in results for row in result.rows]
            typer.echo(json.dumps(rows, ensure_ascii=False))
        if not all(result.ok for result in results):
            raise typer.Exit(1)


def _console(as_json: bool) -> Console:
    """Where results for people go; with --json standard output belongs to the JSON object alone."""
    return Console(stderr=as_json)


def _tell_notes(notes: tuple[str, ...]) -> None:
    for note in notes:
        typer.echo(f"note: {note}", err=True)


@contextmanager
def _faults_told() -> Iterator[None]:
    """Turn what the user can mend into one message and an exit status."""
    try:
        yield
    except PolylogitError as fault:
        typer.echo(f"error: {fault}", err=True)
        raise typer.Exit(2 if isinstance(fault, RecipeError) else 1) from fault
    except KeyboardInterrupt:
        typer.echo("interrupted; files are written whole or not at all, so nothing is half-written.", err=True)
        raise typer.Exit(130) from None
    except BrokenPipeError:  # the reader, say `head`, has seen enough
        sys.stderr.close()
        raise typer.Exit(0) from None


@contextmanager
def _counting(console: Console) -> Iterator[Callable[[int], None] | None]:
    """Shows how many rows are predicted; silent where nobody watches."""
    if not console.is_terminal:
        yield None
        return
    with console.status(Text("predicting")) as status:
        yield lambda rows: status.update(Text(f"{rows:,} rows predicted"))


def _tensorboard(folder: Path, recipe: Recipe) -> "FitObserver":
    """What writes for TensorBoard; refused before anything is read where it could not."""
    if isinstance(recipe, LinearRecipe):
        raise RecipeError(
            "--tensorboard: a linear model is solved, not fitted epoch by epoch; history.jsonl has its iterations. "
            "Leave the option out, or choose a network with --model."
        )
    from polylogit.fitting.tensorboard import TensorBoardFiles

    return TensorBoardFiles(folder)


@contextmanager
def _watched(console: Console, unit: str) -> Iterator["LiveFit | None"]:
    """Shows how a fit goes; silent where nobody watches."""
    if not console.is_terminal:
        yield None
        return
    from polylogit.report.live import LiveFit

    with LiveFit(console, unit) as live:
        yield live
