"""The training loop of networks: what comes in is checked, and then the epochs run.

The data are one tensor on the device (pictures as uint8), or files where they are too big for that; each batch is
selected by its rows, augmented and prepared (say, normalised).

See also: `running_fit.py` (steps and epochs), `training_rows.py` (batches and checks), `optimizers.py`,
`checkpoint.py`, `polylogit.networks`.
"""

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import torch
from jaxtyping import Float, Num, Shaped
from torch import Tensor, nn

from polylogit.data.pictures.stored import StoredPictures
from polylogit.fitting.callbacks import TrainingCallback
from polylogit.fitting.checkpoint import Checkpoint
from polylogit.fitting.forward import network_logits, prepare_batch
from polylogit.fitting.history import EpochRecord, FitResult
from polylogit.fitting.interrupt import listening_for_interrupt
from polylogit.fitting.memory import check_batch_fits_memory, keeps_freed_memory, values_in_a_row
from polylogit.fitting.options import TrainingOptions
from polylogit.fitting.running_fit import RunningFit
from polylogit.fitting.training_rows import TrainingRows, check_shapes, check_targets, check_weights
from polylogit.losses import cross_entropy_with_logits
from polylogit.misuse.diagnosis import findings_of_model
from polylogit.misuse.findings import Diagnosis
from polylogit.misuse.warning_place import warn_at_users_line
from polylogit.plural import counted
from polylogit.system.processes import Processes
from polylogit.system.sparse_rows import SparseRows

if TYPE_CHECKING:
    import torch.distributed as dist

__all__ = ["fit_network"]

_DIAGNOSED_ROWS = 256


