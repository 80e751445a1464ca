"""After fitting: batch-norm statistics and class means, into the checkpoints that are kept."""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, TypeAlias

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import WeightAveraging
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch import Tensor, nn
from torchmetrics import CatMetric

from lightning_ecinn.callbacks.kept_checkpoints import (
    kept_files,
    named_files,
    tell_loggers,
    write_whole_files,
)
from lightning_ecinn.ecinn.certificates import even_quantiles
from lightning_ecinn.ecinn.class_means import ClassMeans, check_significance
from lightning_ecinn.progress import progress_bar
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.batches import share_training_batches, shuffle_training_batches
from lightning_ecinn.training.fitted_step import use_step
from lightning_ecinn.whole_files import WriteError

__all__ = ["BuildClassMeans", "are_equal", "build_class_means", "reestimate_batch_norm"]

State: TypeAlias = dict[str, Tensor]


class BuildClassMeans(pl.Callback):
    """Make every kept checkpoint of a finished fit able to explain.

    For each file that the trainer's checkpoint callbacks keep (or, where they keep none, for the
    module as it is): batch-norm statistics are estimated again over the training set, then the
    mean latent of the training images classified as each class is computed in float64 (Section
    3.3), each image once under any number of processes, and the quantiles of these images' log p,
    for certificates. All are written into the file, and loggers are told, because some upload it.
    Afterwards the module holds the best checkpoint's weights. A checkpoint saved while training
    has no means, not even those of the weights that the training began with.

    Args:
        batch_norm: whether to re-estimate the batch-norm statistics, where training with `realism`
            has not frozen them.
        significance: level, such as 0.05, at which classes must differ in a latent for their means
            to differ in it, see `significant_means` in ``lightning_ecinn.ecinn.class_means``;
            nothing, as in the paper, keeps every difference.

    Attributes:
        is_done: whether every kept checkpoint of this training has its means.

    Example:
        >>> callbacks = make_callbacks(class_means=BuildClassMeans(significance=0.05))
        >>> type(callbacks[0]).__name__, callbacks[0].batch_norm
        ('BuildClassMeans', True)
    """

    def __init__(self, batch_norm: bool = True, significance: float | None = None):
        check_significance(significance)
        self.batch_norm = batch_norm
        self.significance = significance
        self.is_done = False
        self._named: dict[str, None] = {}

    def setup(self, trainer: pl.Trainer, pl_module: pl.LightningModule, stage: str) -> None:
        """Let the files be written whole."""
        write_whole_files(trainer)
        self._named = {}
        self.is_done = False

    def on_train_start(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Forget the means of weights that are about to change."""
        averaged = [c._average_model.module for c in _averaging(trainer) if c._average_model]
        for module in (pl_module, *averaged):
            if isinstance(module, IBINN):
                _forget_class_means(module)

    def on_train_batch_start(
        self, trainer: pl.Trainer, pl_module: pl.LightningModule, batch: Any, batch_idx: int
    ) -> None:
        """Note the newest files: a callback that keeps all of them knows only the newest."""
        self._named.update(dict.fromkeys(named_files(trainer)))

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Build the means for each kept checkpoint.

        Raises:
            WriteError: they could not be written; says how to build them.
        """
        if trainer.interrupted or not trainer.num_training_batches:
            return
        for averaging in _averaging(trainer):
            averaging._average_model = None  # or it would take the module's place in a test
        if not isinstance(pl_module, IBINN):
            return
        if trainer.progress_bar_callback is not None:  # or two bars would fight for one line
            trainer.progress_bar_callback.teardown(trainer, pl_module, "fit")
        if paths := kept_files(trainer, self._named):
            self._build_into(trainer, pl_module, paths)
            tell_loggers(trainer)
        else:
            self.build(trainer, pl_module)
        self.is_done = True

    def build(self, trainer: pl.Trainer, pl_module: IBINN) -> None:
        """Re-estimate batch norm if wished, then build the means, for the module as it is.

        Statistics that were frozen while a critic and a witness looked stay: what these taught was
        for a network with them.
        """
        if self.batch_norm and not _is_frozen(pl_module):
            reestimate_batch_norm(trainer, pl_module)
        build_class_means(trainer, pl_module, self.significance)

    def _build_into(self, trainer: pl.Trainer, pl_module: IBINN, paths: Sequence[str]) -> None:
        """Build the means of each file and put them into it; the module ends as the best one."""
        best = getattr(trainer.checkpoint_callback, "best_model_path", "")
        trained: State = {}
        for number, path in enumerate(paths):
            content = trainer.strategy.load_checkpoint(path, weights_only=True)
            if not are_equal(content["state_dict"], trained):  # often the last is the best
                rank_zero_info(f"Building the class means of {Path(path).name}")
                trained = content["state_dict"]
                pl_module.load_state_dict(trained)
                self.build(trainer, pl_module)
                state = {key: value.cpu() for key, value in pl_module.state_dict().items()}
            content["state_dict"] = state
            trainer.strategy.barrier("every process has read the checkpoint")
            _save(trainer, content, path, others=len(paths) - number - 1)
            if path == best:
                best_state = {key: value.clone() for key, value in state.items()}
        if best in paths:
            pl_module.load_state_dict(best_state)


@torch.no_grad()
def build_class_means(
    trainer: pl.Trainer, pl_module: IBINN, significance: float | None = None
) -> None:
    """Fill the classifier's ``class_means``, ``class_counts`` and ``log_prob_quantiles``.

    All are of the training images without noise, in evaluation mode.
    """
    classifier = pl_module.classifier.eval()
    folded = classifier.folded()
    metric = ClassMeans(classifier.num_classes, classifier.num_dims, significance)
    metric = metric.to(pl_module.device)
    log_probs = CatMetric(nan_strategy="disable").to(pl_module.device).set_dtype(torch.float64)
    batches = share_training_batches(trainer)
    for images in _images(trainer, pl_module, batches, "class means"):
        z, log_det = folded.encode(images)
        metric.update(z, classifier.mixture.log_posterior(z).argmax(1))
        log_probs.update(classifier.mixture.log_prob(z) + log_det)
    means, counts = metric.compute()
    classifier.class_means.copy_(means)
    classifier.class_counts.copy_(counts)
    classifier.log_prob_quantiles.copy_(
        even_quantiles(log_probs.compute(), len(classifier.log_prob_quantiles))
    )
    if missing := classifier.classes_without_mean:
        rank_zero_warn(
            f"No training image is classified as {', '.join(missing)}: nothing can be explained "
            "from or to a class without a mean. Train longer."
        )


@torch.no_grad()
def reestimate_batch_norm(trainer: pl.Trainer, pl_module: IBINN) -> None:
    """Batch-norm statistics as averages over the training set in training noise.

    Every process goes through the same batches in the same order, so that all end with the same
    statistics without exchanging any. Not torch's ``update_bn``: that switches dropout on too.
    """
    kind = nn.modules.batchnorm._BatchNorm  # of a witness, which sees nothing here, they stay
    layers = [m for m in pl_module.classifier.modules() if isinstance(m, kind)]
    if not layers:
        return
    classifier = pl_module.classifier
    torch.manual_seed(0)  # the same noise on every process
    with _averaging_statistics(pl_module, layers):
        batches = shuffle_training_batches(trainer)
        for images in _images(trainer, pl_module, batches, "batch-norm statistics"):
            v = classifier.preprocessing(images, dequantize=True, noise=pl_module.hparams["noise"])
            classifier.flow(v)


@contextmanager
def _averaging_statistics(
    pl_module: IBINN, layers: Sequence[nn.modules.batchnorm._BatchNorm]
) -> Iterator[None]:
    """Batch norm accumulates a plain average; everything else is in evaluation mode."""
    momenta = [layer.momentum for layer in layers]
    pl_module.eval()
    for layer in layers:
        layer.reset_running_stats()
        layer.momentum = None
        layer.train()
    try:
        yield
    finally:
        for layer, momentum in zip(layers, momenta, strict=True):
            layer.momentum = momentum
        pl_module.eval()


def _images(
    trainer: pl.Trainer, pl_module: IBINN, batches: Iterable[Any], title: str
) -> Iterator[Tensor]:
    """Images of batches on the module's device: every pass over them goes through here."""
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        batches = islice(batches, trainer.num_training_batches)  # type: ignore[arg-type]
    shown = trainer.is_global_zero and trainer.progress_bar_callback is not None
    for batch in progress_bar(batches, title, unit=" batches", shown=shown):
        yield batch[0].to(pl_module.device)


def _is_frozen(module: IBINN) -> bool:
    """Whether a critic has looked at counterfactuals: since then batch norm is frozen."""
    return module.realism is not None and bool(module.realism.seen.any())


def _forget_class_means(module: IBINN) -> None:
    """Leave a classifier without class means, and without what is fitted when they are built."""
    classifier = module.classifier
    for buffer in (classifier.class_means, classifier.class_counts, classifier.log_prob_quantiles):
        buffer.zero_()
    classifier.mixture.temperature.fill_(1)
    use_step(module, None)


def _averaging(trainer: pl.Trainer) -> list[WeightAveraging]:
    callbacks: list[pl.Callback] = trainer.callbacks  # type: ignore[attr-defined]
    return [callback for callback in callbacks if isinstance(callback, WeightAveraging)]


def are_equal(state: State, other: State) -> bool:
    """Whether two states hold the same tensors by the same names."""
    return state.keys() == other.keys() and all(torch.equal(state[k], other[k]) for k in state)


def _save(trainer: pl.Trainer, content: dict[str, Any], path: str, others: int) -> None:
    """Replace a checkpoint in one step: at every moment there is a whole file."""
    problem = None
    try:
        trainer.strategy.save_checkpoint(content, path)
        trainer.strategy.checkpoint_io.teardown()  # one that writes in the background
    except OSError as error:
        problem = (error.errno, error.strerror or str(error))
    problem = trainer.strategy.broadcast(problem)  # or other processes would wait for the first
    if problem is not None:
        these = f" and {others} more" if others else ""
        command = f"python -m lightning_ecinn means --ckpt_path {shlex.quote(path)}"
        reason = (
            f"{problem[1]}; this checkpoint{these} stayed as trained, without class means: make "
            f"room, then build them with `{command}`"
        )
        raise WriteError(Path(path), OSError(problem[0], reason))
