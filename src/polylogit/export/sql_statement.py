"""The SELECT that scores a table: cells, features, logits, calibration and softmax, one stage after the other."""

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlglot import exp

from polylogit.calibration.calibration import Calibration
from polylogit.calibration.decision_rule import DecisionRule
from polylogit.classifier import Classifier
from polylogit.data.tables.encoder import TableEncoder
from polylogit.errors import ExportError
from polylogit.export.sql_dialects import SqlDialect
from polylogit.export.sql_expressions import as_number, case, column, exponential, largest, literal, number, sum_of
from polylogit.export.sql_features import SqlFeatures
from polylogit.networks import LinearNetwork

__all__ = ["select_statement"]


def select_statement(classifier: Classifier, dialect: SqlDialect, table: str, carry: Sequence[str] = ()) -> Any:  # noqa: ANN401
    """The statement as a tree of sqlglot.

    Args:
        classifier: A linear model of a table.
        dialect: The dialect that it is written in.
        table: The table that it reads; a schema before it is separated by a dot.
        carry: Columns that precede the prediction.

    Returns:
        SELECT carried columns, class, and a probability per class.

    Raises:
        ExportError: The model is not linear or takes pictures, or a column cannot be exported.
    """
    encoder, network = classifier.preprocessing, classifier.network
    if not isinstance(encoder, TableEncoder):
        raise ExportError("a model of pictures cannot be exported to SQL. Export it with --to onnx or --to torch.")
    if not isinstance(network, LinearNetwork):
        raise ExportError(
            f"a {classifier.network_spec.kind} network cannot be exported to SQL, a linear model can. Export it with "
            "--to onnx, or train with --model linear."
        )
    features = SqlFeatures(encoder, network.linear.weight.detach().double().numpy(), dialect)
    carried = {f"carried{place}": column(name) for place, name in enumerate(carry)}
    stages = _Stages(table, list(carried), materialized=dialect.has_materialized)
    stages.add("cells", carried | features.cells, carried={})
    stages.add("features", features.features)
    bias = network.linear.bias.double().tolist()
    logits = [
        sum_of([number(value), *(terms[at] for terms in features.terms)]) if features.terms else number(value)
        for at, value in enumerate(bias)
    ]
    stages.add("logits", _named(logits))
    _add_calibration(stages, classifier.calibration, len(bias), dialect.name)
    if classifier.decision is not None:
        _add_decision(stages, classifier.decision, classifier.calibration.uniform_share, len(bias), dialect.name)
    return _answer(stages, classifier, carry)


class _Stages:
    """Common table expressions, each of which reads the one before."""

    def __init__(self, table: str, carried: Sequence[str], *, materialized: bool) -> None:
        parts = [exp.to_identifier(part, quoted=True) for part in table.split(".")]
        if not 1 <= len(parts) <= 3 or not all(table.split(".")):
            raise ExportError(f'--table "{table}": expected a name, with its schema and catalogue before it if needed.')
        self._source: Any = exp.Table(**dict(zip(("this", "db", "catalog"), reversed(parts), strict=False)))
        self._of_table = {part.name.lower() for part in parts}
        self._carried = carried
        self._materialized = materialized or None
        self._ctes: list[tuple[str, Any]] = []

    def add(self, name: str, values: Mapping[str, Any], carried: Mapping[str, Any] | None = None) -> None:
        """A stage that computes these values from those of the stage before it."""
        passed = {each: column(each) for each in self._carried} if carried is None else carried
        name = f"{name}{len(self._ctes) + 1}"
        while name in self._of_table:  # databases compare names without case, and a stage would read itself
            name += "_"
        self._ctes.append((name, _selected({**passed, **values}.items(), self._source)))
        self._source = exp.Table(this=exp.to_identifier(name, quoted=True))

    def select(self, values: Sequence[tuple[str, Any]]) -> Any:  # noqa: ANN401
        """The last stage, with all others before it."""
        statement = _selected(values, self._source)
        for name, query in self._ctes:
            alias = exp.to_identifier(name, quoted=True)
            statement = statement.with_(alias, as_=query, materialized=self._materialized, copy=False)
        return statement


def _selected(values: Iterable[tuple[str, Any]], source: Any) -> Any:  # noqa: ANN401
    """SELECT value AS name, ... FROM source."""
    named = [exp.alias_(value, name, quoted=True, copy=False) for name, value in values]
    return exp.Select(expressions=named).from_(source, copy=False)


def _named(scores: Sequence[Any]) -> dict[str, Any]:
    return {f"z{place}": score for place, score in enumerate(scores)}


def _scores(classes: int) -> list[Any]:
    return [column(f"z{place}") for place in range(classes)]


def _add_log_softmax(stages: _Stages, classes: int, dialect: str) -> None:
    """Scores become log-probabilities: z - log sum exp z, without overflow."""
    scores = _scores(classes)
    stages.add("largest", _named(scores) | {"largest": largest(scores, dialect)})
    shifted = [exp.paren(exp.Sub(this=score, expression=column("largest"))) for score in scores]
    total = exp.Ln(this=sum_of([exponential(each) for each in shifted]))
    stages.add("total", _named(shifted) | {"total": total})
    stages.add("log", _named([exp.Sub(this=score, expression=column("total")) for score in _scores(classes)]))


