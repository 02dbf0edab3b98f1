"""The penalties of scikit-learn's objective, as the solver's objective with a row per class has them."""

import math

__all__ = ["elastic_net_penalties", "inverse_penalty"]


def inverse_penalty(C: float, classes: int) -> float:
    """The C to hand to `fit_softmax_regression` for the optimum of scikit-learn's objective at this C.

    With three or more classes the two objectives are the same. For two classes scikit-learn has one vector of
    coefficients u and the penalty ||u||^2 / 2. The solver has a row per class, -u/2 and u/2, whose squares sum to
    ||u||^2 / 2, of which its penalty is half: the same optimum is at C / 2.

    Args:
        C: Inverse strength of the penalty, as in scikit-learn's `LogisticRegression`; inf is no penalty.
        classes: Number of classes.

    Returns:
        The solver's C.

    Example:
        >>> inverse_penalty(1.0, classes=3), inverse_penalty(1.0, classes=2)
        (1.0, 0.5)

    Source: Friedman, Hastie and Tibshirani (2010), "Regularization paths for generalized linear models via coordinate
        descent", J. Stat. Softw. 33, section 4.1: the symmetric model with two classes.
    """
    return C / 2 if classes == 2 else C


def elastic_net_penalties(C: float, l1_ratio: float, classes: int) -> tuple[float, float]:
    """The two strengths to hand to `fit_softmax_regression` for scikit-learn's elastic net.

    The penalty is (1 - r) / 2 ||W||^2 + r ||W||_1 beside C times the losses. With two classes and rows -u/2 and u/2 the
    L1 norm of both rows is that of u, so that only the squares are scaled.

    Args:
        C: Inverse strength of the penalty, as in scikit-learn's `LogisticRegression`; inf is no penalty.
        l1_ratio: r, the share of the L1 norm, from 0 to 1.
        classes: Number of classes.

    Returns:
        The solver's C, inf where r is 1, and its l1.

    Example:
        >>> elastic_net_penalties(2.0, 0.5, classes=3), elastic_net_penalties(2.0, 1.0, classes=2)
        ((4.0, 0.25), (inf, 0.5))

    Source: Zou and Hastie (2005), "Regularization and variable selection via the elastic net", J. R. Stat. Soc. B 67.
    """
    squares = math.inf if l1_ratio == 1 else inverse_penalty(C / (1 - l1_ratio), classes)
    return squares, l1_ratio / C
