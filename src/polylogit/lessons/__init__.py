"""Lessons: the systems of five documents on softmax classification, with each printed number measured again.

`numbers/` holds what the documents print, `scores`, `draws` and so on build their systems from public
parts of polylogit, `running` measures and `comparison` compares. `catalogue` and `comparison` do not import torch.
"""
