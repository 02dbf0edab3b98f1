"""The recipe of a training run: every option that there is, checked as a whole.

See also: `polylogit.recipes.reading` for the files and settings that a recipe is read from. Imports no torch.
"""

import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, Field, ValidationError

from polylogit.errors import RecipeError, did_you_mean
from polylogit.recipes.data_kinds import OF_PICTURES, OF_TABLES, options_of
from polylogit.recipes.data_section import DataRecipe
from polylogit.recipes.sections import (
    AdditiveModel,
    AugmentationRecipe,
    AutoModel,
    AutoReference,
    AutoTraining,
    CalibrationRecipe,
    CnnModel,
    CrossValidationRecipe,
    DecisionRecipe,
    LinearModel,
    MlpOfRecipe,
    MlpTraining,
    PictureTraining,
    PredictionSetsRecipe,
    PretrainedModel,
    PretrainedTraining,
    ResidualModel,
    Section,
    TrainingRecipe,
)

__all__ = [
    "RECIPES",
    "AdditiveRecipe",
    "AutoRecipe",
    "CnnRecipe",
    "LinearRecipe",
    "MlpRecipe",
    "ModelKind",
    "NetworkRecipe",
    "PretrainedRecipe",
    "Recipe",
    "ResidualRecipe",
    "SolverRecipe",
    "recipe_from_entries",
]


class RecipeBase(Section):
    """What the recipes of all kinds of model have in common."""

    seed: int = Field(default=0, ge=0, lt=2**63, description="Random seed.")
    data: DataRecipe = DataRecipe()
    calibration: CalibrationRecipe = CalibrationRecipe()
    prediction_sets: PredictionSetsRecipe = PredictionSetsRecipe()
    decision: DecisionRecipe = DecisionRecipe()

    def as_entries(self) -> dict[str, Any]:
        """The whole recipe as plain data, with every default written out."""
        return self.model_dump(mode="json", exclude_none=True)


class SolverRecipeBase(RecipeBase):
    """What the recipes of the models have in common that the exact solver fits."""

    training: TrainingRecipe = TrainingRecipe()
    cross_validation: Annotated[CrossValidationRecipe, OF_TABLES] = CrossValidationRecipe()


class LinearRecipe(SolverRecipeBase):
    """The recipe of a linear model."""

    model: LinearModel = LinearModel()


class AdditiveRecipe(SolverRecipeBase):
    """The recipe of an additive model."""

    model: AdditiveModel = AdditiveModel()


class PretrainedRecipe(SolverRecipeBase):
    """The recipe of a linear model on the features of a pretrained network."""

    model: PretrainedModel = PretrainedModel()
    training: PretrainedTraining = PretrainedTraining()
    cross_validation: CrossValidationRecipe = CrossValidationRecipe()


class AutoRecipe(RecipeBase):
    """The recipe of a table whose kind of model is chosen from the data."""

    model: AutoModel = AutoModel()
    auto: AutoReference = AutoReference()
    training: AutoTraining = AutoTraining()
    cross_validation: Annotated[CrossValidationRecipe, OF_TABLES] = CrossValidationRecipe()


class MlpRecipe(RecipeBase):
    """The recipe of an MLP."""

    model: MlpOfRecipe = MlpOfRecipe()
    training: MlpTraining = MlpTraining()
    cross_validation: Annotated[CrossValidationRecipe, OF_TABLES] = CrossValidationRecipe()
    augmentation: Annotated[AugmentationRecipe, OF_PICTURES] = AugmentationRecipe()


class CnnRecipe(RecipeBase):
    """The recipe of a plain convolutional network."""

    model: CnnModel = CnnModel()
    training: PictureTraining = PictureTraining()
    augmentation: Annotated[AugmentationRecipe, OF_PICTURES] = AugmentationRecipe()


class ResidualRecipe(RecipeBase):
    """The recipe of a residual network."""

    model: ResidualModel = ResidualModel()
    training: PictureTraining = PictureTraining()
    augmentation: Annotated[AugmentationRecipe, OF_PICTURES] = AugmentationRecipe()


SolverRecipe = LinearRecipe | AdditiveRecipe | PretrainedRecipe
"""The recipe of a model that the exact solver fits."""

NetworkRecipe = MlpRecipe | CnnRecipe | ResidualRecipe
"""The recipe of a network that is fitted step by step."""

