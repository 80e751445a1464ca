"""Another classifier than a flow's own; its class means are over a trainer's training images."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import pytorch_lightning as pl
import torch
from pytorch_lightning.utilities import rank_zero_info
from torch import Tensor

from lightning_ecinn.blackbox import AskedOptions, BlackBoxExplainer
from lightning_ecinn.blackbox.file import Stored
from lightning_ecinn.blackbox.means import counts_in_words
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.plain_text import plain
from lightning_ecinn.training.batches import draw_batches, up_to

__all__ = ["explained_classifier"]

_SEED = 0
"""Of the training images that class means are over."""


def explained_classifier(
    trainer: pl.Trainer,
    options: AskedOptions,
    flow: Explainer,
    names: Sequence[str],
    stored: Stored | None = None,
    source: object = None,
) -> BlackBoxExplainer:
    """Explains the classifier of the options, on the trainer's device.

    Args:
        trainer: knows the device, and the training images that class means are over, if none are
            stored.
        options: which classifier.
        flow: encodes and decodes.
        names: of the data's classes.
        stored: class means that were read beside the flow.
        source: where they were read, for errors.

    Raises:
        FileNotFoundError: there is no such classifier.
        ValueError: it can't be asked, or has other classes than are known.
    """
    with torch.inference_mode(False):  # within Lightning's, weights would lose their gradients
        flow.classifier.to(trainer.strategy.root_device)

    def images() -> Iterator[Tensor]:
        drawn = torch.Generator().manual_seed(_SEED)
        batches = draw_batches(trainer, "train", drawn, flow.chunk_size)
        return (some for some, _ in up_to(options.means_images or None, batches))

    explainer = options.explainer(flow, names, images, stored, source)
    told = counts_in_words(explainer.class_names, explainer.class_counts)
    rank_zero_info(plain(f"Training images as {options.classifier} classifies them: {told}"))
    return explainer
