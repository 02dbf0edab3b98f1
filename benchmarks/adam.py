"""Claim: on a CPU the own step of Adam makes training steps of small networks shorter than torch's fused AdamW does.

One training step is forward, backward and the optimizer's step. Both optimizers take turns in each round, and which one
is first alternates. Figures are medians over the rounds in microseconds, with the least and the greatest in brackets.

    OMP_NUM_THREADS=1 python benchmarks/adam.py
"""

import statistics
import time
from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from polylogit.fitting.adam import Adam

ROUNDS = 12


def networks() -> Iterator[tuple[str, nn.Module, Tensor, int]]:
    """Name, network, inputs and steps in a round."""
    yield "linear 784-10, 256 rows", nn.Linear(784, 10), torch.randn(256, 784), 100
    small = nn.Sequential(nn.Linear(16, 100), nn.ReLU(), nn.Linear(100, 7))
    yield "MLP 16-100-7, 32 rows", small, torch.randn(32, 16), 100
    large = nn.Sequential(nn.Linear(784, 100), nn.ReLU(), nn.Linear(100, 10))
    yield "MLP 784-100-10, 100 rows", large, torch.randn(100, 784), 50
    first = [nn.Conv2d(1, 32, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    second = [nn.Conv2d(32, 64, 3, padding=1), nn.ReLU(), nn.MaxPool2d(2)]
    cnn = nn.Sequential(*first, *second, nn.Flatten(), nn.Linear(3136, 10))
    yield "CNN 1-32-64, 100 rows", cnn, torch.randn(100, 1, 28, 28), 5


def training_steps(network: nn.Module, optimizer: torch.optim.Optimizer, inputs: Tensor) -> Callable[[int], float]:
    """A function that takes so many steps and gives the time of one, in microseconds."""
    targets = torch.arange(len(inputs)) % 7
    parameters = list(network.parameters())

    def take(steps: int) -> float:
        start = time.perf_counter()
        for _ in range(steps):
            nn.functional.cross_entropy(network(inputs), targets).backward()
            optimizer.step()
            for parameter in parameters:
                parameter.grad = None
        return (time.perf_counter() - start) / steps * 1e6

    return take


def shown(times: list[float]) -> str:
    """Median, least and greatest."""
    return f"{statistics.median(times):,.0f} ({min(times):,.0f} to {max(times):,.0f})"


def main() -> None:
    """Print a row for each network."""
    torch.manual_seed(0)
    print(f"torch {torch.__version__}, {torch.get_num_threads()} threads, {ROUNDS} rounds")
    for name, network, inputs, steps in networks():
        groups = [{"params": list(network.parameters()), "weight_decay": 0.01}]
        own = Adam(groups, lr=1e-6, betas=(0.9, 0.999), decoupled=True)
        theirs = torch.optim.AdamW(network.parameters(), lr=1e-6, fused=True)
        takes = {"own": training_steps(network, own, inputs), "torch": training_steps(network, theirs, inputs)}
        times: dict[str, list[float]] = {who: [] for who in takes}
        for take in takes.values():
            take(5)
        for number in range(ROUNDS):
            for who in sorted(takes, reverse=bool(number % 2)):
                times[who].append(takes[who](steps))
        ratio = statistics.median(times["torch"]) / statistics.median(times["own"])
        print(f"{name}: own {shown(times['own'])}, torch {shown(times['torch'])}, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
