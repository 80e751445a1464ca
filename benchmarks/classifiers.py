"""Counterfactuals of an ordinary classifier: ours, without gradients, beside search methods."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from benchmarks.classifiers_rows import Method
from benchmarks.classifiers_settings import LATENT, PROTOTYPES, WACHTER, best, in_words
from benchmarks.classifiers_setup import Setup, latent, ours, prototypes, wachter
from benchmarks.classifiers_tables import Rival, draw, missed, quality, times
from benchmarks.measure import Table, new_folder, write
from lightning_ecinn.allocator import keep_freed_memory

__all__ = ["CONFIDENCES", "main", "run"]

CONFIDENCES = (0.9, 0.99)


@dataclass(frozen=True)
class Search:
    """A rival of ours.

    Attributes:
        name: as a reader knows it.
        choices: settings to try.
        maker: of set-up, settings and confidence, the method.
        gradients: whether it needs the classifier's.
        count: images that it is asked about.
        aside: images that its settings are tried on.
    """

    name: str
    choices: list[Any]
    maker: Callable[..., Method]
    gradients: bool
    count: int
    aside: int


def run(options: argparse.Namespace) -> list[Table]:
    """Ask every method about the same images and targets; the tables."""
    setup = Setup.of(options)
    own, (rivals, tried) = _ours(setup, options), _rivals(setup, options)
    for one in own:
        one.answers(chunk=500)
    for one in rivals:
        one.answers()
    every = [*own, *rivals]
    tables = quality(setup, every, CONFIDENCES[0])
    tables[0].notes = _notes(setup, options)
    shown = [one for one in every if one in own or one.confidence == CONFIDENCES[0]]
    tables[0].picture = partial(draw, shown)
    return [*tables, missed(setup, own), times(setup, every, options.timed), *tried]


def _ours(setup: Setup, options: argparse.Namespace) -> list[Rival]:
    question, settings = setup.question.first(options.count), f"truncation {options.truncation:g}"
    rows = []
    for c in CONFIDENCES:
        path, method = options.out / f"ours_{c:g}.npz", ours(setup.explainer, c)
        rows.append(Rival("ours", c, settings, False, question, method, path))
    return rows


def _rivals(setup: Setup, options: argparse.Namespace) -> tuple[list[Rival], list[Table]]:
    """Their rows, and the tables of what was tried for their settings."""
    kinds = [
        Search("Wachter", WACHTER, wachter, True, options.rivals, options.aside),
        Search("latent search", LATENT, latent, True, options.rivals, options.aside),
    ]
    if find_spec("alibi") is not None and not options.no_prototypes:
        aside = min(options.aside, 20)  # it is slow
        kinds.append(Search("CFProto", PROTOTYPES, prototypes, False, options.prototypes, aside))
    rows, tried, most = [], [], max(1, len(setup.question.index) - options.aside)
    for kind in kinds:
        key, question = kind.name.lower().replace(" ", "_"), setup.question.first(kind.count)
        chosen, table = best(
            kind.name,
            [_short(kind.choices[0])] if options.quick else kind.choices,
            partial(kind.maker, setup, confidence=CONFIDENCES[0]),
            setup.question.last(kind.aside),
            setup.judges,
            CONFIDENCES[0],
            options.out / "tried" / key,
        )
        tried.append(table)
        for c in CONFIDENCES:
            path, method = options.out / f"{key}_{c:g}.npz", kind.maker(setup, chosen, c)
            row = (kind.name, c, in_words(chosen), kind.gradients, question.first(most))
            rows.append(Rival(*row, method, path))
    return rows, tried


def _short(settings: Any) -> Any:
    """Of one or two iterations, which find little."""
    if isinstance(settings, dict):
        return settings | {"iterations": 2}
    return replace(settings, iterations=2)


def _notes(setup: Setup, options: argparse.Namespace) -> list[str]:
    explained, other = (100 * share for share in setup.accuracies)
    alibi = f"alibi {version('alibi')}" if find_spec("alibi") else "alibi is not installed"
    return [
        f"The explained network is right about {explained:.2f} % of the test images, the other "
        f"one about {other:.2f} %. Flow {options.flow}, class means and prototypes of "
        f"{options.means:,} training images; numpy {version('numpy')}, {alibi}. "
        f"Targets: {'random' if options.targets == 'random' else 'from a file'}; images that the "
        "network takes for their target already are left out.",
        "Pictures are rounded to 8 bits, and every method asks about rounded ones. Where it finds "
        "none that has the confidence, nothing is valid and nothing seen by the other network; "
        "IM1, IM2 and EN are means over the pictures that were found. In brackets 95 % bootstrap "
        "intervals. Evaluations: of the classifier, its class of the image itself included; a "
        "gradient counts as two. What was asked once for all (class means, prototypes) is left "
        "out.",
    ]


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure, print, and leave tables, the picture and every answer in a folder.

    What the folder holds already is not asked again, so that a stopped run goes on.
    """
    options = _parser().parse_args(arguments)
    options.out = options.out or new_folder()
    if options.quick:
        _make_quick(options)
    keep_freed_memory()
    try:
        tables = run(options)
    except (ValueError, OSError) as error:
        sys.exit(f"error: {error}")
    write("classifiers", tables, options.out)


def _make_quick(options: argparse.Namespace) -> None:
    """Tiny settings, which say nothing."""
    options.source, options.flow = "sample", "pretrained:mnist_small"
    options.training, options.epochs, options.means = 300, 1, 100
    options.count, options.rivals, options.prototypes = 4, 2, 1
    options.aside, options.timed = 2, 1


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        "python -m benchmarks.classifiers", description=(main.__doc__ or "").partition("\n")[0]
    )
    parser.set_defaults(source="full", training=None, epochs=3, aside=50)
    add = parser.add_argument
    add("--root", default="data", help="folder of MNIST's files (data)")
    add("--out", type=Path, help="folder of the tables and answers (runs/benchmarks/<time>)")
    add("--targets", default="random", help="random, or a file: FILE.npz:PREFIX or FILE.csv")
    add("--autoencoders", help="for IM1 and IM2: a checkpoint or FILE.npz:PREFIX")
    add("--explained", help="checkpoint of the network to explain (trained and kept)")
    add("--other", help="checkpoint of the other network (trained and kept)")
    add("--flow", default="pretrained:mnist", help="checkpoint of the flow (pretrained:mnist)")
    add("--truncation", type=float, default=0.7, help="of ours (0.7)")
    add("--means", type=_count, default=6000, help="training images of the class means (6000)")
    add("--count", type=_count, default=10_000, help="images for ours (10000)")
    add("--rivals", type=_count, default=1000, help="images for the gradient searches (1000)")
    add("--prototypes", type=_count, default=200, help="images for alibi's CFProto (200)")
    add("--no-prototypes", action="store_true", help="leave CFProto out, even where alibi is there")
    add("--timed", type=_count, default=10, help="pictures to time one at a time (10)")
    add("--seed", type=int, default=0, help="of random targets and of training (0)")
    add("--quick", action="store_true", help="tiny settings, to see that it runs")
    return parser


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of images: give 1 or more")
    return int(text)


if __name__ == "__main__":
    main()