def _add_calibration(stages: _Stages, calibration: Calibration, classes: int, dialect: str) -> None:
    """The parts in the order of `Calibration`; at the end come log-probabilities, without the uniform share."""
    scores = _scores(classes)
    if (quadratic := calibration.quadratic) is not None:
        _add_log_softmax(stages, classes, dialect)
        slope, curvature = number(quadratic.slope), number(quadratic.curvature)
        slopes = [exp.Sub(this=slope, expression=exp.Mul(this=curvature, expression=score)) for score in scores]
        curved = [exp.Mul(this=z, expression=exp.paren(each)) for z, each in zip(scores, slopes, strict=True)]
        stages.add("curved", _named(curved))
    if calibration.temperature != 1:
        divided = [exp.Div(this=score, expression=number(calibration.temperature), typed=False) for score in scores]
        stages.add("divided", _named(divided))
    for scaling, of_logs in ((calibration.vector_scaling, False), (calibration.structured_scaling, True)):
        if scaling is None:
            continue
        if of_logs:
            _add_log_softmax(stages, classes, dialect)
        others = getattr(scaling, "off_diagonal", None) or [[0.0] * classes] * classes
        mapped = []
        for place, (factor, bias) in enumerate(zip(scaling.scale, scaling.bias, strict=True)):
            factors = [factor + others[place][at] if at == place else others[place][at] for at in range(classes)]
            terms = [exp.Mul(this=number(w), expression=z) for w, z in zip(factors, scores, strict=True) if w]
            mapped.append(sum_of([*terms, number(bias)]))
        stages.add("scaled", _named(mapped))
    _add_log_softmax(stages, classes, dialect)


def _add_decision(stages: _Stages, rule: DecisionRule, share: float, classes: int, dialect: str) -> None:
    """Beside the log-probabilities the expected cost of each class, times a factor that is the same for all classes."""
    kept = _named(_scores(classes))
    logs = [_mixed(score, share, classes) for score in _scores(classes)]
    if share:
        logs = [exp.Ln(this=each) for each in logs]
    ratios = rule.log_ratios() or (0.0,) * classes
    possible = [place for place, ratio in enumerate(ratios) if ratio > -math.inf]
    shifted = {f"s{place}": sum_of([logs[place], number(ratios[place])]) for place in possible}
    stages.add("shifted", kept | shifted)
    scores = [column(name) for name in shifted]
    top = largest(scores, dialect) if len(scores) > 1 else scores[0]
    stages.add("top", kept | {name: column(name) for name in shifted} | {"largest": top})
    odds = {name: exponential(exp.paren(exp.Sub(this=column(name), expression=column("largest")))) for name in shifted}
    stages.add("odds", kept | odds)
    costs = rule.costs or [[float(true != decided) for decided in range(classes)] for true in range(classes)]
    # a cost of 0 stays: the sum of a refused row must be null
    expected = [
        sum_of([exp.Mul(this=number(costs[true][decided]), expression=column(f"s{true}")) for true in possible])
        for decided in range(classes)
    ]
    stages.add("costs", kept | {f"cost{place}": cost for place, cost in enumerate(expected)})


def _mixed(score: Any, share: float, classes: int) -> Any:  # noqa: ANN401
    """The probability of a log-probability, mixed with the uniform distribution; without a share the score itself."""
    if not share:
        return score
    kept = exp.Mul(this=number(1 - share), expression=exp.paren(exponential(score)))
    return exp.Add(this=kept, expression=number(share / classes))


def _answer(stages: _Stages, classifier: Classifier, carry: Sequence[str]) -> Any:  # noqa: ANN401
    names, share = classifier.class_names, classifier.calibration.uniform_share
    scores = _scores(len(names))
    probabilities = [_mixed(score, share, len(names)) if share else exponential(score) for score in scores]
    # The first of the largest scores or least costs; each comparison is null where the row is refused.
    ranked, better = scores, "GTE"
    if classifier.decision is not None:
        ranked, better = [column(f"cost{place}") for place in range(len(names))], "LTE"
    branches = [
        (
            exp.and_(*(getattr(exp, better)(this=each, expression=other) for other in ranked if other is not each)),
            literal(name),
        )
        for each, name in zip(ranked, names, strict=True)
    ]
    answers = [(name, column(f"carried{place}")) for place, name in enumerate(carry)]
    answers += [("class", case(branches))]
    answers += [(f"probability_{name}", as_number(each)) for name, each in zip(names, probabilities, strict=True)]
    doubled = {name for name, _ in answers if [other for other, _ in answers].count(name) > 1}
    if doubled:
        raise ExportError(f'--carry "{min(doubled)}": the statement has two columns of this name. Carry others.')
    return stages.select(answers)
