"""The recipe of a training run: every option there is, checked all at once.

A recipe is closed: an option that is not named here is refused. Owns the options, their ranges and defaults, and the
three places that they come from: a TOML file, a model file (which keeps the recipe that made it) and `--set`. It does
not act on any of them, and stays free of torch.
"""

import re
import tomllib
from collections.abc import Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, Field, ValidationError, model_validator

from polylogit.data.tables.column_types import asked_reading
from polylogit.errors import RecipeError, did_you_mean
from polylogit.model_header import read_header
from polylogit.recipes.sections import (
    AugmentationRecipe,
    CnnModel,
    LinearModel,
    MlpModel,
    MlpTraining,
    PictureTraining,
    ResidualModel,
    Section,
)

__all__ = [
    "CalibrationRecipe",
    "CnnRecipe",
    "CrossValidationRecipe",
    "DataRecipe",
    "LinearRecipe",
    "MlpRecipe",
    "NetworkRecipe",
    "Recipe",
    "ResidualRecipe",
    "TrainingRecipe",
    "read_recipe",
    "recipe_from_entries",
    "shipped_recipes",
    "shipped_recipes_by_use",
    "starting_entries",
]

_SHIPPED = Path(__file__).parent / "shipped"


def _column_words(words: str) -> str:
    asked_reading(words)
    return words


def _no_name_twice(names: tuple[str, ...]) -> tuple[str, ...]:
    twice = next((name for index, name in enumerate(names) if name in names[:index]), None)
    if twice is not None:
        raise ValueError(f'"{twice}" stands there twice')
    return names


def _folds(folds: int) -> int:
    if folds == 1:
        raise ValueError("one fold would leave nothing to train on; 0 switches cross-validation off")
    return folds


def _encoding_name(name: str) -> str:
    try:
        b"".decode(name)
    except LookupError:
        raise ValueError("no text encoding of that name is known") from None
    return name


ClassName = Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)]


class DataRecipe(Section):
    """What to take from the data, and what to hold out."""

    target: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="The column of the classes. The bundled data know theirs."
    )
    classes: Annotated[tuple[ClassName, ...], Field(min_length=2), AfterValidator(_no_name_twice)] | None = Field(
        default=None,
        description="The classes to tell apart, in the order they are counted in; rows of others are left out. Left "
        "out: all, in order.",
    )
    drop: tuple[str, ...] = Field(default=(), description="Columns to leave out.")
    columns: dict[str, Annotated[str, AfterValidator(_column_words)]] = Field(
        default_factory=dict,
        description="The types of columns by name: number, boolean, category, date, date:FORMAT; found if not given.",
    )
    number_values: Literal["standardised", "raw"] = Field(
        default="standardised",
        description="standardised: mean 0 and deviation 1 in each column of numbers or booleans. raw: as they stand.",
    )
    free_text: Literal["refuse", "drop"] = Field(
        default="refuse", description="What to do with columns that cannot be used: free text, empty or nested ones."
    )
    separator: Annotated[str, Field(min_length=1, max_length=1)] | None = Field(
        default=None, description="What stands between the cells of a text table. Found in the header if not given."
    )
    encoding: Annotated[str, AfterValidator(_encoding_name)] = Field(
        default="utf-8", description="Of text tables, where they are neither UTF-8 nor UTF-16."
    )
    weight: str | None = Field(
        default=None,
        description="A column that says how much each row counts in the fit and in every figure; 0: not at all.",
    )
    group: str | None = Field(
        default=None, description="A column whose rows of one value stay together when rows are held out."
    )
    time: str | None = Field(default=None, description="A column by which the newest rows are held out.")
    split: str | None = Field(default=None, description="A column that says train or test for every row.")
    test: Annotated[str, Field(min_length=1)] | None = Field(
        default=None, description="A second table whose rows judge what is trained on all rows of the first."
    )
    test_fraction: float = Field(
        default=0.2, ge=0, lt=1, description="The share of rows held out for the judgement; 0: none, and none is made."
    )
    picture_size: Annotated[int, Field(ge=1)] | None = Field(
        default=None,
        description="Height and width that picture files are brought to. Left out: as they are where all are alike and "
        "small, else 64.",
    )
    pictures_in_memory: Literal["auto", "always", "never"] = Field(
        default="auto",
        description="Whether a folder's pictures are read once and kept, or again for every batch. auto: kept where "
        "they fit into memory twice. The same model comes out.",
    )
    picture_values: Literal["standardised", "unit"] = Field(
        default="standardised",
        description="standardised: mean 0 and deviation 1 in each channel of the training pictures. unit: from 0 to 1.",
    )

    @model_validator(mode="after")
    def _one_way_to_split(self) -> "DataRecipe":
        named = [name for name in ("group", "time", "split", "test") if getattr(self, name) is not None]
        if len(named) > 1:
            raise ValueError(f"rows are split in one way only, but {' and '.join(named)} are given")
        return self


