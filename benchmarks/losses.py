"""What the losses cost, forward and backward, beside torch.nn.functional's own in the same run.

Claims:
- `cross_entropy_with_logits` costs no more than `cross_entropy` (ratio of medians at most 1.05).
- `cross_entropy_with_probabilities` costs at most 1.2 times `nll_loss(log(p))`, which checks nothing about p.
- The check of the targets costs under 3% of the loss.
- `linear_cross_entropy_with_logits` at N=4096, D=512, K=50,000 takes at most a quarter of the plain way's memory, and
  no more time.

    python benchmarks/losses.py [--quick] [--threads 1]
"""

import json
import subprocess
import sys
from collections.abc import Callable, Iterator

import torch
import torch.nn.functional as F  # noqa: N812
from timing import arguments, as_row, ratio, side_by_side, write_result
from torch import Tensor

from polylogit.losses import cross_entropy_with_logits, cross_entropy_with_probabilities

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


def of_logits(quick: bool) -> Iterator[dict[str, object]]:
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
                    {
                        "polylogit": step(ours, scores, targets),
                        "unchecked": step(unchecked(ours), scores, targets),
                        "torch": step(theirs, scores, targets),
                    },
                    rounds=5 if quick else 7 if n * k > 1e7 else 31,
                    warmup=1 if n * k > 1e7 else 3,
                    sample_seconds=0.005,
                )
                yield {
                    "scores": kind,
                    "dtype": dtype_name,
                    "N": n,
                    "K": k,
                    "ratio_to_torch": round(ratio(timings, "polylogit", "torch"), 3),
                    "check_costs": round(ratio(timings, "polylogit", "unchecked") - 1, 3),
                    **as_row(timings),
                }


def log_then_nll(probabilities: Tensor, targets: Tensor) -> Tensor:
    """What people write in place of the loss that PyTorch has no name for."""
    return F.nll_loss(probabilities.log(), targets)


def unchecked(loss: Callable[..., Tensor]) -> Callable[[Tensor, Tensor], Tensor]:
    """The loss with its check of the values off."""

    def run(scores: Tensor, targets: Tensor) -> Tensor:
        return loss(scores, targets, validate=False)

    return run


def of_a_linear_layer(quick: bool) -> Iterator[dict[str, object]]:
    """Time and peak memory of a linear layer's loss, each way in processes of its own, turn by turn."""
    sizes = (2048, 64, 20_000) if quick else (4096, 512, 50_000)
    runs: dict[str, list[dict[str, object]]] = {"polylogit": [], "torch_plain": []}
    for _ in range(1 if quick else 3):
        for way, results in runs.items():
            numbers = [*sizes, 1 if quick else 3, torch.get_num_threads()]
            told = subprocess.check_output([sys.executable, "-c", LINEAR, way, *map(str, numbers)], text=True)
            results.append(json.loads(told))
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
    """Measure and write both pages."""
    parser = arguments(__doc__)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads(), help="threads for torch (default: all)")
    parser.add_argument("--only", choices=["scores", "linear"], help="one of the two pages")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    if options.only != "linear":
        claim = (
            "cross_entropy_with_logits costs at most 1.05 times torch's cross_entropy, and "
            "cross_entropy_with_probabilities at most 1.2 times nll_loss(log(p)); the check of values under 3%."
        )
        write_result("losses", claim=claim, rows=list(of_logits(options.quick)), quick=options.quick)
    if options.only != "scores":
        claim = (
            "linear_cross_entropy_with_logits takes at most a quarter of the memory of "
            "cross_entropy(features @ weight.T), and no more time."
        )
        write_result("linear_loss", claim=claim, rows=list(of_a_linear_layer(options.quick)), quick=options.quick)


if __name__ == "__main__":
    main()
