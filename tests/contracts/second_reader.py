"""A second reader of model files, written from docs/model_file.md alone: numpy and nothing of polylogit."""

import datetime as dt
import hashlib
import itertools
import json
import re
import struct
from pathlib import Path

import numpy as np

MISSING = ("", "?", "-", ".", "NA", "N/A", "n/a", "#N/A", "NaN", "nan", "NULL", "Null", "null", "None", "none")
KINDS = {"F32": ("float32", "<f4"), "F64": ("float64", "<f8"), "I64": ("int64", "<i8")}


def read(path):
    """The header, the digest and the tensors of a file, and what the digest should be."""
    content = Path(path).read_bytes()
    (length,) = struct.unpack("<Q", content[:8])
    table = json.loads(content[8 : 8 + length])
    metadata = table.pop("__metadata__")
    digest, tensors = hashlib.sha256(metadata["polylogit"].encode() + b"\0"), {}
    for name, entry in sorted(table.items()):
        start, end = entry["data_offsets"]
        values, (kind, form) = content[8 + length + start : 8 + length + end], KINDS[entry["dtype"]]
        tensors[name] = np.frombuffer(values, dtype=form).reshape(entry["shape"])
        shape = ",".join(map(str, entry["shape"]))
        digest.update(f"{name}\0{kind}\0{shape}\0".encode() + values)
    return json.loads(metadata["polylogit"]), metadata.get("digest"), tensors, digest.hexdigest()


def number(text, written):
    """The number that a text stands for; `written` shows how 1234.5 is written, or names a way."""
    if written is None:
        return float(text)
    if written == "hexadecimal":
        return float(int(text, 16))
    if written == "quarter":
        year, quarter = re.search(r"\d{4}", text)[0], re.search(r"[Qq]([1-4])", text)[1]
        return float(year) + (float(quarter) - 1) / 4
    before, thousands, decimal, after = re.fullmatch(r"(\D*)1(\D?)234(\D)5(.*)", written).groups()
    negative = text.startswith("(")
    plain = text.strip("()").replace(before, "", 1).removesuffix(after).replace(thousands, "").replace(decimal, ".")
    return -float(plain) if negative else float(plain)


ACTIVATIONS = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh, "silu": lambda x: x / (1 + np.exp(-x))}


def column_features(column, cell, scaling):
    """The features of one cell."""
    kind, cell = column["type"], cell.strip()
    flags, scaled, missing = [], [], cell in MISSING if kind != "category" else not cell
    if kind == "category":
        levels = column["levels"]
        same = {level: at for at, level in enumerate(levels)}
        at = same.get(cell, same.get(cell.removesuffix(".0")))
        flags = [float(at == index) for index in range(len(levels))]
        flags += [float(at is None and not missing)] * column.get("pooled", False)
    elif kind == "number":
        scaled = [None if missing else number(cell, column.get("format"))]
    elif kind == "boolean":
        scaled = [None if missing else float(cell.lower() in ("true", "yes", "1"))]
    else:
        day = None if missing else dt.datetime.strptime(cell[:10], column["format"]).date()
        age = None if day is None else -(day - dt.date(1970, 1, 1)).days / 365.25
        scaled = [None if day is None else float(day.year), age]
        flags = [float(day is not None and day.month == month) for month in range(1, 13)]
        flags += [float(day is not None and day.weekday() == weekday) for weekday in range(7)]
    if edges := column.get("bin_edges"):
        binned = None if missing else scaled[0] if kind == "number" else float((day - dt.date(1970, 1, 1)).days)
        if not missing:
            inside = min(max(binned, edges[0]), edges[-1])
            scaled = [inside]
            if kind == "date":
                scaled = [float((dt.date(1970, 1, 1) + dt.timedelta(days=inside)).year), -inside / 365.25]
        if len(edges) > 2:
            for low, high in itertools.pairwise(edges):
                scaled.append(None if missing else min(max((binned - low) / (high - low), 0.0), 1.0))
    places = [next(scaling) for _ in scaled]
    values = [0.0 if v is None else (v - mean) / scale for v, (mean, scale) in zip(scaled, places, strict=True)]
    return values + flags + [float(missing)] * column.get("missing", False)


def log_softmax(z):
    """Log-probabilities of each row of logits."""
    shifted = z - z.max(1, keepdims=True)
    return shifted - np.log(np.exp(shifted).sum(1, keepdims=True))


def probabilities(path, rows):
    """A probability per row and class."""
    header, _, tensors, _ = read(path)
    state = list(zip(tensors["preprocessing.mean"], tensors["preprocessing.scale"], strict=True))
    features = []
    for row in rows:
        scaling = iter(state)
        columns = header["preprocessing"]["columns"]
        features.append([value for c in columns for value in column_features(c, row[c["name"]], scaling)])
    x = np.array(features, dtype=np.float32)
    if header["network"]["kind"] == "linear":
        z = x @ tensors["network.linear.weight"].T + tensors["network.linear.bias"]
    else:
        options = header["network"]["options"]
        layers = sorted(int(name.split(".")[2]) for name in tensors if name.endswith(".weight"))
        for layer in layers:
            x = x @ tensors[f"network.layers.{layer}.weight"].T + tensors.get(f"network.layers.{layer}.bias", 0)
            x = x if layer == layers[-1] else ACTIVATIONS[options["activation"]](x)
        z = np.pad(x, ((0, 0), (1, 0))) if options.get("reference_class") else x
    z = z.astype(np.float64)
    if "curve" in header:
        s = log_softmax(z)
        z = header["curve"]["slope"] * s - header["curve"]["curvature"] * s**2
    z = z / header["temperature"]
    if "vector_scaling" in header:
        z = z * header["vector_scaling"]["scale"] + header["vector_scaling"]["bias"]
    if "structured_scaling" in header:
        entry, s = header["structured_scaling"], log_softmax(z)
        z = s * entry["scale"] + entry["bias"]
        if "off_diagonal" in entry:
            z += s @ np.array(entry["off_diagonal"]).T
    p = np.exp(z - z.max(1, keepdims=True))
    p /= p.sum(1, keepdims=True)
    floor = header.get("floor", 0.0)
    return (1 - floor) * p + floor / p.shape[1]
