"""Labels and predictions over many batches: classes that never occur, are never predicted, or come one batch each.

See also: `watching.py`, which hands the batches over.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from polylogit.misuse.findings import MisuseFinding
from polylogit.misuse.target_checks import unused_outputs

__all__ = ["LabelWatch"]

_CLASSES = 200  # of a larger head most classes are too rare to say anything about
_BATCHES = 10  # batches of one class each, of at least three classes, that show data that were not shuffled
_ON_A_GPU = 10  # there only each tenth batch is counted: reading it waits for the device


class LabelWatch:
    """Counts of labels and predictions of a loop that classifies rows.

    Args:
        patience: Losses between two looks at the counts.
        report: Called with each finding.
    """

    def __init__(self, patience: int, report: Callable[[MisuseFinding], None]) -> None:
        self._patience = patience
        self._report = report
        self._seen = 0
        self._counts: Tensor | None = None  # rows: labels; columns: predictions; of the last `patience` batches
        self._batches = 0
        self._single: list[int] = []  # the class of each batch that has only one
        self._rows = 0
        self._used: Tensor | None = None  # which classes have been a label

    def batch(self, scores: Tensor, targets: Tensor) -> None:
        """Count a batch of scores (N, K) with class indices (N,); batches of another form are left out.

        Args:
            scores: What the loss gets.
            targets: What the loss gets.
        """
        if scores.dim() != 2 or targets.dim() != 1 or targets.is_floating_point() or len(targets) != len(scores):
            return
        classes = scores.shape[1]
        self._seen += 1
        if classes < 3 or (scores.is_cuda and self._seen % _ON_A_GPU):
            return
        labels = targets.detach().cpu().long()
        known = (labels >= 0) & (labels < classes)
        labels = labels[known]
        if self._used is None or len(self._used) != classes:
            self._used, self._rows = torch.zeros(classes, dtype=torch.bool), 0
        self._used[labels] = True
        self._rows += len(labels)
        if classes > _CLASSES:
            return
        predicted = scores.detach().argmax(1).cpu()[known]
        pairs = torch.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)
        fresh = self._counts is None or self._counts.shape != pairs.shape
        self._counts = pairs if fresh or self._counts is None else self._counts + pairs
        self._follow_order(labels)
        if self._seen % self._patience == 0:
            self._never_predicted(self._counts)
            self._counts = torch.zeros_like(self._counts)

    def close(self, *, inputs_are_classes: bool) -> None:
        """Report what only the end of the loop shows.

        Args:
            inputs_are_classes: Whether inputs are integers, such as tokens, of which a loop may show a few only.
        """
        if self._used is not None and not inputs_are_classes:
            used = self._used.nonzero()[:, 0]
            for finding in unused_outputs(len(self._used), used, self._rows):
                self._report(finding)

    def _follow_order(self, labels: Tensor) -> None:
        """Report batches of which most hold one class each, while the classes change from batch to batch."""
        if len(labels) < 4:
            return
        self._batches += 1
        if bool((labels == labels[0]).all()):
            self._single.append(int(labels[0]))
        if self._batches >= _BATCHES and len(self._single) > 0.6 * self._batches and len(set(self._single)) >= 3:
            self._report(
                MisuseFinding(
                    "unshuffled-batches",
                    f"{len(self._single)} of {self._batches} batches held rows of one class only, "
                    f"{len(set(self._single))} classes in all",
                    "the rows come sorted by class: each step teaches the model to answer with the class of its batch",
                    "the loss swings from batch to batch, and the last class seen is predicted for everything",
                    "Shuffle the rows: DataLoader(..., shuffle=True).",
                    0.85,
                )
            )

    def _never_predicted(self, counts: Tensor) -> None:
        """Report a class that is never predicted although the others are learned and it is no rarer than they are."""
        labels, right = counts.sum(1), counts.diagonal()
        occurs = labels > 0
        usual = labels[occurs].float().mean()
        missing = occurs & (counts.sum(0) == 0) & (labels >= 0.5 * usual) & (labels >= 20)
        others = occurs & ~missing
        if not bool(missing.any()) or int(others.sum()) < 2:
            return
        recall = right[others].float() / labels[others]
        if float(recall.min()) < 0.6:
            return
        names = missing.nonzero()[:, 0].tolist()
        self._report(
            MisuseFinding(
                "class-never-predicted",
                f"class {names[0]} was the label of {int(labels[names[0]])} of the last {int(labels.sum())} rows and "
                f"was never predicted; the other {int(others.sum())} classes are right in {float(recall.min()):.0%} of "
                "their rows or more",
                "a class weight or mask of 0 hides it, its labels are mapped to another class, or its output is cut",
                "every row of this class is answered wrongly",
                "Check the class weights, masks and the mapping of labels of this class.",
                0.7,
            )
        )
