"""`SoftmaxRegression` in each of two processes: run by `test_several_processes.py`.

Usage: python estimators_of_processes.py RANK STORE
"""

import json
import sys
from datetime import timedelta

import numpy as np
import pandas as pd
import torch
import torch.distributed
from scipy.sparse import csr_array
from sklearn.base import clone

from polylogit import SoftmaxRegression

SIZE = 2


def problem():
    """Rows with labels of four classes and weights, some of them 0."""
    draw = np.random.default_rng(0)
    features = draw.normal(size=(400, 5))
    logits = features @ draw.normal(size=(5, 4)) + draw.gumbel(size=(400, 4))
    return features, np.array(["a", "b", "c", "d"])[logits.argmax(1)], draw.integers(4, size=400).astype(float)


def described(model, one):
    """A model beside that of one process."""
    return {
        "classes": model.classes_.tolist(),
        "coef": model.coef_.tolist(),
        "difference": float(np.abs(model.coef_ - one.coef_).max() + np.abs(model.intercept_ - one.intercept_).max()),
        "gap": model.optimality_gap_,
    }


def message_of(model, *arguments):
    """The message of the error that a fit raises."""
    try:
        model.fit(*arguments)
    except ValueError as fault:
        return str(fault)
    return "no error"


def answers(rank):
    """What each case gives in this process."""
    features, labels, weights = problem()
    order = np.argsort(labels, kind="stable")  # the classes of the two differ
    here = order[:120] if rank == 0 else order[120:]
    none = order if rank == 0 else order[:0]
    options = {"tol": 1e-10, "process_group": "world"}
    group = SoftmaxRegression(process_group=torch.distributed.group.WORLD)
    found = {}
    for name, chosen, more in (
        ("balanced classes", here, {"class_weight": "balanced"}),
        ("weights of classes", here, {"class_weight": {"a": 3.0, "d": 0.5}}),
        ("no rows", none, {}),
    ):
        one = SoftmaxRegression(tol=1e-10, **more).fit(features, labels, weights)
        model = clone(SoftmaxRegression(**options, **more)).fit(features[chosen], labels[chosen], weights[chosen])
        found[name] = described(model, one)
    sparse = csr_array(features * (np.abs(features) > 0.7))
    one = SoftmaxRegression(tol=1e-10).fit(sparse, labels)
    found["sparse"] = described(SoftmaxRegression(**options).fit(sparse[here], labels[here]), one)
    text = features[here].astype(object)
    text[3, 1] = "many" if rank else 1.0
    names = [f"column{place}" for place in range(5)]
    frame = pd.DataFrame(features[here], columns=names[::-1] if rank else names)
    found["one class"] = message_of(group, features[here], np.full(len(here), "a"))
    found["text"] = message_of(group, text, labels[here])
    found["names"] = message_of(group, frame, labels[here])
    found["columns"] = message_of(group, features[here][:, : 5 - rank], labels[here])
    numbers = np.arange(len(here)) % 3 if rank else labels[here]
    found["numbers and texts"] = message_of(group, features[here], numbers)
    of_one = SoftmaxRegression(**options, class_weight="balanced" if rank else None)
    found["class weights of one"] = message_of(of_one, features[here], labels[here])
    found["unknown class"] = message_of(
        SoftmaxRegression(**options, class_weight={"z": 1}), features[here], labels[here]
    )
    return found


if __name__ == "__main__":
    torch.set_num_threads(1)
    torch.distributed.init_process_group(
        "gloo",
        init_method=f"file://{sys.argv[2]}",
        rank=int(sys.argv[1]),
        world_size=SIZE,
        timeout=timedelta(seconds=60),
    )
    json.dump(answers(int(sys.argv[1])), sys.stdout)
    torch.distributed.destroy_process_group()
