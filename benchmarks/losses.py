"""Time of the losses, forward and backward, against torch.nn.functional in the same run.

Claims:
- `cross_entropy_with_logits` costs no more than `cross_entropy` (ratio of medians at most 1.05).
- `cross_entropy_with_probabilities` costs at most 1.2 times `nll_loss(log(p))`, which checks nothing about p.
- The check of the values costs under 3% of the loss, for each form of target.
- Every other form of scores, targets and weights costs at most 1.3 times what people write with PyTorch for it.
- `linear_cross_entropy_with_logits` at N=4096, D=512, K=50,000 takes at most a quarter of the memory of
  `cross_entropy(features @ weight.T, targets)`, and no more time.

    python benchmarks/losses.py [--only scores|checks|forms|linear] [--quick] [--threads 1] [--cpu-time]
"""

import functools
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import torch
import torch.nn.functional as F  # noqa: N812
from timing import arguments, as_row, ratio, side_by_side, write_result
from torch import Tensor

from polylogit.losses import (
    binary_cross_entropy_with_logits,
    binary_cross_entropy_with_probabilities,
    cross_entropy_with_log_probabilities,
    cross_entropy_with_logits,
    cross_entropy_with_probabilities,
    focal_cross_entropy_with_logits,
)

SIZES = [(n, k) for n in (256, 4096, 65536) for k in (2, 10, 100, 1000)]
DTYPES = {"float32": torch.float32, "bfloat16": torch.bfloat16}
LINEAR = """
import json, sys, time
from pathlib import Path
import torch
from polylogit.losses import cross_entropy_with_logits, linear_cross_entropy_with_logits

def peak():
    line = next(line for line in Path("/proc/self/status").read_text().splitlines() if line.startswith("VmHWM"))
    return int(line.split()[1]) / 1024

way, rows, width, classes, rounds, threads = sys.argv[1], *map(int, sys.argv[2:])
torch.set_num_threads(threads)
draw = torch.Generator().manual_seed(0)
x = torch.randn(rows, width, generator=draw).requires_grad_()
w = (torch.randn(classes, width, generator=draw) * width**-0.5).requires_grad_()
y = torch.randint(classes, (rows,), generator=draw)
calls = {
    "polylogit": lambda: linear_cross_entropy_with_logits(x, w, y),
    "torch_plain": lambda: torch.nn.functional.cross_entropy(x @ w.T, y),
}
cross_entropy_with_logits(x[:8] @ w.T, y[:8]).backward()
x.grad = w.grad = None
before, seconds = peak(), []
for _ in range(rounds):
    x.grad = w.grad = None
    start = time.perf_counter()
    loss = calls[way]()
    loss.backward()
    seconds.append(time.perf_counter() - start)
print(json.dumps({"seconds": seconds, "extra_mib": peak() - before, "loss": loss.item()}))
"""


def step(loss: Callable[..., Tensor], scores: Tensor, targets: Tensor) -> Callable[[], None]:
    """One forward and backward pass."""

    def run() -> None:
        scores.grad = None
        loss(scores, targets).backward()

    return run


def of_logits(quick: bool, clock: Callable[[], float]) -> Iterator[dict[str, object]]:
    """Rows for both kinds of scores, each against PyTorch's."""
    generator = torch.Generator().manual_seed(0)
    for n, k in SIZES[:2] if quick else SIZES:
        targets = torch.randint(k, (n,), generator=generator)
        for dtype_name, dtype in DTYPES.items():
            logits = torch.randn(n, k, generator=generator).to(dtype).requires_grad_()
            probabilities = logits.detach().float().softmax(1).to(dtype).requires_grad_()
            pairs = {
                "logits": (cross_entropy_with_logits, F.cross_entropy, logits),
                "probabilities": (cross_entropy_with_probabilities, log_then_nll, probabilities),
            }
            for kind, (ours, theirs, scores) in pairs.items():
                timings = side_by_side(
                    {"polylogit": step(ours, scores, targets), "torch": step(theirs, scores, targets)},
                    **effort(n * k, quick),
                    clock=clock,
                )
                yield {
                    "scores": kind,
                    "dtype": dtype_name,
                    "N": n,
                    "K": k,
                    "ratio_to_torch": round(ratio(timings, "polylogit", "torch"), 3),
                    **as_row(timings),
                }


