"""What is wrong with this model, loss and batch: the classic mistakes, found in the numbers.

    diagnose(model, loss, inputs, targets)      one batch, once: findings as data, readable when printed
    with watch(model, loss): ...                a loop of your own: its first batch, and a loss that stays at log K

The files: `diagnosis` and `watching` are the two ways in; `probes` asks the model, `contracts` the loss, `forms` tells
what scores look like; `score_checks` and `target_checks` draw the conclusions, `findings` holds them. Nothing reads the
autograd graph, so views, `no_grad` and `torch.compile` change nothing.
"""

from polylogit.misuse.diagnosis import diagnose
from polylogit.misuse.findings import Diagnosis, Finding, MisuseFinding, MisuseWarning
from polylogit.misuse.watching import watch

__all__ = ["Diagnosis", "Finding", "MisuseFinding", "MisuseWarning", "diagnose", "watch"]
