"""The subcommand `explain`: counterfactuals of anybody's picture files."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import Tensor
from tqdm.auto import tqdm

from lightning_ecinn.blackbox import AnyExplainer, AskedOptions, flow_of
from lightning_ecinn.blackbox.file import own_is_explained, stored_in
from lightning_ecinn.commands.asked_pictures import explained_pictures
from lightning_ecinn.commands.explain_settings import ALL, RUNNER_UP, ExplainSettings
from lightning_ecinn.ecinn import Explainer
from lightning_ecinn.ecinn.loading import loaded
from lightning_ecinn.ecinn.undefined import refuse_without_means
from lightning_ecinn.explanations import Row, one_line, save_pictures, save_tables
from lightning_ecinn.models.checkpoints import read_checkpoint
from lightning_ecinn.page import counterfactual_page, room, write_page
from lightning_ecinn.pictures.files import find_pictures
from lightning_ecinn.pictures.reading import read_each
from lightning_ecinn.plain_text import plain
from lightning_ecinn.progress import progress_bar
from lightning_ecinn.runs import CONFIG
from lightning_ecinn.whole_files import write_whole

__all__ = ["explain_pictures"]

_TOGETHER = 16
"""Pictures that are read, explained and written at a time."""

_NATS = 0.5
"""By so many for each dimension a negative must be likelier to be told, without quantiles."""


def explain_pictures(settings: ExplainSettings) -> list[str]:
    """Explain pictures, say a line for each, and write pictures, panels and tables.

    Returns:
        Of each picture that could not be read, why.

    Raises:
        ValueError: nothing can be explained: no picture, no class means, no such class.
        WriteError: the results can't be written.
    """
    explainer = _explainer(settings)
    _classes(explainer, settings.target)
    paths = find_pictures(settings.pictures)
    _write_settings(settings)
    failed: list[str] = []
    rows: list[Row] = []
    done = 0
    shown: list[tuple[str, Tensor]] = []
    count = len(paths)
    with progress_bar(title="explaining", total=count, unit=" pictures", shown=count > 1) as bar:
        for start in range(0, len(paths), _TOGETHER):
            some = paths[start : start + _TOGETHER]
            names, images = _read(some, explainer, settings, failed)
            if names:
                rows += _explained(explainer, settings, names, images, first=done)
            done += len(names)
            left = room(explainer.num_classes) - len(shown)
            shown += list(zip(names, images, strict=True))[:left]
            bar.update(len(some))
    about = {
        "model": settings.ckpt_path,
        **({"classifier": settings.asked["classifier"]} if settings.asked else {}),
        "class_names": list(explainer.class_names),
        "inverted": settings.invert,
        "unreadable": failed,
    }
    save_tables(rows, settings.out, about)
    if settings.page and shown:
        _write_page(explainer, settings, shown)
    return failed


def _write_page(
    explainer: AnyExplainer, settings: ExplainSettings, shown: Sequence[tuple[str, Tensor]]
) -> None:
    """The page of the pictures and of the classes asked for, or all."""
    names, images = zip(*shown, strict=True)
    html = counterfactual_page(
        explainer,
        torch.stack(images),
        targets=_classes(explainer, settings.target) or "all",
        names=names,
        title="Counterfactuals",
        progress="page",
    )
    write_page(settings.out / "index.html", html)


def _write_settings(settings: ExplainSettings) -> None:
    """What was asked for, beside the results."""
    given = {**vars(settings), "out": str(settings.out)}
    plain_values = {
        name: list(v) if isinstance(v, list | tuple) else v for name, v in given.items()
    }
    with write_whole(settings.out / CONFIG) as file:
        file.write(yaml.safe_dump({"explain": plain_values}, sort_keys=False).encode())


def _explainer(settings: ExplainSettings) -> AnyExplainer:
    """The model, able to explain itself or the classifier that is asked.

    Raises:
        ValueError: it has no class means.
    """
    options = AskedOptions(**settings.asked)
    options.check()
    crop = {} if settings.crop is None else {"crop": settings.crop}
    checkpoint = read_checkpoint(settings.ckpt_path, "classifier")
    network, known = loaded(checkpoint, settings.device, getattr(torch, settings.dtype))
    flow = Explainer(network, **{**known, "chunk_size": 64, **crop, **settings.path})
    stored = stored_in(checkpoint)
    if options.classifier is not None:
        return explained_pictures(flow, options, settings.images, stored, settings.ckpt_path)
    if stored is not None:
        tqdm.write(f"note: {own_is_explained(settings.ckpt_path)}", file=sys.stderr)
    refuse_without_means(network, settings.ckpt_path)
    return flow


def _classes(explainer: AnyExplainer, target: Sequence[str]) -> list[int] | None:
    """The classes asked for, by their names or else numbers; None: those of each picture.

    Raises:
        ValueError: there is no such class.
    """
    names = explainer.class_names
    if len(target) == 1 and target[0] in (RUNNER_UP, ALL) and target[0] not in names:
        return None
    found = []
    for word in target:
        number = int(word) if word.isdecimal() else -1
        if word not in names and not 0 <= number < len(names):
            raise ValueError(
                f"--target {word} is no class of {explainer.num_classes}: give one of "
                f"{', '.join(names)}; its number from 0; {RUNNER_UP}; or {ALL}."
            )
        found.append(names.index(word) if word in names else number)
    return found


def _targets(explainer: AnyExplainer, images: Tensor, target: Sequence[str]) -> Tensor:
    """The classes asked for of each image, (B, T)."""
    if (classes := _classes(explainer, target)) is not None:
        return torch.tensor(classes).expand(len(images), -1)
    order = explainer.posterior(images).argsort(dim=1, descending=True).cpu()
    return order[:, 1:2] if target[0] == RUNNER_UP else order[:, 1:].sort(dim=1).values


def _read(
    paths: Sequence[Path], explainer: AnyExplainer, settings: ExplainSettings, failed: list[str]
) -> tuple[list[str], Tensor]:
    """Names and images (B, C, H, W) uint8 of the pictures that can be read; says which can't."""
    names, images = [], []
    for path, result in zip(
        paths, read_each(paths, explainer.image_shape, explainer.crop), strict=True
    ):
        if isinstance(result, ValueError):
            failed.append(plain(str(result)))
            tqdm.write(f"left out: {failed[-1]}", file=sys.stderr)
        else:
            names.append(plain(path.name))
            images.append(result)
    if not images:
        return [], torch.empty(0)
    stacked = torch.from_numpy(np.stack(images))
    return names, 255 - stacked if settings.invert else stacked


