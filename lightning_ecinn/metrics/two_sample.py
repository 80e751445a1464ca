"""Can a network tell pictures from real images? The classifier two-sample test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from tqdm.auto import tqdm

from lightning_ecinn.metrics.checks import finite, is_whole, one_class_each
from lightning_ecinn.metrics.roc import ranked, weighted_auc
from lightning_ecinn.metrics.two_sample_training import learned, training

__all__ = ["FEWEST", "ToldApart", "in_8_bits", "told_apart"]

FEWEST = 20
"""Images of each kind, below which nothing is said."""

_TOLERANCE = 0.01  # of pictures that an inverse has brought a little out of [0, 1]


@dataclass(frozen=True)
class ToldApart:
    """How well a network tells pictures from real images that it has not seen: low is good.

    Attributes:
        accuracy: share that it gets right; 0.5 is chance, and perfect.
        accuracy_interval: low and high end, 95 %.
        auc: probability that it finds a picture less real than a real image; 0.5 is perfect.
        auc_interval: low and high end, 95 %.
        trained: pictures that each network learned from, and as many real images.
        tested: pictures that each network was tried on, and as many real images.

    Example:
        >>> found = ToldApart(0.81, (0.80, 0.82), 0.89, (0.88, 0.90), trained=2500, tested=2500)
        >>> f"{found.accuracy:.0%}, AUC {found.auc}"
        '81%, AUC 0.89'
    """

    accuracy: float
    accuracy_interval: tuple[float, float]
    auc: float
    auc_interval: tuple[float, float]
    trained: int
    tested: int


@dataclass(frozen=True)
class _Half:
    """Numbers of real images (n,) and of pictures (n,)."""

    real: Tensor
    pictures: Tensor


@dataclass(frozen=True)
class _Trial:
    """What one network says of its test half: logits of being no real image, (n,) each."""

    trained: int
    half: _Half
    real: Tensor
    pictures: Tensor


def told_apart(
    real: Tensor,
    pictures: Tensor,
    network: Callable[[], nn.Module],
    *,
    groups: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
    repeats: int = 1,
    epochs: int = 4,
    samples: int = 1000,
    device: torch.device | None = None,
    progress: str | None = None,
) -> ToldApart:
    """The classifier two-sample test (Lopez-Paz and Oquab 2017, arXiv 1610.06545).

    A network is trained on half of the pictures and as many real images to tell them apart, and
    tried on the other half. Everything is rounded to 8 bits first. The values are means over the
    repeats, each with other halves and another network; the intervals are percentiles of these
    means over bootstrap samples of the images (those of one group are drawn together): how sure
    these networks' values are, not what other networks would reach.

    Args:
        real: (N, C, H, W), uint8 or float in [0, 1].
        pictures: (M, C, H, W), likewise. Of the larger set some are left out by chance.
        network: makes one with new weights: uint8 (B, C, H, W) to logits (B, 2).
        groups: whole numbers (N,) and (M,), such as the image that each comes from: those of one
            number fall into the same half. By default real i and picture i.
        seed: of halves, networks and intervals: the same, on a CPU, for the same seed.
        repeats: how often.
        epochs: how often each network sees its half; of few images more often.
        samples: of the bootstrap.
        device: of the network; by default that of real.
        progress: title of a progress bar on a terminal; None for none.

    Raises:
        ValueError: there are fewer than 20 of a kind, or they do not fit.

    Example:
        >>> from lightning_ecinn.models.networks import ConvNetwork
        >>> real = torch.rand(40, 1, 8, 8, generator=torch.Generator().manual_seed(0)) / 2
        >>> found = told_apart(real, real + 0.5, lambda: ConvNetwork((1, 8, 8), 2, widths=[8]))
        >>> found.accuracy, found.auc, found.trained
        (1.0, 1.0, 20)
    """
    real, pictures = in_8_bits(real), in_8_bits(pictures)
    _check_sets(real, pictures)
    _check_numbers(seed=(seed, 0), repeats=(repeats, 1), epochs=(epochs, 1), samples=(samples, 1))
    groups = _numbered(groups, len(real), len(pictures))
    device = real.device if device is None else device
    hidden = None if progress else True  # None: shown on terminals only
    trials = []
    with tqdm(
        desc=progress, total=repeats, leave=False, mininterval=1.0, delay=3, disable=hidden
    ) as bar:
        for repeat in range(repeats):
            state = int(np.random.SeedSequence([seed, repeat]).generate_state(1)[0])
            first, second = _halves(*groups, torch.Generator().manual_seed(state))
            with training(state, device):
                seen = real[first.real], pictures[first.pictures]
                logits = learned(network, *seen, epochs, device, bar)
                said = logits(real[second.real]), logits(pictures[second.pictures])
            trials.append(_Trial(len(first.real), second, *said))
    return _summary(trials, groups, samples, seed)


def in_8_bits(pictures: Tensor) -> Tensor:
    """Grey levels 0..255, uint8, of pictures of any shape, uint8 or float in [0, 1].

    Raises:
        ValueError: they are neither.

    Example:
        >>> in_8_bits(torch.tensor([0.0, 0.5, 1.0]))
        tensor([  0, 128, 255], dtype=torch.uint8)
    """
    finite(pictures, "Pictures")
    if pictures.dtype == torch.uint8:
        return pictures
    if not pictures.is_floating_point():
        raise ValueError(f"Pictures must be uint8 or float in [0, 1], got {pictures.dtype}.")
    if pictures.numel() and (pictures.min() < -_TOLERANCE or pictures.max() > 1 + _TOLERANCE):
        raise ValueError(
            "Pictures of floats must lie in [0, 1], got values from "
            f"{pictures.min():g} to {pictures.max():g}: divide 8-bit ones by 255."
        )
    # float16 has no room for 255 levels times 255.
    levels = (pictures if pictures.dtype == torch.float64 else pictures.float()) * 255
    return levels.round().clamp(0, 255).to(torch.uint8)


def _check_sets(real: Tensor, pictures: Tensor) -> None:
    if real.ndim != 4 or pictures.ndim != 4 or real.shape[1:] != pictures.shape[1:]:
        raise ValueError(
            "Real images and pictures must be (N, C, H, W) and (M, C, H, W), got "
            f"{tuple(real.shape)} and {tuple(pictures.shape)}."
        )
    if min(len(real), len(pictures)) < FEWEST:
        raise ValueError(
            f"There are {len(real)} real images and {len(pictures)} pictures to tell apart: give "
            f"{FEWEST} or more of each, better thousands."
        )


def _check_numbers(**numbers: tuple[int, int]) -> None:
    for name, (given, least) in numbers.items():
        if not is_whole(given) or given < least:
            raise ValueError(f"{name} is {given!r}; give a whole number of {least} or more.")


def _numbered(
    groups: tuple[Tensor, Tensor] | None, num_real: int, num_pictures: int
) -> tuple[Tensor, Tensor]:
    """The groups (N,) and (M,) as numbers from 0 on."""
    if groups is None:
        return torch.arange(num_real), torch.arange(num_pictures)
    sizes = (num_real, num_pictures)
    for given, size in zip(groups, sizes, strict=True):
        one_class_each(given, torch.empty(size, dtype=torch.long), "groups")
    _, number = torch.cat([given.cpu().long() for given in groups]).unique(return_inverse=True)
    return number[:num_real], number[num_real:]


def _halves(
    real_group: Tensor, picture_group: Tensor, generator: torch.Generator
) -> tuple[_Half, _Half]:
    """Two halves of the groups by chance, in each as many pictures as real images.

    Groups of as many images and pictures are shared out alike, so that little is left over.
    """
    count = 1 + int(max(real_group.max(), picture_group.max()))
    sizes = [group.bincount(minlength=count) for group in (real_group, picture_group)]
    kind = sizes[0] * (int(sizes[1].max()) + 1) + sizes[1]
    order = torch.randperm(count, generator=generator)
    order = order[kind[order].argsort(stable=True)]
    second = torch.zeros(count, dtype=torch.bool)
    second[order[1::2]] = True
    halves = []
    for chosen in (~second, second):
        numbers = [chosen[group].nonzero()[:, 0] for group in (real_group, picture_group)]
        size = min(map(len, numbers))
        if size == 0:
            raise ValueError(
                "There are too few groups: real images and pictures can't be halved without "
                "tearing one apart."
            )
        kept = [n[torch.randperm(len(n), generator=generator)[:size]] for n in numbers]
        halves.append(_Half(*kept))
    return halves[0], halves[1]


def _summary(
    trials: list[_Trial], groups: tuple[Tensor, Tensor], samples: int, seed: int
) -> ToldApart:
    """Means over the trials, and their percentiles over samples of the groups."""
    told = [_told(trial, groups) for trial in trials]
    count = 1 + int(max(group.max() for group in groups))
    generator = torch.Generator().manual_seed(seed)
    everything = torch.ones(count, dtype=torch.float64)
    value = torch.stack([one(everything) for one in told]).mean(0)
    drawn = []
    for _ in range(samples):
        chosen = torch.randint(count, (count,), generator=generator)
        weight = chosen.bincount(minlength=count).double()
        drawn.append(torch.stack([one(weight) for one in told]).mean(0))
    ends = torch.tensor([0.025, 0.975], dtype=torch.float64)
    low, high = torch.stack(drawn).nanquantile(ends, dim=0)  # NaN: no image of a kind was drawn
    (accuracy, auc), intervals = value.tolist(), torch.stack((low, high)).T.tolist()
    sizes = min(trial.trained for trial in trials), min(len(t.real) for t in trials)
    return ToldApart(accuracy, tuple(intervals[0]), auc, tuple(intervals[1]), *sizes)


def _told(trial: _Trial, groups: tuple[Tensor, Tensor]) -> Callable[[Tensor], Tensor]:
    """Accuracy and AUC (2,) float64 of a trial, by the weights of the groups."""
    right = [(1 + sign * said.sign()) / 2 for sign, said in ((-1, trial.real), (1, trial.pictures))]
    places = groups[0][trial.half.real], groups[1][trial.half.pictures]
    ranks = ranked(trial.real, trial.pictures)

    def told(weight: Tensor) -> Tensor:
        weights = [weight[place] for place in places]
        shares = [(w * r).sum() / w.sum() for w, r in zip(weights, right, strict=True)]
        return torch.stack((torch.stack(shares).mean(), weighted_auc(*ranks, *weights)))

    return told
