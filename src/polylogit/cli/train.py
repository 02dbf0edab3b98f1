"""The command `polylogit train`."""

import shlex
import textwrap
from collections.abc import Collection, Iterator
from contextlib import nullcontext, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from polylogit.cli.console import (
    live_fit,
    notes_at_once,
    print_json,
    print_notes,
    print_warnings,
    reported_errors,
)
from polylogit.cli.options import (
    DataFiles,
    DataRoot,
    Drop,
    Force,
    Json,
    Limit,
    Settings,
    Target,
    check_data_root,
    dropped_columns,
    limited_reading,
    with_options,
)
from polylogit.cli.several_processes import restarted_by_torchrun
from polylogit.data.pictures.usual_model import usual_picture_model
from polylogit.data.tables.data_names import data_of_files, named_files
from polylogit.errors import RecipeError
from polylogit.plural import counted
from polylogit.recipes import (
    AutoRecipe,
    ModelKind,
    NetworkRecipe,
    Recipe,
    SolverRecipe,
    read_recipe,
    recipe_from_entries,
    shipped_recipes_by_use,
    starting_entries,
)
from polylogit.recipes.data_kinds import data_kind
from polylogit.recipes.reading import KIND_OF_TABLES
from polylogit.report.terminal_text import TerminalConsole

if TYPE_CHECKING:
    from polylogit.fitting.callbacks import TrainingCallback
    from polylogit.run import TrainingRun

__all__ = ["EPILOG", "train"]

EPILOG = "Example: polylogit train animals.csv --target type --set training.C=10\n\n\b\nRecipes of the package:\n" + (
    "\n".join(
        textwrap.fill(
            f"{use}: {', '.join(names)}", 78, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False
        )
        for use, names in shipped_recipes_by_use().items()
    )
)