class TrainingRecipe(Section):
    """How the weights of a linear model are found."""

    C: float = Field(
        default=1.0, gt=0, description="Inverse strength of the penalty, as scikit-learn's: C * losses + |weights|²/2."
    )
    class_weight: Literal["none", "balanced"] = Field(
        default="none", description="balanced: every class counts alike, however many rows it has."
    )
    tolerance: float = Field(
        default=1e-6, gt=0, lt=1, description="Stop when the objective is certified to be this near its optimum."
    )
    epochs: int = Field(default=1000, ge=1, description="The most outer iterations of the solver.")


class CalibrationRecipe(Section):
    """How the probabilities are made believable."""

    method: Literal["temperature", "vector", "none"] = Field(
        default="temperature",
        description="temperature: one number, fitted on training rows that the model behind it has not seen. vector: a "
        "scale and a bias for each class besides, where these rows show that it helps.",
    )


class CrossValidationRecipe(Section):
    """How a small table is judged: by folds of all its rows, beside the rows held out."""

    folds: Annotated[int, Field(ge=0), AfterValidator(_folds)] | None = Field(
        default=None,
        description="Into how many parts the rows are dealt; 0: none. Left out: 5 for a linear model of a table of "
        "fewer than 1,000 rows.",
    )
    repeats: int = Field(default=5, ge=1, description="How often the rows are dealt anew.")


class RecipeBase(Section):
    """What the recipes of all kinds of model have in common."""

    seed: int = Field(default=0, ge=0, lt=2**63, description="Of every random draw.")
    data: DataRecipe = DataRecipe()
    calibration: CalibrationRecipe = CalibrationRecipe()

    def as_entries(self) -> dict[str, Any]:
        """The whole recipe as plain data, with every default written out."""
        return self.model_dump(mode="json", exclude_none=True)


class LinearRecipe(RecipeBase):
    """The recipe of a linear model."""

    model: LinearModel = LinearModel()
    training: TrainingRecipe = TrainingRecipe()
    cross_validation: CrossValidationRecipe = CrossValidationRecipe()


class MlpRecipe(RecipeBase):
    """The recipe of an MLP."""

    model: MlpModel = MlpModel()
    training: MlpTraining = MlpTraining()
    cross_validation: CrossValidationRecipe = CrossValidationRecipe()
    augmentation: AugmentationRecipe = AugmentationRecipe()


class CnnRecipe(RecipeBase):
    """The recipe of a plain convolutional network."""

    model: CnnModel = CnnModel()
    training: PictureTraining = PictureTraining()
    augmentation: AugmentationRecipe = AugmentationRecipe()


class ResidualRecipe(RecipeBase):
    """The recipe of a residual network."""

    model: ResidualModel = ResidualModel()
    training: PictureTraining = PictureTraining()
    augmentation: AugmentationRecipe = AugmentationRecipe()


NetworkRecipe = MlpRecipe | CnnRecipe | ResidualRecipe
"""The recipe of a network that is fitted step by step."""

Recipe = LinearRecipe | NetworkRecipe
"""The recipe of any model."""

_OF_KIND: Mapping[str, type[Recipe]] = {
    "linear": LinearRecipe,
    "mlp": MlpRecipe,
    "cnn": CnnRecipe,
    "residual": ResidualRecipe,
}


