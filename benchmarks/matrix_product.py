"""Time of float32 products on a CPU by oneDNN and by torch's BLAS, for the shapes that decide which one is used.

Claim: `polylogit.system.matrix_product` takes the faster one, or one at most 1.1 times as slow.

    OMP_NUM_THREADS=2 python benchmarks/matrix_product.py [--quick] [--cpu-time]
"""

import time

import torch
from timing import arguments, as_row, ratio, side_by_side, write_result

from polylogit.system import torch_private
from polylogit.system.matrix_product import onednn_is_faster

SHAPES = [
    *((rows, 784, 10) for rows in (32, 256, 5_000, 60_000)),
    *((rows, 784, 256) for rows in (32, 256, 5_000)),
    *((rows, 128, 50) for rows in (256, 5_000, 60_000)),
    (1_000, 1_000, 1_000),
    (60_000, 50, 3),
]


def main() -> None:
    """Measure and write the page."""
    parser = arguments(__doc__)
    parser.add_argument("--cpu-time", action="store_true", help="count the processor's time alone, on a busy machine")
    options = parser.parse_args()
    clock, suffix = (time.process_time, "_cpu_time") if options.cpu_time else (time.perf_counter, "")
    results = []
    for rows, width, columns in SHAPES[:2] if options.quick else SHAPES:
        draw = torch.Generator().manual_seed(0)
        left, right = torch.randn(rows, width, generator=draw), torch.randn(columns, width, generator=draw)
        timings = side_by_side(
            {
                "onednn": lambda left=left, right=right: torch_private.onednn_linear(left, right, None),
                "blas": lambda left=left, right=right: torch.nn.functional.linear(left, right),
            },
            rounds=5 if options.quick else 31,
            warmup=20,
            sample_seconds=0.01,
            clock=clock,
        )
        results.append(
            {
                "rows": rows,
                "width": width,
                "columns": columns,
                "million_multiplications": round(rows * width * columns / 1e6, 2),
                "onednn_to_blas": round(ratio(timings, "onednn", "blas"), 3),
                "chosen": "oneDNN" if onednn_is_faster(left, right) else "BLAS",
                **as_row(timings),
            }
        )
    claim = "The product takes the faster of oneDNN and torch's BLAS, or one at most 1.1 times as slow."
    write_result(f"matrix_product{suffix}", claim=claim, rows=results, quick=options.quick)


if __name__ == "__main__":
    main()