def train(
    files: DataFiles,
    target: Target = None,
    model: Annotated[
        ModelKind | None,
        typer.Option(
            help="Kind of model. auto: linear, additive and mlp compared on folds of a table. linear: softmax "
            "regression. additive: softmax regression on piecewise-linear functions of the numbers of a table. mlp: "
            "multilayer perceptron. cnn, residual: convolutional networks for pictures. pretrained: softmax regression "
            "on the features of a pretrained network, for picture files. [default: auto; for pictures pretrained or "
            "cnn]"
        ),
    ] = None,
    recipe: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Recipe to start from: a .toml file, a model file (repeats its run), or the name of a recipe of the "
            "package, listed below.",
        ),
    ] = None,
    settings: Settings = None,
    drop: Drop = None,
    weight: Annotated[str | None, typer.Option(metavar="COLUMN", help="Column that holds the weight of each row.")] = (
        None
    ),
    test: Annotated[
        str | None,
        typer.Option(metavar="DATA", help="Test table: train on all rows of DATA, evaluate on the rows of this table."),
    ] = None,
    out: Annotated[
        Path | None,
        typer.Option(
            metavar="MODEL",
            help="Model file to write. [default: runs/DATA-MODEL/model.safetensors, numbered if it exists]",
        ),
    ] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE", help="Report to write: .html, .json or .md. [default: all three beside the model file]"
        ),
    ] = None,
    seed: Annotated[int | None, typer.Option(metavar="N", help="Random seed. [default: 0]")] = None,
    device: Annotated[
        Literal["auto", "cpu", "cuda", "mps"], typer.Option(help="Device that a network is fitted on.")
    ] = "auto",
    resume: Annotated[
        bool, typer.Option("--resume", help="Resume the training of a network from its last checkpoint.")
    ] = False,
    tensorboard: Annotated[
        Path | None, typer.Option(metavar="FOLDER", help="Write the training curves of a network for TensorBoard.")
    ] = None,
    data_root: DataRoot = None,
    limit: Limit = None,
    allow_download: Annotated[
        bool,
        typer.Option(
            "--allow-download",
            help="Allow to download the weights of a pretrained network that no installed package has.",
        ),
    ] = False,
    force: Force = False,
    as_json: Json = False,
) -> None:
    """Train a classifier, evaluate it on held-out rows, and save it."""
    with reported_errors(), limited_reading(limit):
        data = data_of_files(files)
        check_data_root(data, data_root)
        entries = read_recipe(recipe, settings or ())
        own = {"target": target, "drop": dropped_columns(entries, drop), "weight": weight, "test": test}
        with_options(entries, {"data": own, "model": {"kind": model}})
        if seed is not None:
            entries["seed"] = seed
        pictures = data_kind(data, entries.get("data", {}).get("path")) != "table"
        if recipe is None:
            of_networks = resume or tensorboard is not None or device in {"cuda", "mps"}
            entries = _starting_entries(data, entries, pictures=pictures, of_networks=of_networks)
        checked = recipe_from_entries(entries)
        _check_options_of_networks(checked, device=device, resume=resume, tensorboard=tensorboard)
        if out is not None and out.suffix != ".safetensors":
            raise RecipeError(f"--out {out}: expected a file name that ends in .safetensors.")
        resume = resume or restarted_by_torchrun()
        from polylogit import run

        early = notes_at_once()
        callbacks = [early, *([] if tensorboard is None else [_tensorboard(tensorboard)])]
        place = nullcontext(out) if out is not None else run.claimed_model_path(data, checked.model.kind, resume=resume)
        with place as path, live_fit("pictures" if pictures else "rows") as live:
            if resume and isinstance(checked, NetworkRecipe) and not run.checkpoint_path(path).exists():
                print_notes([f"--resume: there is no checkpoint {run.checkpoint_path(path)}, so training starts over."])
            result = run.train(
                data,
                checked,
                out=path,
                report=report or run.report_path(path),
                data_root=data_root,
                device=device,
                resume=resume,
                force=force,
                allow_download=allow_download,
                callbacks=[*callbacks, *([] if live is None else [live])],
            )
        _print_result(data, result, printed=early.printed, as_json=as_json)
        if result.interrupted:
            raise typer.Exit(130)  # so that a script does not go on as if the fit were whole; the model is kept


def _starting_entries(data: str, entries: dict[str, Any], *, pictures: bool, of_networks: bool) -> dict[str, Any]:
    """What a run starts from where no recipe is named, with a note where that decides the kind of model."""
    section = entries.get("model", {})
    if not isinstance(section, dict) or "kind" in section:
        return starting_entries(data, entries, pictures=pictures, to_train=True)
    if of_networks:
        with_options(entries, {"model": {"kind": "cnn" if pictures else "mlp"}})
        return starting_entries(data, entries, pictures=pictures)
    if not pictures:
        return _entries_of_table(data, entries)
    usual = usual_picture_model(data)
    entries = starting_entries(data, entries, pictures=pictures, usual=usual)
    if usual.reason and entries["model"]["kind"] == usual.kind:
        print_notes([usual.reason])
    return entries


def _entries_of_table(data: str, entries: dict[str, Any]) -> dict[str, Any]:
    """As `_starting_entries` for a table: the kind is left to the data, unless an option belongs to one kind."""
    started = starting_entries(data, entries, pictures=False, to_train=True)
    kind = started["model"]["kind"]
    options = sorted(f"{name}.{option}" for name, option in _of_one_kind(entries))
    if options and kind != KIND_OF_TABLES:
        with suppress(RecipeError):  # a fault is reported when the recipe is checked
            recipe_from_entries(started)
            print_notes([f"{' and '.join(options)} is not an option of every kind of model, so the model is {kind}."])
    return started


