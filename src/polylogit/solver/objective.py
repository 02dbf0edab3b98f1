"""The convex function that softmax regression minimises, its gradient and its Hessian.

With omega_n = w_n / sum w and lambda = 1 / (C sum w),

    F(W, b)      = sum_n omega_n (logsumexp_k z_nk - z_n,y_n) + lambda / 2 ||W||^2,        z_n = W x_n + b
    gradient     = sum_n omega_n (p_n - y_n) x_n' + lambda W,                              p_n = softmax(z_n)
    Hessian o V  = sum_n omega_n (diag(p_n) - p_n p_n') (V x_n) x_n' + lambda V

Where several processes hold rows, sums over rows are those of all of them, and arrays of rows are this process's.

Arrays are class-major, (K, N): both products then read the rows once, in order. Sums over rows that decide (losses,
slopes) are taken in float64.

See also: `newton.py` and `full_hessian.py`, which minimise it.

Source: Bishop (2006), "Pattern Recognition and Machine Learning", equations 4.108 to 4.110.
"""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from polylogit.solver.design_matrix import Design
from polylogit.system.processes import Processes

__all__ = ["Objective", "Softmax"]

_NUMBERS_A_BLOCK = 1 << 18


@dataclass(frozen=True)
class Softmax:
    """What one pass over the logits gives.

    Args:
        probabilities: p_n = softmax(z_n) of this process's rows.
        objective: F.
        class_means: sum_n omega_n p_n.
    """

    probabilities: Float[Tensor, "K N"]
    objective: float
    class_means: Float[Tensor, " K"]


@dataclass(frozen=True)
class Objective:
    """F and what it is made of.

    Args:
        design: The rows.
        targets: Class index of each row.
        omega: Share of each row in the mean, summing to 1 over the rows of all processes.
        penalty: lambda for each column, 0 for the intercept's.
        classes: K.
    """

    design: Design
    targets: Int[Tensor, " N"]
    omega: Float[Tensor, " N"]
    penalty: Float[Tensor, " D1"]
    classes: int

    @property
    def ridge(self) -> float:
        """lambda; 0 without a penalty."""
        return float(self.penalty[0])

    @property
    def processes(self) -> Processes:
        """Those that share the rows."""
        return self.design.processes

    def blocks(self) -> Iterator[slice]:
        """The rows in blocks whose logits stay in a cache: sums over rows need no second array of K x N."""
        rows = max(1024, _NUMBERS_A_BLOCK // self.classes)
        for start in range(0, self.design.rows, rows):
            yield slice(start, start + rows)

    def softmax(
        self,
        weight: Float[Tensor, "K D1"],
        logits: Float[Tensor, "K N"],
        *,
        out: Float[Tensor, "K N"] | None = None,
    ) -> Softmax:
        """The probabilities of logits, their means by class, and F.

        Args:
            weight: W; its penalty is part of F.
            logits: Z at W; not changed.
            out: Where the probabilities are written; a new array when left out.

        Returns:
            The probabilities in the logits' precision, and the sums.
        """
        probabilities = torch.empty_like(logits) if out is None else out
        sums = torch.zeros(self.classes + 1, dtype=torch.float64, device=logits.device)
        sums[0] = self._penalty_once(weight)
        for block in self.blocks():
            some, shares, omega = logits[:, block], probabilities[:, block], self.omega[block]
            largest = some.amax(0)
            torch.sub(some, largest, out=shares).exp_()
            normalizers = shares.sum(0)
            shares.div_(normalizers)
            losses = normalizers.log_().add_(largest).sub_(some.gather(0, self.targets[None, block])[0])
            sums[0] += omega @ losses.double()
            sums[1:] += shares @ omega.to(shares.dtype)
        sums = self.processes.total(sums)
        return Softmax(probabilities, float(sums[0]), sums[1:])

    def objective(self, weight: Float[Tensor, "K D1"], logits: Float[Tensor, "K N"]) -> float:
        """F at weights whose logits are known."""
        total = self._penalty_once(weight)
        for block in self.blocks():
            some = logits[:, block]
            losses = torch.logsumexp(some, 0) - some.gather(0, self.targets[None, block])[0]
            total += self.omega[block] @ losses.double()
        return float(self.processes.total(total))

    def _penalty_once(self, weight: Float[Tensor, "K D1"]) -> Float[Tensor, ""]:
        """The penalty of W on the first process and 0 on the others, as sums are taken over all of them."""
        penalty = 0.5 * (self.penalty * weight.square()).sum()
        return penalty if self.processes.rank == 0 else torch.zeros_like(penalty)

    def sums_of_targets(self, precision: torch.dtype) -> tuple[Float[Tensor, "K D1"], Float[Tensor, " K"]]:
        """sum_n omega_n y_n x_n' with products in a precision, and the class shares sum_n omega_n y_n, in float64."""
        chosen = torch.zeros(self.classes, self.design.rows, dtype=precision, device=self.design.device)
        chosen.scatter_(0, self.targets[None], self.omega[None].to(precision))
        shares = self.processes.total(chosen.sum(1, dtype=torch.float64))
        return self.design.adjoint_product(chosen).double(), shares

    def is_separated(self, logits: Float[Tensor, "K N"]) -> bool:
        """Whether every row with a weight has its largest logit at its class; log-probabilities will do as logits."""
        targets = self.targets[None]
        own = logits.gather(0, targets)[0]
        others = logits.scatter(0, targets, -math.inf).amax(0)
        return self.processes.all_true(bool((own > others)[self.omega > 0].all()))

    def residual_sums(self, probabilities: Float[Tensor, "K N"]) -> Float[Tensor, "K D1"]:
        """sum_n omega_n (p_n - y_n) x_n': the gradient without its penalty."""

        def residuals(block: slice) -> Tensor:
            targets = self.targets[None, block]
            some = probabilities[:, block].clone()
            some.scatter_add_(0, targets, some.new_full(targets.shape, -1))
            return some.mul_(self.omega[block].to(some.dtype))

        return self.design.adjoint_product_by_blocks(residuals, self.classes, probabilities.dtype)

    def softmax_hessian_product(
        self, probabilities: Float[Tensor, "K N"], block: slice, logit_change: Float[Tensor, "K B"]
    ) -> Float[Tensor, "K B"]:
        """omega_n (diag(p_n) - p_n p_n') v_n for each row n of a block and its v_n."""
        some = probabilities[:, block]
        product = some * logit_change
        product.addcmul_(some, product.sum(0), value=-1)
        return product.mul_(self.omega[block].to(product.dtype))

    def hessian_product(
        self, probabilities: Float[Tensor, "K N"], direction: Float[Tensor, "K D1"]
    ) -> tuple[Float[Tensor, "K D1"], Float[Tensor, "K N"]]:
        """H V, and V X' that it passes through."""
        adjoint, logit_change = self.design.gram_product(
            direction, probabilities.dtype, lambda block, some: self.softmax_hessian_product(probabilities, block, some)
        )
        return adjoint.addcmul_(self.penalty, direction), logit_change
