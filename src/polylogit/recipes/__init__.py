"""Recipes: the options of a training run, checked as a whole, and the files that they are read from."""
