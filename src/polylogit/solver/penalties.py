"""The inverse penalty strength C of scikit-learn's objective, as the solver's objective with a row per class has it."""

__all__ = ["inverse_penalty"]


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
