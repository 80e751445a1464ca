"""The page: what is in it, as JSON, and the files that it is joined from."""

from __future__ import annotations

import html
import json
import re
from collections.abc import Mapping, Sequence
from importlib.resources import files
from os import PathLike, fspath
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.blackbox import AnyExplainer
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.undefined import refuse_without_means
from lightning_ecinn.flows.settings import is_whole
from lightning_ecinn.metrics.two_sample import in_8_bits
from lightning_ecinn.models.inputs import Classes, check_images, checked_classes, shown
from lightning_ecinn.page.embedded import Page
from lightning_ecinn.page.frames import STEPS, PathFrames, frames_towards
from lightning_ecinn.page.sprites import png, sprite
from lightning_ecinn.progress import progress_bar
from lightning_ecinn.whole_files import write_whole

__all__ = ["counterfactual_page", "write_page"]

_SCRIPTS = ("words", "pictures", "chooser", "slider", "heatmap", "table", "main")
"""The parts of the program, in the order in which they are joined."""

_FRAMES, _MOST_FRAMES = 24, 200

_WIDEST = 16_384
"""Pixels that browsers' canvases are wide at most: a pair's frames stand side by side in one."""


def counterfactual_page(
    explainer: AnyExplainer,
    images: Tensor,
    *,
    targets: Classes = "all",
    names: Sequence[str] | None = None,
    labels: Classes | None = None,
    first: Classes | None = None,
    title: str = "Counterfactuals",
    frames: int | None = None,
    progress: str | None = None,
) -> str:
    """A page of HTML, complete in itself, to look at counterfactuals and to play with them.

    One chooses an image and a class and drags the step from 0 to a fifth beyond the largest of
    the marked ones; pictures, heatmap, posteriors and log p follow. Everything said of a picture is
    said of it rounded to 8 bits, as a person sees it. Images are rounded first.

    Args:
        explainer: makes the counterfactuals.
        images: (B, C, H, W), grey or colour, uint8 or float in [0, 1].
        targets: the classes asked for, by numbers or names, the same for each image; by default
            all. Pairs between which there is no step are shown as such.
        names: what the images are called, B of them; by default "Image 1", ...
        labels: the images' true classes, (B,), by numbers or names, if they are known.
        first: the class of `targets` that each image is shown on its way to when it is chosen,
            (B,), by numbers or names; by default the likeliest other one, or the last chosen.
        title: of the page.
        frames: evenly spaced steps for each image and class, at least 2; the tipping step,
            alpha_star, the certified and the convincing step come on top. By default 24, or as
            many as browsers can show of images so wide.
        progress: title of a progress bar on a terminal; None for none.

    Returns:
        The text of the file, which shows itself in a notebook. Twenty digits to all classes take
        about 2 MB.

    Raises:
        ValueError: for images, classes, names or a number of frames that do not fit, and a
            classifier without class means.

    Example:
        >>> from lightning_ecinn import MNIST
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> images, labels, _ = MNIST(source="sample").dataset("test")[torch.arange(2)]
        >>> page = counterfactual_page(explainer, images, targets=[3, 8], labels=labels)
        >>> write_page("counterfactuals.html", page).name  # open it in a browser
        'counterfactuals.html'
    """
    _check(explainer, images, title)
    frames = _checked_frames(frames, images.shape[3])
    classes = _checked_targets(explainer, targets)
    called = _checked_names(names, len(images))
    known = _one_each(explainer, labels, "labels", len(images))
    shown_first = _one_each(explainer, first, "first", len(images))
    _check_offered(shown_first, classes.tolist())
    pictures = in_8_bits(images).cpu()
    in_turn = progress_bar(pictures, progress, unit=" images", shown=bool(progress), delay=3)
    ways = (frames_towards(explainer, image.unsqueeze(0), classes, frames) for image in in_turn)
    data = {
        "title": title,
        "confidence": explainer.confidence,
        "size": list(images.shape[1:]),
        "classes": list(explainer.class_names),
        "images": [
            {"name": name, "label": label, "first": to, **_plain_image(paths)}
            for name, label, to, paths in zip(called, known, shown_first, ways, strict=True)
        ],
    }
    return Page(_joined(title, data))


def write_page(path: str | PathLike[str], page: str) -> Path:
    """Write a page where there is no file yet.

    Args:
        path: the file; folders above it are made.
        page: of :func:`counterfactual_page`.

    Returns:
        The path.

    Raises:
        ValueError: there is something of that name.
        WriteError: it can't be written.

    Example:
        >>> write_page("page.html", "<!doctype html>").read_text()
        '<!doctype html>'
    """
    place = Path(fspath(path))
    if place.is_symlink() or place.exists():
        raise ValueError(f"{place} exists already, and is not overwritten: give another name.")
    with write_whole(place) as file:
        file.write(page.encode())
    return place


def _plain_image(paths: Sequence[PathFrames]) -> dict[str, Any]:
    """An image and its ways to classes, as JSON has them."""
    first = paths[0]
    at_zero = int((first.alphas == 0).nonzero()[0])
    return {
        "source": first.source,
        "picture": png(first.pictures[at_zero]),
        "paths": [_plain(path) for path in paths],
    }


