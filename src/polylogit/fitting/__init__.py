"""Fitting networks: the training loop and its parts."""
