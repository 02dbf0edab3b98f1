"""Where the options of a recipe come from: a TOML file, a model file, a recipe of the package, and `--set`.

See also: `polylogit.recipes.recipe`, which checks what is read here. Imports no torch.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Any

from polylogit.data.pictures.usual_model import UsualModel, usual_picture_model
from polylogit.errors import ModelFileError, RecipeError, did_you_mean
from polylogit.model_header import read_header
from polylogit.recipes.data_kinds import options_of
from polylogit.recipes.decision_files import read_costs, read_shares
from polylogit.recipes.recipe import RECIPES, recipe_from_entries
from polylogit.system.regular_file import check_regular

__all__ = ["KIND_OF_TABLES", "read_recipe", "shipped_recipes", "shipped_recipes_by_use", "starting_entries"]

_SHIPPED = Path(__file__).parent / "shipped"
_OF_GREY_PICTURES = "grey-pictures"
_OF_COLOUR_PICTURES = "colour-pictures"


def shipped_recipes() -> tuple[str, ...]:
    """The names of the recipes that come with the package."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob("*.toml")))


def shipped_recipes_by_use() -> dict[str, tuple[str, ...]]:
    """The names of the recipes that come with the package, by what they are for.

    Returns:
        Names by their use in words, the usual ones first.

    Example:
        >>> shipped_recipes_by_use()["used for the data set of that name"]
        ('mnist', 'fashion-mnist')
    """
    usual = {
        "used for the data set of that name": ("mnist", "fashion-mnist"),
        "used for other grey pictures": (_OF_GREY_PICTURES,),
        "used for few colour pictures": (_OF_COLOUR_PICTURES,),
        "Fashion-MNIST, faster or more accurate": ("fashion-fast", "fashion-best"),
        "used for an MLP of a table": ("table-mlp",),
    }
    return {**usual, "lessons": tuple(name for name in shipped_recipes() if name not in chain(*usual.values()))}


MLP_OF_TABLES = "table-mlp"
"""The shipped recipe that an MLP of a table starts from."""

KIND_OF_TABLES = "auto"
"""What the command line trains on a table where no kind of model is named."""


def starting_entries(
    data: str,
    entries: Mapping[str, Any],
    *,
    pictures: bool,
    to_train: bool = False,
    usual: UsualModel | None = None,
) -> dict[str, Any]:
    """What the entries start from where a person has named no recipe: what is known to suit the data.

    Args:
        data: What stands for DATA on the command line.
        entries: What the person has set; a kind of model named there is respected.
        pictures: Whether the data are pictures.
        to_train: Whether a model is to be trained, so that its kind may be left to the data.
        usual: What `usual_picture_model` finds, where it is known already: a folder is looked through only once.

    Returns:
        The entries of the shipped recipe of that name, if its kind is the one wanted, else for pictures the kind
        that `usual_picture_model` finds, or "cnn" where an entry applies to networks only; under a cnn of grey pictures
        the recipe "grey-pictures", unless an option of the network is set; for a table to train on "auto", or where an
        entry applies to some kinds only the first of linear, additive and mlp that has it, and under an mlp the recipe
        "table-mlp"; with the person's own entries over them.

    Example:
        >>> starting_entries("mnist-like", {}, pictures=True)
        {'model': {'kind': 'cnn'}}
        >>> starting_entries("zoo", {"seed": 1}, pictures=False)
        {'seed': 1}
        >>> starting_entries("zoo", {"training": {"C": 1}}, pictures=False, to_train=True)
        {'model': {'kind': 'linear'}, 'training': {'C': 1}}
    """
    if to_train and not pictures:
        return _merged(_start_of_table(entries), entries)
    start: dict[str, Any] = {}
    section = entries.get("model")
    wanted = section.get("kind") if isinstance(section, Mapping) else None
    if data in shipped_recipes():
        start = read_recipe(Path(data))
    elif pictures and wanted in (None, "cnn"):
        usual = usual or usual_picture_model(data)
        start = {"model": {"kind": wanted or _picture_kind(usual, entries)}}
        plain = section is None or (isinstance(section, Mapping) and set(section) <= {"kind"})
        if plain and start["model"]["kind"] == "cnn":
            start = _of_gradients(usual, entries) or start
    if wanted is not None and wanted != start.get("model", {}).get("kind"):
        start = {}
    return _merged(start, entries)


def _of_gradients(usual: UsualModel, entries: Mapping[str, Any]) -> dict[str, Any] | None:
    """The recipe for grey or for few colour pictures, with cells of the right size; None for other pictures."""
    size = _section(entries, "data").get("picture_size")
    cell = usual.gradient_cell(size)
    if cell is None:
        return None
    if usual.grey_side is not None:
        return _merged(read_recipe(Path(_OF_GREY_PICTURES)), {"model": {"cell": cell}})
    own = {"model": {"cell": cell}, "augmentation": {"shift": usual.shift(size)}}
    start = _merged(read_recipe(Path(_OF_COLOUR_PICTURES)), own)
    if usual.has_validation or _section(entries, "training").get("patience"):  # both need validation rows
        del start["training"]["validation_fraction"]
    return start


