"""The exact solver of softmax regression, with a bound on how far its answer can be from the optimum."""