def of_checks(quick: bool, clock: Callable[[], float]) -> Iterator[dict[str, object]]:
    """Each form of target with the check on and off, and PyTorch's loss, which checks less, beside them."""
    generator = torch.Generator().manual_seed(1)
    for n, k in SIZES[:2] if quick else SIZES[:-1]:
        logits = torch.randn(n, k, generator=generator)
        probabilities = logits.softmax(1)
        index, soft = torch.randint(k, (n,), generator=generator), probabilities.roll(1, 0)
        weighted = functools.partial(cross_entropy_with_logits, sample_weight=torch.rand(n, generator=generator))
        forms = {
            "class index": (cross_entropy_with_logits, F.cross_entropy, logits, index),
            "class index and sample weight": (weighted, row_weights, logits, index),
            "one-hot": (cross_entropy_with_logits, as_float, logits, F.one_hot(index, k)),
            "soft rows": (cross_entropy_with_logits, F.cross_entropy, logits, soft),
            "class index, scores are probabilities": (
                cross_entropy_with_probabilities,
                log_then_nll,
                probabilities,
                index,
            ),
        }
        for form, (ours, theirs, values, targets) in forms.items():
            scores = values.clone().requires_grad_()
            timings = side_by_side(
                {
                    "checked": step(ours, scores, targets),
                    "unchecked": step(functools.partial(ours, validate=False), scores, targets),
                    "torch": step(theirs, scores, targets),
                },
                **effort(n * k, quick),
                clock=clock,
            )
            check = timings["checked"].median - timings["unchecked"].median
            yield {
                "target": form,
                "N": n,
                "K": k,
                "check_of_our_loss": round(check / timings["unchecked"].median, 3),
                "check_of_torchs_loss": round(check / timings["torch"].median, 3),
                "checked_to_torch": round(ratio(timings, "checked", "torch"), 3),
                **as_row(timings),
            }


def of_forms(quick: bool, clock: Callable[[], float]) -> Iterator[dict[str, object]]:
    """Each kind of score, target and weight against what people write with PyTorch for it."""
    draw = torch.Generator().manual_seed(2)
    for n, k in [(256, 10)] if quick else [(256, 10), (4096, 10), (4096, 100)]:
        logits, soft = torch.randn(n, k, generator=draw), torch.randn(n, k, generator=draw).softmax(1)
        index = torch.randint(k, (n,), generator=draw)
        ignored = index.index_fill(0, torch.arange(0, n, 7), -100)
        per_class, per_row = 0.5 + torch.rand(k, generator=draw), torch.rand(n, generator=draw)
        p, log_p = logits.softmax(1), logits.log_softmax(1)
        rows = {"sample_weight": per_row}
        classes = {"class_weight": per_class}
        forms: dict[str, tuple[Callable[..., Tensor], dict[str, Any], Callable[..., Tensor], Tensor, Tensor]] = {
            "logits, index": (cross_entropy_with_logits, {}, F.cross_entropy, logits, index),
            "logits, index, every 7th ignored": (cross_entropy_with_logits, {}, F.cross_entropy, logits, ignored),
            "logits, index, class weights": (
                cross_entropy_with_logits,
                classes,
                functools.partial(F.cross_entropy, weight=per_class),
                logits,
                index,
            ),
            "logits, index, smoothing": (
                cross_entropy_with_logits,
                {"label_smoothing": 0.1},
                functools.partial(F.cross_entropy, label_smoothing=0.1),
                logits,
                index,
            ),
            "logits, index, sample weights": (
                cross_entropy_with_logits,
                rows,
                lambda z, y, w=per_row: (F.cross_entropy(z, y, reduction="none") * w).sum() / w.sum(),
                logits,
                index,
            ),
            "logits, soft rows": (cross_entropy_with_logits, {}, F.cross_entropy, logits, soft),
            "logits, soft rows, class weights": (
                cross_entropy_with_logits,
                classes,
                functools.partial(F.cross_entropy, weight=per_class),
                logits,
                soft,
            ),
            "log-probabilities, index": (cross_entropy_with_log_probabilities, {}, F.nll_loss, log_p, index),
            "log-probabilities, index, class weights": (
                cross_entropy_with_log_probabilities,
                classes,
                functools.partial(F.nll_loss, weight=per_class),
                log_p,
                index,
            ),
            "log-probabilities, soft rows": (
                cross_entropy_with_log_probabilities,
                {},
                lambda z, t: -(z * t).sum(1).mean(),
                log_p,
                soft,
            ),
            "probabilities, index": (cross_entropy_with_probabilities, {}, log_then_nll, p, index),
            "probabilities, index, class weights": (
                cross_entropy_with_probabilities,
                classes,
                lambda z, y, w=per_class: F.nll_loss(z.log(), y, weight=w),
                p,
                index,
            ),
            "probabilities, soft rows": (
                cross_entropy_with_probabilities,
                {},
                lambda z, t: -(z.log() * t).sum(1).mean(),
                p,
                soft,
            ),
            "binary logits": (
                binary_cross_entropy_with_logits,
                {},
                F.binary_cross_entropy_with_logits,
                logits,
                soft,
            ),
            "binary probabilities": (binary_cross_entropy_with_probabilities, {}, F.binary_cross_entropy, p, soft),
            "focal, index": (focal_cross_entropy_with_logits, {}, focal_by_hand, logits, index),
        }
        for form, (ours, options, theirs, values, targets) in forms.items():
            scores = values.clone().requires_grad_()
            timings = side_by_side(
                {
                    "polylogit": step(functools.partial(ours, **options), scores, targets),
                    "unchecked": step(functools.partial(ours, **options, validate=False), scores, targets),
                    "torch": step(theirs, scores, targets),
                },
                rounds=5 if quick else 21,
                warmup=10,
                sample_seconds=0.004,
                clock=clock,
            )
            yield {
                "form": form,
                "N": n,
                "K": k,
                "ratio_to_torch": round(ratio(timings, "polylogit", "torch"), 3),
                "unchecked_to_torch": round(ratio(timings, "unchecked", "torch"), 3),
                **as_row(timings),
            }


