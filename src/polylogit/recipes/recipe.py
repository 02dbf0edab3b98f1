"""The recipe of a training run: every option that there is, checked as a whole.

See also: `polylogit.recipes.reading` for the files and settings that a recipe is read from. Imports no torch.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, Field, ValidationError

from polylogit.errors import RecipeError, did_you_mean
from polylogit.recipes.data_section import DataRecipe
from polylogit.recipes.sections import (
    AugmentationRecipe,
    CalibrationRecipe,
    CnnModel,
    CrossValidationRecipe,
    LinearModel,
    MlpModel,
    MlpTraining,
    PictureTraining,
    ResidualModel,
    Section,
    TrainingRecipe,
)

__all__ = [
    "CnnRecipe",
    "LinearRecipe",
    "MlpRecipe",
    "NetworkRecipe",
    "Recipe",
    "ResidualRecipe",
    "recipe_from_entries",
]


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
