"""Rules for the choice of C, compared by the test log loss of calibrated softmax regression on real tables.

    python benchmarks/penalty_rules.py [--splits 6] [--table NAME ...]

Each split trains on 70 % of the rows. Along one path of C each rule picks a value from the same held-out log losses;
the model is fitted at it, calibrated as `train` calibrates, and tested on the other 30 %. `1` ignores the path.
`lowest` takes the lowest log loss; `strongest` the lowest C, and `nearest` the C nearest to 1, within so many standard
errors of it (of the difference to the lowest, row by row). The rule of `polylogit train` is `nearest, 1`.

Writes benchmarks/results/penalty_rules.md and .json. The tables and their splits are those of benchmarks/calibration.py
of at most 5,000 rows. One thread; the figures are log losses, so the machine may be busy.
"""

import argparse
import json
import math
from collections.abc import Callable

import numpy as np
import torch
from sklearn.model_selection import train_test_split
from timing import RESULTS, machine
from torch import Tensor
from torch.nn.functional import cross_entropy

from calibration import tables
from polylogit.calibration import fit_calibration
from polylogit.calibration.temperature import smoothed_temperature
from polylogit.data.tables.encoder import TableEncoder
from polylogit.evaluation.metrics import row_losses
from polylogit.evaluation.rows import ScoredRows
from polylogit.fitting.forward import network_logits
from polylogit.fitting.out_of_fold import HeldOutLogits, out_of_fold_logits
from polylogit.networks import LinearNetwork
from polylogit.recipes import LinearRecipe, recipe_from_entries
from polylogit.run.labelled_rows import LabelledRows
from polylogit.run.linear_fit import fit_linear, linear_logits_held_out
from polylogit.run.penalty_choice import choose_penalty

LARGE = 5000
Losses = dict[float, Tensor]
Rule = Callable[[Losses], float]
"""Picks a C by the log loss of each held-out row at each C."""


def within(standard_errors: float, key: Callable[[float], float]) -> Rule:
    """The rule that takes the C of the smallest key within some standard errors of the lowest log loss."""

    def rule(losses: Losses) -> float:
        lowest = min(losses, key=lambda C: float(losses[C].mean()))
        near = []
        for C, of_rows in losses.items():
            difference = of_rows - losses[lowest]
            error = float(difference.std()) / math.sqrt(len(difference))
            if float(difference.mean()) <= standard_errors * error:
                near.append(C)
        return min([*near, lowest], key=key)

    return rule


RULES: dict[str, Rule] = {
    "1": lambda _: 1.0,
    "lowest": within(0.0, key=lambda C: C),
    "strongest, 0.5": within(0.5, key=lambda C: C),
    "strongest, 1": within(1.0, key=lambda C: C),
    "nearest, 0.5": within(0.5, key=lambda C: abs(math.log(C))),
    "nearest, 1": within(1.0, key=lambda C: abs(math.log(C))),
    "nearest, 1.5": within(1.5, key=lambda C: abs(math.log(C))),
    "T, lowest": within(0.0, key=lambda C: C),
    "T, strongest, 1": within(1.0, key=lambda C: C),
    "T, nearest, 0.5": within(0.5, key=lambda C: abs(math.log(C))),
    "T, nearest, 1": within(1.0, key=lambda C: abs(math.log(C))),
}
"""By name; those whose name starts with T are given log losses after temperature scaling."""

OWN = "train"
COMPARED = [*RULES, OWN]


def at(C: float) -> LinearRecipe:
    """The recipe at a C."""
    recipe = recipe_from_entries({"training": {"C": C}})
    assert isinstance(recipe, LinearRecipe)
    return recipe


