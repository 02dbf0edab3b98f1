"""Mutated model files: other values in the header, other tensors, another table of tensors, other bytes.

The digest is made right again for most of them, because a hostile writer can do so too.
"""

import copy
import json
import random
import tempfile
import warnings
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch
from present_models import PRESENT_MODELS, data_of, model_of
from safetensors.torch import load_file, save

from polylogit import Classifier
from polylogit.errors import PolylogitWarning
from polylogit.model_header import read_header
from polylogit.model_tensors import content_digest
from polylogit.run import predict

FIXTURES = Path(__file__).parents[1] / "fixtures" / "models_0_1"
OLD_MODELS = ("zoo", "mixed_vector", "mixed_mlp", "mixed_curve_floor", "pictures_cnn")
MODELS = (*OLD_MODELS, *PRESENT_MODELS)
VALUES = (
    *(0, -1, 1, 2, 10**9, 10**18, -(10**18), 0.0, -1.0, 1e-320, 1e-30, 1e30, 1e300, True, False, None),
    *("", "a", "x" * 10_000, "linear", "cnn", "mlp", "../../etc/passwd", "\ud800", "\x1b[31m", "rot13", "€"),
    *([], [1], [10**9], [0.5] * 5, ["a"] * 3, list(range(20_000)), {}, {"a": 1}),
)
SIZES = (0, 1, 7, -1, 2**31, 2**40, 2**63 - 1, 2**64, 1.5, None, "1", [], [1])
KINDS = ("F32", "F64", "F16", "BF16", "I64", "BOOL", "F8_E4M3", "U8", "C64", "nonsense", 3)


def file_of(model: str) -> Path:
    """The file of a sound model."""
    return FIXTURES / f"{model}.safetensors" if model in OLD_MODELS else model_of(model)


def rows_of(model: str) -> str:
    """What a model can predict."""
    if model in PRESENT_MODELS:
        return str(data_of(model))
    return str(FIXTURES / "mixed.csv") if model.startswith("mixed") else "zoo"


@cache
def original(model: str) -> tuple[dict[str, Any], dict[str, torch.Tensor]]:
    """The header and the tensors of a sound model."""
    path = file_of(model)
    return read_header(path).model_dump(mode="json", exclude_none=True), load_file(path)


def places(entries: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """The path of every value in nested entries."""
    for key, value in entries.items() if isinstance(entries, dict) else enumerate(entries):
        yield (*path, key)
        if isinstance(value, dict | list):
            yield from places(value, (*path, key))


def change_entries(entries: dict[str, Any], draw: random.Random) -> None:
    """Change one to three values of the header."""
    for _ in range(draw.randint(1, 3)):
        path = draw.choice(list(places(entries)) or [("surprise",)])
        holder: Any = entries
        for key in path[:-1]:
            holder = holder[key]
        if draw.random() < 0.2 and path[-1] in (holder if isinstance(holder, dict) else range(len(holder))):
            del holder[path[-1]]
        else:
            holder[path[-1]] = copy.deepcopy(draw.choice(VALUES))


def change_tensor(tensors: dict[str, torch.Tensor], draw: random.Random) -> None:
    """Replace a tensor by one of another shape, type or content."""
    name = draw.choice(sorted(tensors))
    tensor = tensors[name]
    tensors[name] = draw.choice(
        [
            *(torch.zeros(0), torch.zeros(1), torch.zeros_like(tensor), tensor[None], -tensor),
            *(tensor.double() * 1e300, tensor.double() * 1e-320, torch.full_like(tensor.float(), torch.inf)),
            tensor.half() if tensor.is_floating_point() else tensor,
        ]
    ).contiguous()


def table_changed(content: bytes, draw: random.Random) -> bytes:
    """The file with another type, shape or place of a tensor in its table, or with another length of the table."""
    length = int.from_bytes(content[:8], "little")
    table = json.loads(content[8 : 8 + length])
    for _ in range(draw.randint(1, 2)):
        entry = table[draw.choice([name for name in table if name != "__metadata__"])]
        match draw.randrange(4):
            case 0:
                entry["dtype"] = draw.choice(KINDS)
            case 1:
                entry["shape"] = [draw.choice(SIZES) for _ in range(draw.randint(0, 3))]
            case 2:
                entry["data_offsets"] = [draw.choice(SIZES) for _ in range(draw.choice((2, 2, 1, 3)))]
            case _:
                table[f"network.new{draw.randrange(9)}"] = dict(entry)
    text = json.dumps(table).encode()
    claimed = len(text) if draw.random() < 0.8 else draw.choice((0, 1, 2**31, 2**63, length + 1)) % 2**64
    return claimed.to_bytes(8, "little") + text + content[8 + length :]


def write(number: int, folder: Path) -> Path:
    """Write the mutated file of a number."""
    draw = random.Random(number)  # noqa: S311 - the mutations are no secret
    model = MODELS[number % len(MODELS)]
    entries, tensors = original(model)
    entries, tensors = copy.deepcopy(entries), dict(tensors)
    way = draw.choice(("header", "header", "tensor", "both", "table", "bytes"))
    if way in ("header", "both"):
        change_entries(entries, draw)
    if way in ("tensor", "both"):
        change_tensor(tensors, draw)
    if draw.random() < 0.1:
        entries["format_version"] = 1
    text = json.dumps(entries)
    content = save(tensors, metadata={"polylogit": text, "digest": content_digest(text, tensors)})
    if way == "table":
        content = table_changed(content, draw)
    if way == "bytes":
        changed = bytearray(content)
        for _ in range(draw.choice((1, 1, 3))):
            changed[draw.randrange(len(changed))] = draw.randrange(256)
        content = bytes(changed[: draw.choice((len(changed), len(changed), draw.randrange(len(changed))))])
    path = folder / "m.safetensors"
    path.write_bytes(content)
    return path


def use(path: Path, number: int) -> None:
    """Load the model, and now and then predict with it; a PolylogitError says what is wrong with the file."""
    model = MODELS[number % len(MODELS)]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", PolylogitWarning)
        classifier, turn, data = Classifier.load(path), number // len(MODELS) % 3, rows_of(model)
        if model == "pictures_cnn":
            return
        if turn == 0:
            predict(path, data, Path(tempfile.gettempdir()) / "o.csv", allow_unseen=True, force=True)
        if turn <= 1:  # a classifier predicts from its recipe as it stands, which `predict` checks as a whole
            assert classifier.predict_probabilities(data).isfinite().all()


def warm_up(folder: Path) -> None:
    """Use every sound model, so that every library is loaded."""
    del folder
    for number, model in enumerate(MODELS):
        use(file_of(model), 3 * len(MODELS) + number)
