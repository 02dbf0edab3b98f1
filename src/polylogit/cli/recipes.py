"""The commands `polylogit recipes list|show|validate|schema` and `polylogit init`."""

import shlex
from pathlib import Path
from typing import Annotated

import typer

from polylogit.cli.console import print_json, reported_errors
from polylogit.cli.options import Data, Settings, Target, with_options
from polylogit.data.tables.data_names import named_files
from polylogit.errors import PolylogitError
from polylogit.recipes import ModelKind, read_recipe, recipe_from_entries, shipped_recipes_by_use, starting_entries
from polylogit.recipes.data_kinds import check_options_apply, data_kind

__all__ = ["init", "recipes"]

recipes = typer.Typer(help="List, show and validate recipes.", no_args_is_help=True, rich_markup_mode=None)

Source = Annotated[
    Path, typer.Argument(metavar="RECIPE", help="A .toml file, a model file, or the name of a recipe of the package.")
]


@recipes.command("list")
def list_recipes() -> None:
    """List the recipes of the package by use."""
    with reported_errors():
        for use, names in shipped_recipes_by_use().items():
            typer.echo(f"{use}:")
            for name in names:
                typer.echo(f"  {name}")


@recipes.command("show")
def show(source: Source, settings: Settings = None) -> None:
    """Show a recipe with every option, as TOML."""
    with reported_errors():
        from polylogit.recipes.toml_text import recipe_toml

        typer.echo(recipe_toml(recipe_from_entries(read_recipe(source, settings or ())).as_entries()), nl=False)


@recipes.command("validate")
def validate(
    source: Source,
    data: Annotated[
        str | None, typer.Option(metavar="DATA", help="Check that the options apply to this kind of data too.")
    ] = None,
    settings: Settings = None,
) -> None:
    """Check a recipe without training. The exit status is 2 if it is not valid."""
    with reported_errors():
        recipe = recipe_from_entries(read_recipe(source, settings or ()))
        if data is not None:
            check_options_apply(recipe, data_kind(data, recipe.data.path), data)
        typer.echo(f"{source}: valid, a recipe of kind {recipe.model.kind}", err=True)


@recipes.command("schema")
def schema() -> None:
    """Print the JSON schema of recipes, for editors."""
    with reported_errors():
        from polylogit.recipes.toml_text import recipe_schema

        print_json(recipe_schema())


def init(
    data: Data,
    target: Target = None,
    model: Annotated[ModelKind | None, typer.Option(help="Kind of model, as for train.")] = None,
    out: Annotated[Path, typer.Option(metavar="FILE", help="Recipe to write.")] = Path("recipe.toml"),
    settings: Settings = None,
) -> None:
    """Write a recipe for DATA in which every option that applies is described. Replaces no file."""
    with reported_errors():
        from polylogit.recipes.toml_text import commented_recipe
        from polylogit.system.atomic_file import atomic_write

        entries = with_options(
            read_recipe(None, settings or ()), {"data": {"target": target}, "model": {"kind": model}}
        )
        kind = data_kind(data, entries.get("data", {}).get("path"))
        recipe = recipe_from_entries(starting_entries(data, entries, pictures=kind != "table", to_train=True))
        check_options_apply(recipe, kind, data)
        if out.exists():
            raise PolylogitError(f"{out}: there is such a file already. Name another with --out.")
        with atomic_write(out) as temporary:
            temporary.write_text(commented_recipe(recipe, kind), encoding="utf-8")
        command = shlex.join(["polylogit", "train", *named_files(data), "--recipe", str(out)])
        typer.echo(f"{out}: edit it, then run: {command}", err=True)
