"""Another classifier than a flow's own, explained over picture files."""

from __future__ import annotations

import random
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from tqdm.auto import tqdm

from lightning_ecinn.blackbox import AskedOptions, BlackBoxExplainer
from lightning_ecinn.blackbox.file import Stored
from lightning_ecinn.blackbox.given import read_classifier
from lightning_ecinn.blackbox.means import counts_in_words
from lightning_ecinn.ecinn import Explainer
from lightning_ecinn.pictures.files import find_pictures
from lightning_ecinn.pictures.reading import read_each
from lightning_ecinn.plain_text import plain

__all__ = ["explained_pictures"]


def explained_pictures(
    flow: Explainer,
    options: AskedOptions,
    folders: Sequence[str],
    stored: Stored | None,
    source: str,
) -> BlackBoxExplainer:
    """Explains the classifier of the options; its class means are over pictures in folders.

    Args:
        flow: encodes and decodes.
        options: which classifier.
        folders: files and folders; none where class means are stored.
        stored: class means that were read beside the flow.
        source: where they were read.

    Raises:
        FileNotFoundError: there is no such classifier.
        ValueError: there are neither pictures nor class means, or the classifier can't be asked.
    """
    if not folders and stored is None:
        read_classifier(options.classifier or "")  # what can't be asked is said before
        raise ValueError(
            f"{source} holds no class means of {options.classifier}: give --images FOLDER of "
            "pictures like its training images, or the file that `means --classifier` writes."
        )
    paths = find_pictures(folders) if folders else []
    random.Random(0).shuffle(paths)
    chosen = paths[: options.means_images or None]
    known = None if folders else stored
    explainer = options.explainer(
        flow, flow.class_names, lambda: _read(flow, chosen), known, source
    )
    if known is None:
        told = counts_in_words(explainer.class_names, explainer.class_counts)
        said = f"Pictures as {options.classifier} classifies them: {told}"
        tqdm.write(plain(said), file=sys.stderr)
    return explainer


def _read(flow: Explainer, paths: Sequence[Path]) -> Iterator[Tensor]:
    """Images (B, C, H, W) uint8 of those that can be read; says which can't."""
    for start in range(0, len(paths), flow.chunk_size):
        some = paths[start : start + flow.chunk_size]
        results = read_each(some, flow.image_shape, flow.crop)
        images = []
        for result in results:
            if isinstance(result, ValueError):
                tqdm.write(f"left out: {plain(str(result))}", file=sys.stderr)
            else:
                images.append(result)
        if images:
            yield torch.from_numpy(np.stack(images))