def _explained(
    explainer: AnyExplainer,
    settings: ExplainSettings,
    names: list[str],
    images: Tensor,
    *,
    first: int,
) -> list[Row]:
    """Explain images, write their pictures, say a line for each target's last step."""
    target = _targets(explainer, images, settings.target)
    steps = explainer.explain_steps(images, target, settings.alphas, undefined="keep")
    called = [str(alpha) for alpha in settings.alphas]
    saved = save_pictures(steps, settings.out, names=names, called=called, first=first)
    of_picture = len(saved.rows) // len(names)
    for i, image in enumerate(images):
        rows = saved.rows[i * of_picture : (i + 1) * of_picture]
        for row in rows[len(called) - 1 :: len(called)]:
            tqdm.write(plain(one_line(row)))
        if not settings.invert and _looks_negative(explainer, image, rows[0]):
            tqdm.write(
                f"note: {names[i]} is unlike the training images, and its negative much more like "
                "them: --invert explains negatives.",
                file=sys.stderr,
            )
    return saved.rows


def _looks_negative(explainer: AnyExplainer, image: Tensor, row: Row) -> bool:
    """Whether an image is less likely than any training image, and its negative much likelier."""
    if row["quantile_before"]:
        return False
    negative = float(explainer.log_prob(255 - image))
    quantiles = flow_of(explainer).classifier.log_prob_quantiles
    spread = float(quantiles.median() - quantiles[0]) if row["quantile_before"] == 0 else 0
    return negative - row["log_prob_before"] > (spread or _NATS * image.numel())