def _plain(path: PathFrames) -> dict[str, Any]:
    """As JSON has it, with as many digits as anybody looks at; the steps' lengths are exact."""
    quantile = None if path.quantile is None else _rounded(path.quantile, 4)
    return {
        "target": path.target,
        "defined": path.defined,
        "alphas": path.alphas.tolist(),
        "sprite": sprite(path.pictures),
        "posterior": [_rounded(row, 5) for row in path.posterior],
        "log_prob": _rounded(path.log_prob, 2),
        "quantile": quantile,
        "distance": _rounded(path.distance, 3),
        "marks": path.marks,
        "reasons": path.reasons,
    }


def _rounded(values: Tensor, digits: int) -> list[float]:
    """Short numbers: 0 and 1 rather than 0.0 and 1.0."""
    numbers = (round(value, digits) for value in values.double().tolist())
    return [int(value) if value.is_integer() else value for value in numbers]


def _joined(title: str, data: Mapping[str, Any]) -> str:
    """The template with style, program and data in it."""
    folder = files("lightning_ecinn.page") / "browser"
    text = {
        name: (folder / name).read_text(encoding="utf-8")
        for name in ("page.html", "page.css", *(f"{script}.js" for script in _SCRIPTS))
    }
    # A "<" could end the element that the data are in; what is not ASCII json escapes itself.
    data_text = json.dumps(data, separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")
    parts = {
        "title": html.escape(title).encode("ascii", "xmlcharrefreplace").decode(),
        "style": text["page.css"],
        "data": data_text,
        "program": "\n".join(text[f"{script}.js"] for script in _SCRIPTS),
    }
    return re.sub(r"\{\{(\w+)\}\}", lambda found: parts[found[1]], text["page.html"])


def _check(explainer: AnyExplainer, images: Tensor, title: str) -> None:
    if not isinstance(explainer, AnyExplainer):
        raise ValueError(
            f"The page needs an Explainer, got {type(explainer).__name__}: use "
            "Explainer.from_checkpoint, or Explainer(classifier)."
        )
    check_images(images, explainer.image_shape)
    if images.shape[1] not in (1, 3):
        raise ValueError(
            f"The page shows pictures of 1 or 3 channels, these have {images.shape[1]}: explain "
            "a classifier of grey or colour pictures."
        )
    if isinstance(explainer, Explainer):  # another one was made with class means
        refuse_without_means(explainer.classifier)
    if not isinstance(title, str):
        raise ValueError(f"title must be a text, got {shown(title)}.")


def _checked_frames(frames: int | None, width: int) -> int:
    """So many frames, which fit side by side with the marked ones."""
    most = min(_WIDEST // width - len(STEPS), _MOST_FRAMES)
    if most < 2:
        raise ValueError(
            f"images are {width} pixels wide, too wide for a page: browsers show {_WIDEST:,} "
            "pixels of frames side by side."
        )
    if frames is None:
        return min(_FRAMES, most)
    if not is_whole(frames) or not 2 <= frames <= most:
        raise ValueError(f"frames must be a whole number from 2 to {most}, got {shown(frames)}.")
    return frames


def _checked_targets(explainer: AnyExplainer, targets: Classes) -> Tensor:
    """The classes asked for, (T,)."""
    if isinstance(targets, str) and targets == "all":
        return torch.arange(explainer.num_classes, device=explainer.device)
    classes = _classes(explainer, targets, "targets").reshape(-1)
    if not len(classes) or len(classes.unique()) < len(classes):
        problem = "one is there twice" if len(classes) else "there are none"
        raise ValueError(
            f'targets must be "all" or different classes, but in {shown(targets)} {problem}.'
        )
    return classes


def _one_each(
    explainer: AnyExplainer, given: Classes | None, name: str, count: int
) -> list[int] | list[None]:
    """A class for each image, or None for each."""
    if given is None:
        return [None] * count
    classes = _classes(explainer, given, name)
    if tuple(classes.shape) != (count,):
        raise ValueError(
            f"{name} must be ({count},), one for each image, got shape {tuple(classes.shape)}."
        )
    return classes.tolist()


def _check_offered(first: Sequence[int | None], targets: Sequence[int]) -> None:
    missing = {k for k in first if k is not None} - {*targets}
    if missing:
        raise ValueError(
            f"first must be classes of targets, but {min(missing)} is none of them: add it to "
            "targets, or leave first out."
        )


def _classes(explainer: AnyExplainer, classes: Classes, name: str) -> Tensor:
    return checked_classes(
        classes, name, explainer.num_classes, explainer.device, explainer.class_names
    )


def _checked_names(names: Sequence[str] | None, count: int) -> list[str]:
    if names is None:
        return [f"Image {k + 1}" for k in range(count)]
    if isinstance(names, str) or not all(isinstance(name, str) for name in names):
        raise ValueError(f"names must be a list of texts, one for each image, got {shown(names)}.")
    if len(names) != count:
        raise ValueError(f"names must be {count} texts, one for each image, got {len(names)}.")
    return list(names)
