"""Labels and predictions over many batches: classes that never occur, are never predicted, or come one batch each.

See also: `watching.py`, which hands the batches over.
"""

from collections.abc import Callable

import torch
from torch import Tensor

from polylogit.misuse.findings import MisuseFinding

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
        self._single = 0
        self._single_classes: set[int] = set()

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
        if not 2 < classes <= _CLASSES or (scores.is_cuda and self._seen % _ON_A_GPU):
            return
        labels, predicted = targets.detach().cpu().long(), scores.detach().argmax(1).cpu()
        known = (labels >= 0) & (labels < classes)
        labels, predicted = labels[known], predicted[known]
        pairs = torch.bincount(labels * classes + predicted, minlength=classes * classes).reshape(classes, classes)
        fresh = self._counts is None or self._counts.shape != pairs.shape
        self._counts = pairs if fresh or self._counts is None else self._counts + pairs
        self._follow_order(labels)
        if self._seen % self._patience == 0:
            self._never_predicted(self._counts)
            self._counts = torch.zeros_like(self._counts)

    def _follow_order(self, labels: Tensor) -> None:
        """Report batches that hold one class each, while the classes change from batch to batch."""
        if len(labels) < 4:
            return
        first = int(labels[0])
        if bool((labels != first).any()):
            self._single = -(10**9)  # some batch is mixed: the data are not sorted
            return
        self._single += 1
        self._single_classes.add(first)
        if self._single >= _BATCHES and len(self._single_classes) >= 3:
            self._single = -(10**9)
            self._report(
                MisuseFinding(
                    "unshuffled-batches",
                    f"each of {_BATCHES} or more batches held rows of one class only, {len(self._single_classes)} "
                    "classes in all",
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