def fit_network(
    network: nn.Module,
    inputs: Num[Tensor, "N ..."] | StoredPictures | SparseRows,
    targets: Shaped[Tensor, "N ..."],
    *,
    options: TrainingOptions,
    validation: tuple[Tensor | StoredPictures | SparseRows, Tensor] | None = None,
    class_weight: Float[Tensor, " K"] | None = None,
    sample_weight: Float[Tensor, " rows"] | None = None,
    validation_weight: Float[Tensor, " validation_rows"] | None = None,
    prepare: Callable[[Tensor], Tensor] | None = None,
    augment: Callable[[Tensor], Tensor] | None = None,
    device: torch.device | None = None,
    on_epoch: Callable[[EpochRecord], None] | None = None,
    callbacks: Sequence[TrainingCallback] = (),
    checkpoint: Checkpoint | None = None,
    check_misuse: bool = True,
    process_group: "dist.ProcessGroup | None" = None,
    observers: Sequence[TrainingCallback] | None = None,
) -> FitResult:
    """Fit a network that gives logits; its weights are changed in place.

    A network in training mode keeps those of its modules that are in evaluation mode there (a frozen normalisation);
    one in evaluation mode is trained as a whole, but for modules whose parameters are all frozen. Afterwards it is in
    evaluation mode, on `device`, in the memory format that it had.

    Args:
        network: Any module from prepared inputs to logits (N, K).
        inputs: Rows of any dtype, in memory once and as they are; or pictures that stay in their files.
        targets: Class indices (N,) in [0, K), of any integer dtype; or rows over the classes (N, K), one-hot or soft.
        options: How to fit.
        validation: Inputs and targets of the validation set, which is evaluated after every epoch.
        class_weight: Weight of each class in the objective; 1 when left out.
        sample_weight: Weight of each row in the objective; 1 when left out.
        validation_weight: Weight of each validation row in their loss and accuracy; 1 when left out.
        prepare: From a batch of inputs to the network's inputs, as in prediction.
        augment: Changes a batch of inputs at random before it is prepared; only in training.
        device: Device of the computation; the CPU when left out.
        on_epoch: Called after each epoch, with the network as it then stands.
        callbacks: Training callbacks; see `polylogit.fitting.callbacks`.
        checkpoint: The file of the fit's state, from which an interrupted fit resumes.
        check_misuse: Whether to run the checks of `polylogit.misuse.diagnose` on the first batch, before the first
            step: at most 40 passes over at most 256 rows. Findings are warned of (`MisuseWarning`), shown to the
            callbacks and kept in the result's `misuse`, which says what was examined.
        process_group: The processes that fit the network together, of which this is one; None: this process alone. All
            pass the same network, rows and options, and each computes a share of every batch, so that the fit is that
            of one process but for rounding, where the network's layers draw numbers or take batches as a whole in
            `nn.Dropout` and batch normalisation only, and `augment` is an `Augmentation`. Every process gets the same
            weights and history. `callbacks` and `on_epoch` are called on the processes that pass them; the first alone
            may pass a checkpoint.
        observers: Deprecated: the former name of `callbacks`.

    Returns:
        The history and how the fit ended.

    Raises:
        DataError: The rows, targets and weights do not fit together; a class index is out of range, a soft row does
            not sum to 1, a weight is negative; the network's logits are not (N, K); or an input is NaN or infinite.
        RecipeError: An option does not fit the data, or the memory does not suffice.
        DivergenceError: The loss was NaN or infinite before one epoch was whole.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> inputs, targets = torch.eye(3).repeat(8, 1), torch.arange(3).repeat(8)
        >>> network, options = nn.Linear(3, 3), TrainingOptions(epochs=30, batch_size=8, learning_rate=0.1)
        >>> fit = fit_network(network, inputs, targets, options=options)
        >>> fit.epochs, fit.history[-1].train_loss < 0.1
        (30, True)

    Source: Goodfellow, Bengio and Courville (2016), Deep Learning, algorithms 7.1 (early stopping) and 8.1.
    """
    if observers is not None:
        warnings.warn("fit_network: observers is now called callbacks.", DeprecationWarning, stacklevel=2)
        callbacks = (*callbacks, *observers)
    device = device or torch.device("cpu")
    processes = Processes(process_group)
    # The step calls the compiled network; all else (state, copies, prediction) concerns the module inside.
    compiled, network = network, getattr(network, "_orig_mod", network)
    rows = TrainingRows(inputs, targets, class_weight, sample_weight, prepare, augment)

    def checked() -> tuple[TrainingRows, tuple[Tensor | StoredPictures | SparseRows, Tensor] | None, int, list[int]]:
        check_shapes(rows, options, validated=validation is not None)
        with values_in_a_row(network) as values:
            shape = network_logits(network, inputs[:1], prepare=prepare).shape
        classes = shape[1]
        check_weights("class_weight", class_weight, classes, "class")
        of_validation = None
        if validation is not None:
            of_validation = (validation[0], check_targets("validation targets", validation[1], shape))
            check_weights("validation_weight", validation_weight, len(of_validation[1]), "row")
        return replace(rows, targets=check_targets("targets", targets, shape)), of_validation, classes, values

    rows, validation, classes, values = processes.together(checked)
    network.to(device)
    rows = rows.on(device)
    with _channels_last(network) if inputs.ndim == 4 else nullcontext():
        misuse = _diagnose_first_batch(network, rows, options, callbacks) if check_misuse else None
        fit = RunningFit(
            forward=compiled,
            network=network,
            rows=rows,
            classes=classes,
            options=options,
            validation=validation,
            validation_weight=validation_weight,
            device=device,
            checkpoint=checkpoint,
            callbacks=callbacks,
            processes=processes,
        )
        largest = -(-max(last - first for first, last in fit.batches) // processes.size)
        processes.together(
            partial(check_batch_fits_memory, network, sum(values), largest, options, device, bfloat16=fit.bfloat16)
        )
        fit.keeps_freed_memory = keeps_freed_memory(network, values, largest, options, device, bfloat16=fit.bfloat16)
        with listening_for_interrupt() as interrupt:
            result = fit.run(interrupt, on_epoch)
            return replace(result, misuse=misuse, asked_to_stop=interrupt.asked)


def _diagnose_first_batch(
    network: nn.Module, rows: TrainingRows, options: TrainingOptions, callbacks: Sequence[TrainingCallback]
) -> Diagnosis:
    """The misuse findings for the first rows, each warned of and shown to the callbacks."""
    first = slice(0, min(len(rows.targets), _DIAGNOSED_ROWS))
    inputs = prepare_batch(next(rows.batches([first])), rows.prepare)
    loss = partial(cross_entropy_with_logits, label_smoothing=options.label_smoothing)
    findings = findings_of_model(network, loss, inputs, rows.targets_of(first))
    found = Diagnosis(findings, f"first batch, {counted(first.stop, 'row')}")
    for finding in found:
        warn_at_users_line(f"fit_network, first batch: {finding}")
    for callback in callbacks:
        callback.misuse_checked(found)
    return found


@contextmanager
def _channels_last(network: nn.Module) -> Iterator[None]:
    """Lay the kernels of a network out with their channels last, and restore their layout afterwards."""
    changed = [value for value in network.parameters() if value.ndim == 4 and value.is_contiguous()]
    network.to(memory_format=torch.channels_last)
    try:
        yield
    finally:
        for value in changed:
            value.data = value.data.contiguous()