def _of_one_kind(entries: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """The options that are set of the sections whose options depend on the kind of model."""
    for name in ("model", "training"):
        section = entries.get(name)
        if isinstance(section, dict):
            yield from ((name, option) for option in section)


def _check_options_of_networks(recipe: Recipe, *, device: str, resume: bool, tensorboard: Path | None) -> None:
    """Refuse options that a linear model, or a choice among kinds, has no use for, before anything is read."""
    if isinstance(recipe, AutoRecipe):
        reasons = ["the kind of model is not known yet"] * 3
    elif isinstance(recipe, SolverRecipe):
        reasons = [
            "a linear model is fitted on the CPU",
            "a linear model keeps no checkpoint",
            "a linear model has no epochs; its history file has its iterations",
        ]
    else:
        return
    given = (device not in {"auto", "cpu"}, resume, tensorboard is not None)
    for is_given, option, reason in zip(
        given, (f"--device {device}", "--resume", "--tensorboard"), reasons, strict=True
    ):
        if is_given:
            raise RecipeError(f"{option}: {reason}. Leave the option out, or choose a network with --model.")


def _tensorboard(folder: Path) -> "TrainingCallback":
    from polylogit.fitting.tensorboard import TensorBoardFiles

    return TensorBoardFiles(folder)


def _print_result(data: str, result: "TrainingRun", *, printed: Collection[str], as_json: bool) -> None:
    if not result.whole:
        print_notes([f"{result.fit_message} The model can be used as it is."])
    print_notes(note for note in result.notes if note not in printed)
    if result.replaced:
        print_notes([f"replaced files of an earlier run: {', '.join(map(str, result.replaced))}."])
    print_warnings(() if result.audit is None else result.audit.of("warning"))
    if as_json:
        print_json(result.as_json())
        return
    from polylogit.report.terminal import conclusion_lines, evaluation_tables, summary_table
    from polylogit.report.words import calibration_in_short

    console, recipe = TerminalConsole(), result.recipe
    trained_on = result.classifier.trained_on
    weighted = "" if recipe.data.weight is None else f', weighted by "{recipe.data.weight}"'
    in_full = result.whole or isinstance(recipe, SolverRecipe)  # whose epochs are those of one part of the fit
    ended = result.fit_message if in_full else f"stopped after {counted(result.epochs, 'epoch')}."
    console.print(
        f"{data}: {counted(trained_on.rows_train, 'training row')}, {counted(trained_on.rows_test, 'test row')}, "
        f"{counted(len(result.classifier.class_names), 'class', 'classes')}{weighted}\n{recipe.model.kind}: {ended}\n"
        + ("" if result.penalty is None else f"{result.penalty.in_words}\n")
    )
    if result.selection is not None:
        from polylogit.report.terminal import contest_table

        console.print(contest_table(result.selection.as_json()["candidates"]))
        console.print(f"{result.selection.in_words}\n")
    if result.cross_validation is not None:
        from polylogit.run.cross_validation import cross_validation_summary

        console.print(f"{cross_validation_summary(result.cross_validation, trained_on.rows_test)}\n")
    if result.test is None:
        console.print("No test set: these are training metrics and are optimistic.\n")
        console.print(summary_table(result.train))
    else:
        console.print(evaluation_tables(result.test, result.train))
    effect = "" if result.effect is None else f" {result.effect.sentence()}"
    console.print(f"\n{calibration_in_short(result.calibration)}{effect}")
    if result.decisions is not None:
        console.print(f"\n{result.decisions.sentence()}")
    if result.sets is not None:
        console.print(f"\nPrediction sets: {result.sets.sentence()}")
    elif result.test is not None:
        console.print(
            "\nPrediction sets: none, because no rows are held out to set their threshold. "
            "prediction_sets.held_out_fraction holds some out."
        )
    if result.conclusions:
        console.print("")
        console.print(conclusion_lines(result.conclusions))
    console.print(
        f"\nmodel    {result.model_path}\nhistory  {result.history_path}\n"
        f"report   {result.report_path or 'none, because no rows are held out'}"
        f"\n\nNext: {shlex.join(['polylogit', 'predict', str(result.model_path), *named_files(data)])}",
        soft_wrap=True,
    )