def tested(rows: LabelledRows, train: Tensor, test: Tensor, classes: int) -> dict[str, tuple[float, float]]:
    """For each rule the C that it picks and the test log loss."""
    targets = rows.targets[train]
    path: dict[float, HeldOutLogits] = {}

    def logits_at(C: float) -> HeldOutLogits | None:
        def fit_and_score(fitted: Tensor, scored: Tensor) -> Tensor:
            return linear_logits_held_out(rows, classes, at(C), fitted=train[fitted], scored=train[scored])

        found = out_of_fold_logits(targets, fit_and_score, seed=0)
        if found is not None:
            path[C] = found
        return found

    choice = choose_penalty(logits_at, targets, calibrated=True)
    assert choice is not None
    if 1.0 not in path:
        logits_at(1.0)
    raw, tempered = {}, {}
    for C, found in sorted(path.items()):
        scored = ScoredRows.check(found.logits, targets[found.rows])
        raw[C] = row_losses(scored)
        temperature = smoothed_temperature(scored) or 1.0
        tempered[C] = row_losses(scored.with_logits(scored.logits / temperature))
    outcomes, figures = {}, {}
    picked = {name: rule(tempered if name.startswith("T, ") else raw) for name, rule in RULES.items()}
    for name, C in {**picked, OWN: choice.C}.items():
        if C not in figures:
            fit = fit_linear(rows, train, classes, at(C))
            calibration = fit_calibration(path[C].logits, targets[path[C].rows], method="auto").calibration
            logits = network_logits(LinearNetwork.with_weights(fit.weight, fit.bias), rows.features[test])
            figures[C] = float(cross_entropy(calibration.apply(logits).double(), rows.targets[test]))
        outcomes[name] = (C, figures[C])
    return outcomes


def main() -> None:
    """Compare the rules and write the results."""
    arguments = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    arguments.add_argument("--splits", type=int, default=6)
    arguments.add_argument("--table", action="append", default=[])
    chosen = arguments.parse_args()
    torch.set_num_threads(1)
    found: dict[str, dict[str, dict[str, float]]] = {}
    for name, (frame, targets) in tables().items():
        if len(targets) > LARGE or (chosen.table and name not in chosen.table):
            continue
        known, classes = torch.tensor(np.asarray(targets)), int(targets.max()) + 1
        outcomes = []
        for seed in range(chosen.splits):
            train, test = train_test_split(np.arange(len(targets)), test_size=0.3, stratify=targets, random_state=seed)
            train = np.sort(train)
            rows = LabelledRows(TableEncoder.fit(frame[train]).encode(frame), known)
            outcomes.append(tested(rows, torch.from_numpy(train), torch.from_numpy(test), classes))
        found[name] = {
            rule: {
                "log_loss": float(np.mean([outcome[rule][1] for outcome in outcomes])),
                "median_C": float(np.median([outcome[rule][0] for outcome in outcomes])),
            }
            for rule in COMPARED
        }
        print(name, {rule: round(figures["log_loss"], 4) for rule, figures in found[name].items()}, flush=True)
    lines = [
        "# Rules for the choice of C: test log loss of calibrated softmax regression, in nats",
        "",
        "; ".join(f"{name} {fact}" for name, fact in machine().items()),
        f"\n{chosen.splits} splits of each table; `python benchmarks/penalty_rules.py --splits {chosen.splits}`\n",
        "| table | " + " | ".join(COMPARED) + " |",
        "| --- |" + " --- |" * len(COMPARED),
    ]
    for name, figures in found.items():
        lines.append(f"| {name} | " + " | ".join(f"{figures[rule]['log_loss']:.4f}" for rule in COMPARED) + " |")
    mean = {rule: np.mean([figures[rule]["log_loss"] for figures in found.values()]) for rule in COMPARED}
    worst = {
        rule: max(figures[rule]["log_loss"] - figures["1"]["log_loss"] for figures in found.values())
        for rule in COMPARED
    }
    lines.append("| mean | " + " | ".join(f"{mean[rule]:.4f}" for rule in COMPARED) + " |")
    lines.append("| most above C = 1 | " + " | ".join(f"{worst[rule]:+.4f}" for rule in COMPARED) + " |")
    if not chosen.table:
        (RESULTS / "penalty_rules.md").write_text("\n".join(lines) + "\n")
        (RESULTS / "penalty_rules.json").write_text(json.dumps(found, indent=1) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
