"""Panels of counterfactuals."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure
from torch import Tensor

from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.explanations.rows import Row, result_rows, step_names
from lightning_ecinn.explanations.words import certificate_words
from lightning_ecinn.figures import (
    PanelPrinter,
    PanelRow,
    counterfactual_panel,
    drawn,
    pixels_png,
    posterior_percent,
)

__all__ = ["as_png", "panel", "printed"]


def panel(
    steps: Sequence[Counterfactual],
    *,
    names: Sequence[str] | None = None,
    called: Sequence[str] | None = None,
    title: str | None = None,
) -> Figure:
    """Pictures and what becomes of them: a row for each picture and target.

    Heatmap, posterior and words are those of the last step.

    Args:
        steps: of the same images and targets, at several steps.
        names: of the pictures, left of the rows.
        called: what the steps are called, above the pictures.
        title: text above everything.

    Raises:
        ValueError: as `Counterfactual.certificate`.
    """
    called = step_names(steps, called)
    rows = result_rows(steps, names=names, called=called)
    return counterfactual_panel(
        _panel_rows(steps, rows, names is not None),
        steps[0].class_names,
        columns=["input", *called],
        title=title,
    )


def as_png(figure: Figure) -> bytes:
    """A figure as the content of a PNG file."""
    return pixels_png(drawn(figure))


def printed(
    printer: PanelPrinter, steps: Sequence[Counterfactual], rows: Sequence[Row], title: str
) -> bytes:
    """The PNG file of the panel of one picture.

    Args:
        printer: of all pictures.
        steps: of this picture.
        rows: its `result_rows`.
        title: text above everything.
    """
    called = [row["step"] for row in rows[: len(steps)]]
    drawn_rows = _panel_rows(steps, rows, is_named=False)
    classes = steps[0].class_names
    return printer.png(drawn_rows, classes, columns=["input", *called], title=title)


def _panel_rows(
    steps: Sequence[Counterfactual], rows: Sequence[Row], is_named: bool
) -> list[PanelRow]:
    """A row for each picture and target, of the `result_rows` of all steps."""
    count = len(steps)
    of_picture = [rows[i : i + count] for i in range(0, len(rows), count)]
    return [_row(steps, i, said, is_named) for i, said in enumerate(of_picture)]


def _row(steps: Sequence[Counterfactual], i: int, said: Sequence[Row], is_named: bool) -> PanelRow:
    """The i-th row, counted over pictures and targets."""
    last, end = steps[-1], said[-1]
    posterior = last.certificate.posterior
    change = f"{end['source']} to {end['target']}"
    return PanelRow(
        label=f"{end['picture']}\n{change}" if is_named else change,
        pictures=[_of(last.input, i, 3), *(_of(cf.image_8bit, i, 3) for cf in steps)],
        captions=[
            f"p({end['source']}) {posterior_percent(end['source_posterior'])}",
            *(f"alpha {row['alpha']:.2f}" for row in said),
        ],
        heatmap=_of(last.heatmap, i, 3),
        before=_of(last.input_posterior, i, 1),
        after=_of(posterior, i, 1),
        words=certificate_words(end),
        holds=end["holds"],
    )


def _of(values: Tensor, i: int, kept: int) -> Tensor:
    """The i-th of values (B, ...) or (B, T, ...), whose last `kept` dimensions are one's own."""
    return values.flatten(0, values.ndim - kept - 1)[i]
