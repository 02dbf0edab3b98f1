"""Pretrained networks as feature extractors for pictures: which there are, their weights, and features in a cache."""
