"""Fitting: the exact linear solver and the training loop."""
