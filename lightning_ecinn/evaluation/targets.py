"""Which class is asked for of which image."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from lightning_ecinn.evaluation.files import read_targets

__all__ = ["Pairs", "choose_targets"]


@dataclass(frozen=True)
class Pairs:
    """What is asked, one entry for each counterfactual of a step.

    Attributes:
        index: (P,), number of the image.
        target: (P,), q.
        source: (P,), the class that the file says another model predicted; None without it.
    """

    index: np.ndarray
    target: np.ndarray
    source: np.ndarray | None = None

    def __len__(self) -> int:
        """P."""
        return len(self.index)


def choose_targets(
    targets: str, labels: np.ndarray, num_classes: int, *, seed: int = 0, count: int | None = None
) -> Pairs:
    """The pairs of an image and a class that are evaluated, in the order of the images.

    Args:
        targets: "random" for one class other than the label per image, drawn from the seed and
            the image's number alone; "all" for every class; or a file, see
            :func:`lightning_ecinn.evaluation.files.read_targets`.
        labels: (N,), of all images.
        num_classes: K.
        seed: of the random targets.
        count: only the first so many images.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file's targets are not for these images or classes.
    """
    _check_question(targets, num_classes, count)
    num_images = len(labels) if count is None else min(count, len(labels))
    every = np.arange(num_images)
    if targets == "random":
        return Pairs(every, _random_targets(labels[:num_images], num_classes, seed))
    if targets == "all":
        return Pairs(np.repeat(every, num_classes), np.tile(np.arange(num_classes), num_images))
    given = read_targets(targets)
    _check(targets, given, len(labels), num_classes)
    if "index" in given:
        order = np.lexsort((given["target"], given["index"]))
        order = order[given["index"][order] < num_images]
        if len(order) == 0:
            raise ValueError(
                f"--targets {targets}: no line is for one of the first {num_images} images: give a "
                "larger --count."
            )
        return Pairs(given["index"][order], given["target"][order])
    source = given.get("source")
    return Pairs(
        every, given["target"][:num_images], None if source is None else source[:num_images]
    )


def _check_question(targets: str, num_classes: int, count: int | None) -> None:
    if not isinstance(targets, str):
        raise ValueError(f'--targets: give "random", "all" or the name of a file, got {targets!r}.')
    if count is not None and count < 1:
        raise ValueError(f"--count is {count}; give 1 or more.")
    if num_classes < 2:
        raise ValueError(f"Targets need another class, but there is only {num_classes}.")


def _random_targets(labels: np.ndarray, num_classes: int, seed: int) -> np.ndarray:
    """Classes other than the labels, each from its own seed: the same under any split of the work.

    A state of 32 bits, taken modulo K - 1, is uniform up to (K - 1) / 2^32.
    """
    states = [np.random.SeedSequence([seed, i]).generate_state(1)[0] for i in range(len(labels))]
    shift = 1 + np.array(states, dtype=np.int64) % (num_classes - 1)
    return (labels + shift) % num_classes


def _check(name: str, given: dict[str, np.ndarray], num_images: int, num_classes: int) -> None:
    target, index = given["target"], given.get("index")
    if index is None:
        for key, values in given.items():
            if len(values) != num_images:
                raise ValueError(
                    f"--targets {name}: {key} has {len(values)} values, but there are {num_images} "
                    "images: give one for each image, in order."
                )
    elif len(index) == 0:
        raise ValueError(f"--targets {name}: the table is empty: give at least one line.")
    elif index.min() < 0 or index.max() >= num_images:
        raise ValueError(
            f"--targets {name}: index goes from {index.min()} to {index.max()}, but the images are "
            f"numbered 0 to {num_images - 1}."
        )
    elif len(np.unique(np.stack((index, target)), axis=1).T) < len(index):
        raise ValueError(f"--targets {name}: a line is there twice: give each pair once.")
    if target.min() < 0 or target.max() >= num_classes:
        raise ValueError(
            f"--targets {name}: target goes from {target.min()} to {target.max()}, but the classes "
            f"are 0 to {num_classes - 1}."
        )
