"""scikit-learn compatible estimators: exact softmax regression, its cross-validated path, and a neural network."""
