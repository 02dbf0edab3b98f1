"""What is wrong with this model, loss and batch: the classic mistakes, found in the numbers.

    diagnose(model, loss, inputs, targets)      one batch, once: findings as data, readable when printed
    with watch(model, loss): ...                a loop of your own: its batches, losses, gradients, steps and labels

The files: `diagnosis` and `watching` are the two ways in. `probes` asks the model, `contracts` the loss, `loss_calls`
sees its calls, and `step_watch` and `label_watch` follow a loop. The `*_checks` draw the conclusions, and `findings`
holds them. Nothing reads the autograd graph, so views, `no_grad` and `torch.compile` change nothing.
"""

from polylogit.misuse.diagnosis import diagnose
from polylogit.misuse.findings import Diagnosis, Finding, MisuseFinding, MisuseWarning
from polylogit.misuse.watching import watch

__all__ = ["Diagnosis", "Finding", "MisuseFinding", "MisuseWarning", "diagnose", "watch"]
