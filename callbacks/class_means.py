"""After fitting: batch-norm statistics and class means, into the checkpoints that are kept."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

import pytorch_lightning as pl
import torch
from pytorch_lightning.callbacks import ModelCheckpoint
from pytorch_lightning.utilities import rank_zero_info, rank_zero_warn
from torch import nn
from torchmetrics import CatMetric
from tqdm.auto import tqdm

from lightning_ecinn.ecinn.certificates import even_quantiles
from lightning_ecinn.ecinn.class_means import ClassMeans, check_significance
from lightning_ecinn.training import IBINN
from lightning_ecinn.training.batches import share_training_batches, shuffle_training_batches

__all__ = ["BuildClassMeans", "build_class_means", "reestimate_batch_norm"]


class BuildClassMeans(pl.Callback):
    """Make every kept checkpoint of a finished fit able to explain.

    For the last and the best checkpoint (or, without checkpoints, for the module as it is):
    batch-norm statistics are estimated again over the training set, then the mean latent of the
    training images classified as each class is computed in float64 (Section 3.3), each image
    once under any number of processes, and the quantiles of these images' log p, for
    certificates. All are written into the checkpoint. Afterwards the module holds the best
    checkpoint's weights.

    Args:
        batch_norm: whether to re-estimate the batch-norm statistics.
        significance: level, such as 0.05, at which classes must differ in a latent for their means
            to differ in it, see `significant_means` in ``lightning_ecinn.ecinn.class_means``;
            nothing, as in the paper, keeps every difference.

    Example:
        >>> callbacks = make_callbacks(class_means=BuildClassMeans(significance=0.05))
        >>> type(callbacks[0]).__name__, callbacks[0].batch_norm
        ('BuildClassMeans', True)
    """

    def __init__(self, batch_norm: bool = True, significance: float | None = None):
        check_significance(significance)
        self.batch_norm = batch_norm
        self.significance = significance

    def on_fit_end(self, trainer: pl.Trainer, pl_module: pl.LightningModule) -> None:
        """Build the means for each kept checkpoint, the best one last."""
        if not isinstance(pl_module, IBINN) or trainer.interrupted:
            return
        if trainer.progress_bar_callback is not None:  # or two bars would fight for one line
            trainer.progress_bar_callback.teardown(trainer, pl_module, "fit")
        paths = _kept_checkpoints(trainer)
        if not paths:
            self.build(trainer, pl_module)
        built_for = None
        for path in paths:
            state = torch.load(path, map_location="cpu", weights_only=True)
            if state["global_step"] != built_for:  # often the last is the best
                rank_zero_info(f"Building the class means of {path.name}")
                pl_module.load_state_dict(state["state_dict"])
                self.build(trainer, pl_module)
                built_for = state["global_step"]
            trainer.strategy.barrier("every process has read the checkpoint")
            if trainer.is_global_zero:
                _save(path, state, pl_module)
            trainer.strategy.barrier("class means saved")

    def build(self, trainer: pl.Trainer, pl_module: IBINN) -> None:
        """Re-estimate batch norm if wished, then build the means, for the module as it is."""
        if self.batch_norm:
            reestimate_batch_norm(trainer, pl_module)
        build_class_means(trainer, pl_module, self.significance)


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
    layers = [m for m in pl_module.modules() if isinstance(m, nn.modules.batchnorm._BatchNorm)]
    if not layers:
        return
    classifier = pl_module.classifier
    torch.manual_seed(0)  # the same noise on every process
    with _averaging(pl_module, layers):
        batches = shuffle_training_batches(trainer)
        for images in _images(trainer, pl_module, batches, "batch-norm statistics"):
            v = classifier.preprocessing(images, dequantize=True, noise=pl_module.hparams["noise"])
            classifier.flow(v)


@contextmanager
def _averaging(
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
) -> Iterator[torch.Tensor]:
    if trainer.fast_dev_run:  # type: ignore[attr-defined]
        batches = islice(batches, trainer.num_training_batches)  # type: ignore[arg-type]
    shown = trainer.is_global_zero and trainer.progress_bar_callback is not None
    hidden = None if shown else True  # None: hidden unless on a terminal
    for batch in tqdm(batches, desc=title, leave=False, mininterval=1.0, disable=hidden):
        yield batch[0].to(pl_module.device)


def _kept_checkpoints(trainer: pl.Trainer) -> list[Path]:
    """Last, then best, each file of this run once; paths are those of the first process."""
    found: dict[Path, Path] = {}
    callbacks = [c for c in trainer.checkpoint_callbacks if isinstance(c, ModelCheckpoint)]
    for name in ("last_model_path", "best_model_path"):
        for callback in callbacks:
            path = Path(getattr(callback, name) or "none")
            if path.is_file() and path.parent == Path(callback.dirpath or ""):
                found[path.resolve()] = path
    return trainer.strategy.broadcast(list(found.values()))


def _save(path: Path, checkpoint: dict[str, Any], pl_module: IBINN) -> None:
    """Replace a checkpoint in one step: at every moment there is a whole file."""
    checkpoint["state_dict"] = {key: v.cpu() for key, v in pl_module.state_dict().items()}
    temporary = path.with_suffix(".tmp")
    torch.save(checkpoint, temporary)
    os.replace(temporary, path)