def _section(entries: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """A section of the entries; empty where there is none, or something else, which is refused later."""
    section = entries.get(name)
    return section if isinstance(section, Mapping) else {}


def _picture_kind(usual: UsualModel, entries: Mapping[str, Any]) -> str:
    try:
        recipe_from_entries(_merged({"model": {"kind": usual.kind}}, entries))
    except RecipeError:  # what is set belongs to a network, or is at fault: then the message speaks of the network
        return "cnn"
    return usual.kind


def _table_kind(entries: Mapping[str, Any]) -> str:
    """The usual kind, or the first that takes all options that are set; where none does, one that knows most of them.

    So the message on a wrong value speaks of the option, and not of a kind that has no such option.
    """
    for kind in (KIND_OF_TABLES, "linear", "additive", "mlp"):
        try:
            recipe_from_entries(_merged({"model": {"kind": kind}}, entries))
        except RecipeError:
            continue
        return kind
    named = {f"{section}.{option}" for section, set_ in entries.items() if isinstance(set_, Mapping) for option in set_}
    return max(
        ("linear", "additive", "mlp", KIND_OF_TABLES), key=lambda kind: len(named & set(options_of(RECIPES[kind])))
    )


def _start_of_table(entries: Mapping[str, Any]) -> dict[str, Any]:
    """The kind of model of a table, with what suits tables where it is an mlp."""
    section = entries.get("model")
    named = section if isinstance(section, Mapping) else {}
    kind = named.get("kind", _table_kind(entries))
    if kind != "mlp":
        return {"model": {"kind": kind}}
    start = read_recipe(Path(MLP_OF_TABLES))
    if "hidden" in named:  # members divide one hidden layer; another shape is one network
        del start["model"]["members"]
    fit = entries.get("training")
    if isinstance(fit, Mapping) and fit.get("patience"):  # early stopping needs validation rows
        del start["training"]["validation_fraction"]
    return start


def _merged(under: Mapping[str, Any], over: Mapping[str, Any]) -> dict[str, Any]:
    merged = dict(under)
    for name, value in over.items():
        before = merged.get(name)
        if isinstance(before, Mapping) and isinstance(value, Mapping):
            merged[name] = _merged(before, value)
        else:
            merged[name] = value
    return merged


def read_recipe(source: Path | None = None, settings: Sequence[str] = ()) -> dict[str, Any]:
    """The entries of a recipe file, with settings put over them.

    Args:
        source: A TOML file; or a model file, whose own recipe is taken; or the name of a shipped recipe.
        settings: Texts `section.option=value`, the value written as in TOML; a bare word is text.

    Returns:
        Nested entries for `Recipe.from_entries`; nothing is checked against the options yet.

    Raises:
        RecipeError: The file cannot be read or is not TOML, or a setting has no `=`.
        ModelFileError: The model file cannot be read.

    Example:
        >>> read_recipe(settings=["training.C=10", "data.target=type"])
        {'training': {'C': 10}, 'data': {'target': 'type'}}
        >>> read_recipe(settings=['data.columns."no. of legs"=category'])
        {'data': {'columns': {'no. of legs': 'category'}}}
    """
    entries: dict[str, Any] = {}
    if source is not None and source.suffix == ".safetensors":
        entries = dict(read_header(source).recipe)
        try:
            recipe_from_entries(entries)
        except RecipeError as fault:
            raise ModelFileError(f"{source}: the recipe in the model file is at fault: {fault}") from fault
    elif source is not None:
        if source.name in shipped_recipes() and str(source) == source.name and not source.exists():
            source = _SHIPPED / f"{source}.toml"
        try:
            check_regular(source)
            entries = tomllib.loads(source.read_text(encoding="utf-8"))
        except OSError as fault:
            hint = did_you_mean(str(source), shipped_recipes()) if not source.suffix else ""
            raise RecipeError(f"{source}: the recipe cannot be read ({fault.strerror}).{hint}") from fault
        except (tomllib.TOMLDecodeError, UnicodeDecodeError, RecursionError) as fault:
            raise RecipeError(f"{source}: not a TOML file: {fault}.") from fault
        _read_decision_files(entries)
    for setting in settings:
        name, equals, text = setting.partition("=")
        path = _path(name.strip())
        if not equals or not all(path):
            raise RecipeError(f'--set {setting}: expected section.option=value, as in "training.C=10".')
        _put(entries, path, _value(text.strip()))
        if path[0] == "decision":
            _read_decision_files(entries)
    return entries


def _read_decision_files(entries: dict[str, Any]) -> None:
    """Replace the names of files of costs and shares by their content, so that the recipe is complete without them.

    Only for what the user wrote: a model file never makes another file be read.
    """
    section = entries.get("decision")
    if not isinstance(section, dict):
        return
    for option, read in (("costs", read_costs), ("prior", read_shares)):
        if isinstance(section.get(option), str):
            section[option] = read(Path(section[option]))


def _path(name: str) -> list[str]:
    """The parts of a dotted name; a part in quotation marks, say a column's name, may hold anything."""
    return [part.strip('"') for part in re.findall(r'(?:^|(?<=\.))("[^"]*"|[^."]*)(?=\.|$)', name)]


def _put(entries: dict[str, Any], path: Sequence[str], value: object) -> None:
    for key in path[:-1]:
        section = entries.setdefault(key, {})
        if not isinstance(section, dict):
            raise RecipeError(f"--set {'.'.join(path)}: {key} is an option, not a section.")
        entries = section
    entries[path[-1]] = value


def _value(text: str) -> object:
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text