def focal_by_hand(logits: Tensor, index: Tensor) -> Tensor:
    """The focal loss with gamma 2 from the chosen log-probabilities."""
    chosen = F.log_softmax(logits, 1).gather(1, index.unsqueeze(1))
    return -((1 - chosen.exp()).square() * chosen).mean()


def effort(scores: int, quick: bool) -> dict[str, Any]:
    """Fewer rounds where one call is long; more of them, after a longer warm-up, where a call takes microseconds."""
    large, small = scores > 1e7, scores < 1e5
    return {
        "rounds": 5 if quick else 7 if large else 101 if small else 31,
        "warmup": 1 if large else 200 if small else 3,
        "sample_seconds": 0.004,
    }


def as_float(logits: Tensor, one_hot: Tensor) -> Tensor:
    """PyTorch takes one-hot rows as floats only."""
    return F.cross_entropy(logits, one_hot.float())


def row_weights(logits: Tensor, index: Tensor) -> Tensor:
    """PyTorch's loss has no weights per row; this is what people write by hand."""
    losses = F.cross_entropy(logits, index, reduction="none")
    weight = torch.ones_like(losses)
    return (losses * weight).sum() / weight.sum()


def log_then_nll(probabilities: Tensor, targets: Tensor) -> Tensor:
    """What people write for probabilities, for which PyTorch has no loss."""
    return F.nll_loss(probabilities.log(), targets)


def of_a_linear_layer(quick: bool) -> Iterator[dict[str, object]]:
    """Time and peak memory of a linear layer's loss, each candidate in processes of its own, turn by turn."""
    sizes = (2048, 64, 20_000) if quick else (4096, 512, 50_000)
    runs: dict[str, list[dict[str, object]]] = {"polylogit": [], "torch_plain": []}
    for _ in range(1 if quick else 3):
        for way, results in runs.items():
            numbers = [*sizes, 1 if quick else 3, torch.get_num_threads()]
            printed = subprocess.check_output([sys.executable, "-c", LINEAR, way, *map(str, numbers)], text=True)
            results.append(json.loads(printed))
    seconds = {way: sorted(s for result in results for s in result["seconds"]) for way, results in runs.items()}
    middle = {way: values[len(values) // 2] for way, values in seconds.items()}
    memory = {way: max(result["extra_mib"] for result in results) for way, results in runs.items()}
    yield {
        "N": sizes[0],
        "D": sizes[1],
        "K": sizes[2],
        "time_ratio": round(middle["polylogit"] / middle["torch_plain"], 3),
        "memory_ratio": round(memory["torch_plain"] / memory["polylogit"], 2),
        "n": len(seconds["polylogit"]),
        **{f"{way}_median_s": round(value, 3) for way, value in middle.items()},
        **{f"{way}_range_s": f"{values[0]:.3g} to {values[-1]:.3g}" for way, values in seconds.items()},
        **{f"{way}_extra_mib": round(value) for way, value in memory.items()},
    }


def main() -> None:
    """Measure and write the pages."""
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads for torch (default: all)")
    parser.add_argument("--only", choices=["scores", "checks", "forms", "linear"], help="one of the four pages")
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's time alone, on a busy machine")
    options = parser.parse_args()
    clock, suffix = (time.process_time, "_cpu_time") if options.cpu_time else (time.perf_counter, "")
    torch.set_num_threads(options.threads)
    if options.only in (None, "scores"):
        claim = (
            "cross_entropy_with_logits costs at most 1.05 times torch's cross_entropy, and "
            "cross_entropy_with_probabilities at most 1.2 times nll_loss(log(p)), forward and backward."
        )
        write_result(f"losses{suffix}", claim=claim, rows=list(of_logits(options.quick, clock)), quick=options.quick)
    if options.only in (None, "checks"):
        claim = "The check of the values costs under 3% of the loss, forward and backward, in float32."
        write_result(
            f"loss_checks{suffix}", claim=claim, rows=list(of_checks(options.quick, clock)), quick=options.quick
        )
    if options.only in (None, "forms"):
        claim = (
            "Every form of scores, targets and weights costs at most 1.3 times what people write with PyTorch for it."
        )
        write_result(f"loss_forms{suffix}", claim=claim, rows=list(of_forms(options.quick, clock)), quick=options.quick)
    if options.only in (None, "linear"):
        claim = (
            "linear_cross_entropy_with_logits takes at most a quarter of the memory of "
            "cross_entropy(features @ weight.T), and no more time."
        )
        write_result("linear_loss", claim=claim, rows=list(of_a_linear_layer(options.quick)), quick=options.quick)


if __name__ == "__main__":
    main()
