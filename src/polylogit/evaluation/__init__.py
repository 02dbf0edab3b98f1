"""The judgement: pure functions of logits and targets."""
