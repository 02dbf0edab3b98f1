"""The networks: one kind a file, each from features to logits."""
