"""What each method answered, kept in files from chunk to chunk, and what it is worth."""

from __future__ import annotations

import sys
import zipfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks.searches import Searched
from lightning_ecinn.metrics import bootstrap_interval, en, im1, im2
from lightning_ecinn.models.autoencoders import Autoencoders
from lightning_ecinn.models.networks import Network
from lightning_ecinn.whole_files import write_whole

__all__ = ["COLUMNS", "Judges", "Method", "Question", "answered", "cells", "rank"]

Method = Callable[[Tensor, Tensor], Searched]
"""Images (M, C, H, W) in 8 bits and classes (M,) to what was found."""

COLUMNS = (
    "valid at {}, %",
    "another network sees q, %",
    "IM1",
    "IM2 x 100",
    "EN",
    "evaluations, mean (most)",
)


@dataclass(frozen=True)
class Question:
    """N images that the classifier does not take for their targets.

    Attributes:
        images: (N, C, H, W) in 8 bits, float in [0, 1].
        source: (N,), the classifier's class.
        target: (N,), q.
        index: (N,), the images' numbers in the data set.
        of: in words, what is asked of whom; answers to another question are not taken.
    """

    images: Tensor
    source: Tensor
    target: Tensor
    index: Tensor
    of: str

    def first(self, count: int) -> Question:
        """The first so many of them."""
        return self._only(slice(0, count))

    def last(self, count: int) -> Question:
        """The last so many of them."""
        return self._only(slice(-count, None))

    def _only(self, part: slice) -> Question:
        return Question(
            self.images[part], self.source[part], self.target[part], self.index[part], self.of
        )


@dataclass(frozen=True)
class Judges:
    """Who judges pictures: the explained network, another one, and autoencoders if given."""

    explained: Network
    other: Network
    autoencoders: Autoencoders | None


def answered(
    path: Path, question: Question, method: Method, settings: str, chunk: int = 100
) -> Searched:
    """A method's answers, from its file as far as it goes; each chunk is kept when it is there.

    Args:
        path: a .npz file.
        question: of N images; the file may hold the first of them, or more.
        method: gives what is missing.
        settings: its own, in words.
        chunk: images at once.

    Raises:
        ValueError: the file answers another question, or is none of these.
    """
    settings, total = f"{settings}; {question.of}", len(question.images)
    found = _kept(path, question, settings)
    for start in range(len(found.asked), total, chunk):
        part = slice(start, min(start + chunk, total))
        found = _joined(found, method(question.images[part], question.target[part]))
        _keep(path, question, settings, found)
        print(
            f"{path.parent.name}/{path.stem}: {part.stop} of {total}", file=sys.stderr, flush=True
        )
    return found.first(total)


def cells(question: Question, answers: Searched, judges: Judges, confidence: float) -> list[str]:
    """What stands under COLUMNS: means over what was found, shares of all N; 95 % intervals.

    Args:
        question: what was asked.
        answers: of one method.
        judges: who says how good they are.
        confidence: at which a picture is valid.
    """
    found, pictures, target = answers.found, answers.pictures, question.target
    posterior = _posterior(judges.explained, pictures)
    chance = posterior.gather(1, target.unsqueeze(1)).squeeze(1)
    seen = _posterior(judges.other, pictures).argmax(1) == target
    valid = found & (posterior.argmax(1) == target) & (chance >= confidence)
    texts = [_percent(valid), _interval(100 * (found & seen).double(), 1)]
    texts += _realism(question, answers, judges.autoencoders)
    distance = en(question.images[found], pictures[found])
    texts.append(_interval(distance, 1) if len(distance) else "-")
    asked = answers.asked.double()
    return [*texts, f"{asked.mean().item():,.1f} ({int(asked.max()):,})"]


def rank(question: Question, answers: Searched, judges: Judges) -> tuple[float, float]:
    """What is better the larger it is: the share found and seen as q, then less IM1 (or EN)."""
    found, pictures = answers.found, answers.pictures
    seen = found & (_posterior(judges.other, pictures).argmax(1) == question.target)
    values = en(question.images, pictures)
    if judges.autoencoders is not None:
        values = im1(pictures, question.source, question.target, judges.autoencoders)
    cost = values[found].mean().item() if found.any() else float("inf")
    return seen.double().mean().item(), -cost


def _realism(question: Question, answers: Searched, autoencoders: Autoencoders | None) -> list[str]:
    """IM1 and 100 IM2 of what was found."""
    found = answers.found
    if autoencoders is None or not found.any():
        return ["-", "-"]
    every = (answers.pictures, question.source, question.target)
    chunks = zip(*(values[found].split(500) for values in every), strict=True)
    each = [(im1(c, p, q, autoencoders), 100 * im2(c, q, autoencoders)) for c, p, q in chunks]
    return [_interval(torch.cat(values), 3) for values in zip(*each, strict=True)]


@torch.no_grad()
def _posterior(network: Network, pictures: Tensor) -> Tensor:
    return torch.cat([network(chunk).softmax(1) for chunk in pictures.split(256)])


def _percent(which: Tensor) -> str:
    """As many digits as show a single miss: 100 only of all."""
    share = 100 * which.double().mean().item()
    return "100" if which.all() else f"{min(share, 99.99):.2f}"


def _interval(values: Tensor, digits: int) -> str:
    low, high = bootstrap_interval(values, samples=300)
    mean = values.double().mean().item()
    return f"{mean:.{digits}f} ({low:.{digits}f} to {high:.{digits}f})"


def _joined(a: Searched, b: Searched) -> Searched:
    names = ("pictures", "found", "asked")
    return Searched(*(torch.cat((getattr(a, name), getattr(b, name))) for name in names))


def _keep(path: Path, question: Question, settings: str, found: Searched) -> None:
    count = len(found.asked)
    with write_whole(path) as file:
        np.savez_compressed(
            file,
            pictures=(found.pictures * 255).round().to(torch.uint8).numpy(),
            found=found.found.numpy(),
            asked=found.asked.numpy(),
            index=question.index[:count].numpy(),
            target=question.target[:count].numpy(),
            settings=np.array(settings),
        )


def _kept(path: Path, question: Question, settings: str) -> Searched:
    empty = (question.images[:0], question.target[:0].bool(), question.target[:0])
    if not path.is_file():
        return Searched(*empty)
    try:
        with np.load(path) as arrays:
            kept = {name: arrays[name] for name in arrays.files}
        count = min(len(kept["index"]), len(question.index))
        same = str(kept["settings"]) == settings
        for name in ("index", "target"):
            same &= np.array_equal(kept[name][:count], getattr(question, name)[:count].numpy())
        pictures = torch.from_numpy(kept["pictures"]).float() / 255
        answers = Searched(pictures, *(torch.from_numpy(kept[k]) for k in ("found", "asked")))
    except (KeyError, ValueError, OSError, zipfile.BadZipFile) as error:
        raise ValueError(
            f"{path} holds no answers of this benchmark ({error}): move it away."
        ) from None
    if not same:
        raise ValueError(
            f"{path} holds answers to another question ({kept['settings']}), asked for is "
            f"{settings}: give another folder with --out, or move the file away."
        )
    return answers
