"""Whether anything grows when training and explaining go on and on in one process."""

from __future__ import annotations

import argparse
import logging
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from dataclasses import astuple, fields
from functools import partial
from itertools import count
from pathlib import Path

import torch

from benchmarks.measure import Table, new_folder, write
from benchmarks.resources import CONSTANT, Held, held, plot, slope, write_csv
from lightning_ecinn import Explainer, attribute
from lightning_ecinn.allocator import keep_freed_memory
from lightning_ecinn.cli.main import main as lightning_ecinn
from lightning_ecinn.datamodules import MNIST

__all__ = ["main", "run"]

SHIPPED = "pretrained:mnist_small"
SHOWN = 20
"""Rounds in the table; the CSV has all."""

_FIT = [
    *("fit", "--config=smoke.yaml", "--trainer.accelerator=cpu"),
    *("--data.val_size=28500", "--trainer.limit_train_batches=4"),
    *("--trainer.enable_progress_bar=false", "--trainer.enable_model_summary=false"),
]
_QUIET = [
    *("--data.source=sample", "--trainer.logger=false", "--trainer.accelerator=cpu"),
    "--trainer.callbacks=null",
]
_EVALUATE = ["evaluate", f"--ckpt_path={SHIPPED}", "--bootstrap=10", "--deletion=2", *_QUIET]
_PREDICT = ["predict", f"--ckpt_path={SHIPPED}", "--trainer.limit_predict_batches=1", *_QUIET]


def run(
    minutes: float, out: Path, rounds: int | None = None, images: int = 20, loggers: bool = True
) -> list[Table]:
    """Fit, explain, attribute, evaluate and predict again and again; what is held after each.

    Args:
        minutes: how long; the round in hand is finished.
        out: folder, in which soak.csv grows from round to round.
        rounds: at most so many.
        images: to evaluate and to predict in each round.
        loggers: train with those that a run has, Weights & Biases offline among them.
    """
    out.mkdir(parents=True, exist_ok=True)
    found: list[Held] = []
    with tempfile.TemporaryDirectory(prefix="soak-") as folder, _settled(Path(folder)) as temporary:
        once = partial(_round, _Pictures(images), Path(folder) / "runs", loggers)
        start = time.perf_counter()
        for number in count(1):
            once()
            found.append(held((time.perf_counter() - start) / 3600, temporary))
            write_csv(found, out / "soak.csv")
            print(f"round {number}: {found[-1].rss:.0f} MB", file=sys.stderr, flush=True)
            if found[-1].hours * 60 >= minutes or number == rounds:
                break
    return _tables(found)


class _Pictures:
    """Images, and an Explainer that is kept from round to round."""

    def __init__(self, count: int):
        data = MNIST(source="sample")
        data.setup("test")
        self.images, self.labels, _ = data.dataset("test")[torch.arange(count)]
        self.kept = Explainer.from_checkpoint(SHIPPED)


def _round(pictures: _Pictures, root: Path, loggers: bool) -> None:
    """Everything once; what it writes is deleted."""
    count = len(pictures.images)
    for command in (
        [*_FIT, *([] if loggers else ["--trainer.logger=false"])],
        [*_EVALUATE, f"--count={count}"],
        [*_PREDICT, f"--data.eval_batch_size={count}"],
    ):
        lightning_ecinn([*command, f"--trainer.default_root_dir={root}"])
    target = (pictures.labels + 1) % 10
    for explainer in (pictures.kept, Explainer.from_checkpoint(SHIPPED)):
        explainer.explain(pictures.images, target, undefined="keep").certificate.holds.sum()
    for method in ("ecinnh", "saliency", "deep_lift"):
        attribute(pictures.kept, pictures.images[:4], target[:4], method=method)
    shutil.rmtree(root)


@contextmanager
def _settled(folder: Path) -> Iterator[Path]:
    """Temporary files go where they are counted, and what commands say, nowhere."""
    temporary = folder / "tmp"
    temporary.mkdir()
    before = {name: os.environ.get(name) for name in ("TMPDIR", "WANDB_MODE")}
    os.environ.update(TMPDIR=str(temporary), WANDB_MODE="offline")
    tempfile.tempdir = None  # or it would not look at TMPDIR again
    notes = [logging.getLogger(name) for name in ("pytorch_lightning", "lightning_fabric")]
    levels = [one.level for one in notes]
    for one in notes:
        one.setLevel(logging.ERROR)
    try:
        with (folder / "said").open("w") as said, redirect_stdout(said):
            yield temporary
    finally:
        for name, value in before.items():
            os.environ.pop(name) if value is None else os.environ.update({name: value})
        tempfile.tempdir = None
        for one, level in zip(notes, levels, strict=True):
            one.setLevel(level)


def _tables(found: Sequence[Held]) -> list[Table]:
    half = found[len(found) // 2 :]
    trend = slope([one.hours for one in half], [one.rss for one in half])
    grows = [name for name in CONSTANT if len({getattr(one, name) for one in half}) > 1]
    grows = ["memory"] * (trend.low > 0) + grows
    verdict = f"{' and '.join(grows)} changed" if grows else "nothing grows"
    title = f"{len(found)} rounds in {found[-1].hours * 60:.0f} minutes: {verdict}"
    every = -(-len(found) // SHOWN)
    table = Table(title, ["round", *(field.name for field in fields(Held))])
    table.rows = [[k + 1, *astuple(one)] for k, one in enumerate(found) if not k % every]
    table.notes = [
        f"Resident memory over the second half: {trend}.",
        "A round: a short training with pictures, class means and checkpoints, an evaluation and "
        "predictions of the shipped model by the command line; counterfactuals with certificates "
        "of an Explainer that is kept and of a new one; heatmaps by three methods. MB, "
        "thousands of objects, kB of temporary files left behind.",
    ]
    table.picture = partial(plot, found, f"{title}\n{trend}")
    return [table]


def main(arguments: Sequence[str] | None = None) -> None:
    """Run it for so many minutes, and leave soak.md, .json, .png and .csv in a folder."""
    parser = argparse.ArgumentParser("python -m benchmarks.soak", description=main.__doc__)
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--out", type=Path, help="folder (runs/benchmarks/<time>)")
    parser.add_argument("--quick", action="store_true", help="two small rounds")
    options = parser.parse_args(arguments)
    out = options.out or new_folder()
    keep_freed_memory()
    if options.quick:
        tables = run(options.minutes, out, rounds=2, images=2, loggers=False)
    else:
        tables = run(options.minutes, out)
    write("soak", tables, out)


if __name__ == "__main__":
    main()
