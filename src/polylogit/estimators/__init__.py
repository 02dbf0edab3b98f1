"""scikit-learn's face of polylogit: estimators that fit, predict and can be cloned, searched and put in pipelines."""