def recipe_from_entries(entries: Mapping[str, Any]) -> Recipe:
    """The recipe that nested options describe, of the kind that `model.kind` names; all faults are reported at once.

    Args:
        entries: As a TOML file gives them; what is left out takes its default.

    Returns:
        The recipe.

    Raises:
        RecipeError: Options are unknown or out of range: one line for each.

    Example:
        >>> recipe = recipe_from_entries({"training": {"C": 10.0}})
        >>> recipe.training.C, recipe.data.test_fraction
        (10.0, 0.2)
        >>> recipe_from_entries({"model": {"kind": "mlp"}}).model.hidden
        (256,)
        >>> recipe_from_entries({"trianing": {}})
        Traceback (most recent call last):
        ...
        polylogit.errors.RecipeError: the recipe has 1 fault:
          trianing: there is no such option. Did you mean "training"?
    """
    kind = _class_of(entries)
    try:
        return kind.model_validate(entries)
    except ValidationError as fault:
        lines = [_told(kind, error["type"], error["loc"], error["msg"], error["input"]) for error in fault.errors()]
        count = "1 fault" if len(lines) == 1 else f"{len(lines)} faults"
        raise RecipeError(f"the recipe has {count}:\n" + "\n".join(f"  {line}" for line in lines)) from None


def _class_of(entries: Mapping[str, Any]) -> type[Recipe]:
    """The class for the kind that the entries name; what is wrong with them is told later."""
    section = entries.get("model")
    kind = section.get("kind", "linear") if isinstance(section, Mapping) else "linear"
    return _OF_KIND.get(kind, LinearRecipe) if isinstance(kind, str) else LinearRecipe


def shipped_recipes() -> tuple[str, ...]:
    """The names of the recipes that come with the package."""
    return tuple(sorted(file.stem for file in _SHIPPED.glob("*.toml")))


def shipped_recipes_by_use() -> dict[str, tuple[str, ...]]:
    """The names of the recipes that come with the package, by what they are for.

    Returns:
        Names by their use in words, the usual ones first.

    Example:
        >>> shipped_recipes_by_use()["taken for the data of that name"]
        ('mnist', 'fashion-mnist')
    """
    usual = {
        "taken for the data of that name": ("mnist", "fashion-mnist"),
        "clothes sooner, or better": ("fashion-fast", "fashion-best"),
    }
    return {**usual, "the lessons'": tuple(name for name in shipped_recipes() if name not in chain(*usual.values()))}


def starting_entries(data: str, entries: Mapping[str, Any], *, pictures: bool) -> dict[str, Any]:
    """What the entries start from where a person has named no recipe: what is known to suit the data.

    Args:
        data: What stands for DATA on the command line.
        entries: What the person has set; a kind of model named there is respected.
        pictures: Whether the data are pictures.

    Returns:
        The entries of the shipped recipe of that name, if its kind is the one wanted, else for pictures the kind
        "cnn"; with the person's own entries over them.

    Example:
        >>> starting_entries("holiday", {}, pictures=True)
        {'model': {'kind': 'cnn'}}
        >>> starting_entries("zoo", {"seed": 1}, pictures=False)
        {'seed': 1}
    """
    start: dict[str, Any] = {"model": {"kind": "cnn"}} if pictures else {}
    if data in shipped_recipes():
        start = read_recipe(Path(data))
    section = entries.get("model")
    wanted = section.get("kind") if isinstance(section, Mapping) else None
    if wanted is not None and wanted != start.get("model", {}).get("kind"):
        start = {}
    return _merged(start, entries)


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
    elif source is not None:
        if source.name in shipped_recipes() and str(source) == source.name and not source.exists():
            source = _SHIPPED / f"{source}.toml"
        try:
            entries = tomllib.loads(source.read_text(encoding="utf-8"))
        except OSError as fault:
            hint = did_you_mean(str(source), shipped_recipes()) if not source.suffix else ""
            raise RecipeError(f"{source}: the recipe cannot be read ({fault.strerror}).{hint}") from fault
        except (tomllib.TOMLDecodeError, UnicodeDecodeError) as fault:
            raise RecipeError(f"{source}: not a TOML file: {fault}.") from fault
    for setting in settings:
        name, equals, text = setting.partition("=")
        path = _path(name.strip())
        if not equals or not all(path):
            raise RecipeError(f'--set {setting}: expected section.option=value, as in "training.C=10".')
        _put(entries, path, _value(text.strip()))
    return entries


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


def _told(recipe: type[BaseModel], kind: str, place: Sequence[int | str], message: str, came: object) -> str:
    name = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        section: type[BaseModel] = recipe
        for part in place[:-1]:
            annotation = section.model_fields[str(part)].annotation
            section = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else section
        return f"{name}: there is no such option.{did_you_mean(str(place[-1]), section.model_fields)}"
    message = message.removeprefix("Value error, ")
    return f"{name}: {message[0].lower()}{message[1:]}, got {came!r}."
