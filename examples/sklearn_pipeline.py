"""A scikit-learn pipeline that chooses its penalty by cross-validation and becomes a model file for the command line.

python sklearn_pipeline.py
polylogit predict wine.safetensors wine.csv --out classes.csv
"""

from pathlib import Path

from sklearn.datasets import load_wine
from sklearn.model_selection import GridSearchCV, train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from polylogit import SoftmaxRegression
from polylogit.estimators.conversion import to_classifier


def main() -> None:
    """Fit, evaluate on held-out rows, write the model and the rows without their classes."""
    wine = load_wine(as_frame=True)
    X_train, X_test, y_train, y_test = train_test_split(wine.data, wine.target, random_state=0, stratify=wine.target)
    pipeline = make_pipeline(StandardScaler(), SoftmaxRegression())
    search = GridSearchCV(pipeline, {"softmaxregression__C": [0.01, 0.1, 1.0, 10.0]}, scoring="neg_log_loss")
    search.fit(X_train, y_train)
    best = search.best_estimator_
    print(f"C = {search.best_params_['softmaxregression__C']:g}, log loss {-search.best_score_:.3f} (cross-validated)")
    print(f"accuracy on {len(y_test)} held-out rows: {best.score(X_test, y_test):.3f}")
    print(f"certified relative gap: {best[-1].optimality_gap_:.1e}")
    to_classifier(best).save(Path("wine.safetensors"))
    X_test.to_csv("wine.csv", index=False)


if __name__ == "__main__":
    main()