Recipe = AutoRecipe | SolverRecipe | NetworkRecipe
"""The recipe of any model."""

ModelKind = Literal["auto", "linear", "additive", "pretrained", "mlp", "cnn", "residual"]
"""The kinds of model, for the command line."""

RECIPES: Mapping[str, type[Recipe]] = {recipe().model.kind: recipe for recipe in get_args(Recipe)}
"""The class of the recipe for each kind of model."""


_ALTERNATIVE = re.compile(r"constrained-\w+|(literal|tuple)\[.*\]")
"""What pydantic calls the types of an option that may be of several, behind the name of the option."""


def recipe_from_entries(entries: Mapping[str, Any]) -> Recipe:
    """The recipe that nested options describe, of the kind that `model.kind` names.

    Args:
        entries: As a TOML file gives them; what is left out takes its default.

    Returns:
        The recipe.

    Raises:
        RecipeError: Options are unknown or out of range; the message names all of them, one a line.

    Example:
        >>> recipe = recipe_from_entries({"training": {"C": 10.0}})
        >>> recipe.training.C, recipe.data.test_fraction
        (10.0, 0.2)
        >>> recipe_from_entries({"model": {"kind": "mlp"}}).model.hidden
        (256,)
        >>> recipe_from_entries({"C": 10.0})
        Traceback (most recent call last):
        ...
        polylogit.errors.RecipeError: the recipe has 1 fault:
          C: there is no such option. Did you mean "training.C"?
    """
    kind, faults = _kind(entries)
    recipe = RECIPES[kind]
    if faults:  # the other options are checked as those of the default kind
        section = {name: value for name, value in entries["model"].items() if name != "kind"}
        entries = {**entries, "model": section}
    try:
        valid = recipe.model_validate(entries)
    except ValidationError as error:
        faults += _faults(recipe, error)
    if faults:
        count = "1 fault" if len(faults) == 1 else f"{len(faults)} faults"
        raise RecipeError(f"the recipe has {count}:\n" + "\n".join(f"  {fault}" for fault in faults)) from None
    return valid


def _kind(entries: Mapping[str, Any]) -> tuple[str, list[str]]:
    """The kind of model that the entries name, else the default kind; and what is wrong with the name."""
    section = entries.get("model")
    if not isinstance(section, Mapping) or "kind" not in section:
        return "linear", []
    kind = section["kind"]
    if isinstance(kind, str) and kind in RECIPES:
        return kind, []
    expected = ", ".join(RECIPES)
    hint = did_you_mean(kind, RECIPES) if isinstance(kind, str) else ""
    return "linear", [f"model.kind: expected one of {expected}, got {kind!r}.{hint if 'mean' in hint else ''}"]


def _faults(recipe: type[BaseModel], error: ValidationError) -> list[str]:
    """A sentence for each option at fault; one that may be of several types has one with what each of them asks."""
    found: dict[tuple[int | str, ...], list[tuple[str, str, object]]] = {}
    for each in error.errors():
        place = tuple(part for part in each["loc"] if not _ALTERNATIVE.fullmatch(str(part)))
        found.setdefault(place, []).append((each["type"], each["msg"], each["input"]))
    return [
        _fault(recipe, kind, place, message + "".join(f", or {_in_a_sentence(other)}" for _, other, _ in others), came)
        for place, ((kind, message, came), *others) in found.items()
    ]


def _in_a_sentence(message: str) -> str:
    message = message.removeprefix("Value error, ")
    return f"{message[0].lower()}{message[1:]}"


def _fault(recipe: type[BaseModel], kind: str, place: Sequence[int | str], message: str, came: object) -> str:
    """One fault of a recipe as a sentence that names the option."""
    name = ".".join(str(part) for part in place)
    if kind == "extra_forbidden":
        section: type[BaseModel] = recipe
        for part in place[:-1]:
            annotation = section.model_fields[str(part)].annotation
            section = annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else section
        option = str(place[-1])
        elsewhere = [known for known in options_of(recipe) if known.rpartition(".")[2] == option]
        known_here = elsewhere or list(section.model_fields)
        return f"{name}: there is no such option.{did_you_mean(elsewhere[0] if elsewhere else option, known_here)}"
    return f"{name}: {_in_a_sentence(message)}, got {came!r}."
