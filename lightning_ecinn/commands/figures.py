"""The subcommand `figures`: the paper's figures, as far as checkpoints can give them."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import pytorch_lightning as pl
from matplotlib.backends.backend_pdf import PdfPages
from matplotlib.figure import Figure

from lightning_ecinn.callbacks.end_of_run import NothingToDrawError
from lightning_ecinn.callbacks.new_files import save_new
from lightning_ecinn.commands.paper_figures import DRAWN, PaperModels
from lightning_ecinn.commands.sweep import sweep_checkpoints
from lightning_ecinn.datamodules import MNIST
from lightning_ecinn.datamodules.checks import SplitName, check_at_least
from lightning_ecinn.plain_text import plain
from lightning_ecinn.progress import progress_bar

__all__ = ["FiguresSettings", "draw_figures"]

Number = Literal["3", "4", "5", "6", "7", "8", "9", "10", "S7", "S8", "S9"]
"""Figures of the paper, and of its supplement."""

_SAME = {"S8": "10", "S9": "8"}
"""Figures of the supplement that show what one of the paper shows, of other models."""

_DPI = 300
"""Dots per inch, as journals want them."""


@dataclass(frozen=True, kw_only=True)
class FiguresSettings:
    """Which of the paper's figures `figures` draws, of which models.

    Args:
        ckpt_path: checkpoints of the models; Figures 9 and 10 show all, the others the first.
        sweep: folder of a sweep, whose finished runs' best checkpoints are taken.
        figure: their numbers in the paper; S7 to S9 are the supplement's. By default all.
        out: folder of the files; by default a new one, runs/<experiment>/<time>.
        samples: further pages of other images for each figure, in the PDF.
        split: where the images come from.
        seed: which images are drawn.

    Raises:
        ValueError: for settings that nothing can be drawn with.
    """

    ckpt_path: list[str] = field(default_factory=list)
    sweep: str | None = None
    figure: list[Number] = field(default_factory=list)
    out: str | None = None
    samples: int = 3
    split: SplitName = "test"
    seed: int = 0

    def __post_init__(self) -> None:
        check_at_least(0, samples=self.samples, seed=self.seed)
        if not self.ckpt_path and self.sweep is None:
            raise ValueError(
                "figures: there is nothing to draw. Give --ckpt_path PATH of a model, or of "
                "several, or --sweep FOLDER."
            )

    @property
    def checkpoints(self) -> list[str]:
        """All of them."""
        return [*self.ckpt_path, *(sweep_checkpoints(self.sweep) if self.sweep else ())]

    @property
    def numbers(self) -> list[str]:
        """The figures asked for, each once, by the first of its numbers."""
        return list(_by_what_is_shown(self.figure or get_args(Number)).values())

    @property
    def repeated(self) -> list[str]:
        """A sentence for each figure that was asked for by both of its numbers."""
        first = _by_what_is_shown(self.figure)
        numbers = {number: first[_SAME.get(number, number)] for number in self.figure}
        return [
            f"Figure {number} shows what Figure {drawn} does: drawn once, as Figure {drawn}."
            for number, drawn in numbers.items()
            if number != drawn
        ]


def _by_what_is_shown(numbers: Sequence[str]) -> dict[str, str]:
    """The first number of each figure, by the paper's."""
    first: dict[str, str] = {}
    for number in numbers:
        first.setdefault(_SAME.get(number, number), number)
    return first


def draw_figures(
    trainer: pl.Trainer, datamodule: pl.LightningDataModule, settings: FiguresSettings
) -> None:
    """Draw what can be drawn, and say what can't be, and what it would take.

    Writes ``figure-N.png`` of each into the trainer's folder, and ``figures.pdf`` with all of them
    and further samples.

    Raises:
        ValueError: nothing can be drawn; says why.
        WriteError: a file can't be written.
    """
    _take_sample(datamodule)
    datamodule.prepare_data()
    for stage in ("fit", "test"):
        datamodule.setup(stage)
    trainer.datamodule = datamodule  # type: ignore[attr-defined]
    models = PaperModels(trainer, settings.checkpoints, settings.split)
    folder, drawn, missing = Path(trainer.default_root_dir), [], settings.repeated
    for number in progress_bar(settings.numbers, "figures", unit=" figures"):
        try:
            figures = list(_pages(models, number, settings))
        except NothingToDrawError as error:
            missing.append(f"Figure {number} is left out: {error}")
            continue
        drawn.append(figures)
        path = save_new(folder / f"figure-{number}.png", partial(_png, figures[0]))
        print(plain(f"Wrote {path}"), flush=True)
    if not drawn:
        raise ValueError(" ".join(missing))
    first = [pages[0] for pages in drawn]
    further = [page for pages in drawn for page in pages[1:]]
    path = save_new(folder / "figures.pdf", partial(_pdf, [*first, *further]))
    print("\n".join(map(plain, (f"Wrote {path}", *missing))), flush=True)


def _take_sample(datamodule: pl.LightningDataModule) -> None:
    """Where MNIST lies in no folder, and nobody said where it does, the sample is enough."""
    if not isinstance(datamodule, MNIST) or datamodule.is_at_hand:
        return
    if datamodule.root == Path("data").absolute():
        print(
            plain(
                f"MNIST is not in {datamodule.root}: the images are of the sample in the package."
            )
        )
        datamodule.source = "sample"


def _pages(models: PaperModels, number: str, settings: FiguresSettings) -> Iterator[Figure]:
    """The figure, and further ones of other images.

    Raises:
        NothingToDrawError: there is no figure; where only samples are missing, there are fewer.
    """
    draw = DRAWN[_SAME.get(number, number)]
    yield draw(models, settings.seed, 0, f"Figure {number}")
    for turn in range(1, settings.samples + 1):
        heading = f"Figure {number}, sample {turn}"
        try:
            yield draw(models, settings.seed + turn, turn, heading)
        except NothingToDrawError:
            return


def _png(figure: Figure, file: Any) -> None:
    figure.savefig(file, format="png", dpi=_DPI)


def _pdf(figures: list[Figure], file: Any) -> None:
    """A page each, without the time: the same figures are the same file."""
    buffer = io.BytesIO()
    with PdfPages(buffer, metadata={"CreationDate": None, "Title": "The paper's figures"}) as pdf:
        for figure in figures:
            pdf.savefig(figure, dpi=_DPI)
    file.write(buffer.getvalue())
