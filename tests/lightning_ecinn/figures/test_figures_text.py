"""Names that anyone may have given: they are shown as they are, and nothing acts on them."""

import csv
import warnings
from io import StringIO

import pytest
import torch

from lightning_ecinn.figures import (
    HeatmapRow,
    alpha_histograms,
    as_csv,
    as_markdown,
    class_matrix,
    correlation_matrices,
    faithfulness_curves,
    heatmap_table,
    picture_grid,
    plausibility_examples,
    text_table,
)
from lightning_ecinn.figures.text import drawable

NAMES = ["$a_$b^ \\x", "\x1b[31mred\n2", "猫", "حب", "😀/", "=1+1|x", "$\\frac$", "a\u202eb"]
PICTURE = torch.rand(1, 8, 8)
MATRIX = torch.rand(8, 8)

FIGURES = {
    "grid": lambda: picture_grid(
        [[PICTURE] * 8],
        row_labels=NAMES[:1],
        column_labels=NAMES,
        captions=[NAMES],
        title=" ".join(NAMES),
    ),
    "classes": lambda: class_matrix(MATRIX, NAMES, title=NAMES[0]),
    "correlations": lambda: correlation_matrices({NAMES[0]: MATRIX.tolist()}, NAMES, title="$_"),
    "heatmaps": lambda: heatmap_table(
        [HeatmapRow(name, PICTURE, [PICTURE], [0.1], PICTURE, name) for name in NAMES],
        ["$m_$"],
        title=NAMES[2],
        note=NAMES[0],
    ),
    "examples": lambda: plausibility_examples(
        PICTURE.expand(8, 1, 8, 8), PICTURE.expand(8, 1, 8, 8), torch.rand(8), NAMES
    ),
    "histograms": lambda: alpha_histograms({name: [1.0] for name in NAMES}),
    "curves": lambda: faithfulness_curves({name: torch.rand(5) for name in NAMES}, {}),
}


@pytest.mark.parametrize("kind", FIGURES)
def test_every_name_is_drawn_as_it_is(kind):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        figure = FIGURES[kind]()
        figure.canvas.draw()
    assert figure.bbox.width < 10_000


def test_what_a_font_does_not_have_can_still_be_told_apart():
    assert drawable("3 → 8 α₀") == "3 → 8 α₀"
    assert drawable("猫") != drawable("犬")
    assert drawable("\x1b[2J\n") == r"\x1b[2J\n"
    assert drawable(drawable("猫\x1b")) == drawable("猫\x1b")


def test_numbers_that_are_none_are_grey():
    values = torch.tensor([[float("nan"), float("inf")], [0.5, float("-inf")]])
    for percent in (False, True):
        figure = class_matrix(values, ["a", "b"], percent=percent)
        figure.canvas.draw()
        assert [text.get_text() for text in figure.axes[0].texts[:4]].count("–") == 3


def test_tables_are_safe_to_print_and_csv_keeps_every_text():
    rows = [["", "value"], *([name, "1"] for name in NAMES)]
    assert text_table(rows).count("\n") == len(NAMES)
    for text in (text_table(rows), as_markdown(rows)):
        assert text.replace("\n", "").isprintable()
    assert all(line.replace("\\|", "").count("|") == 3 for line in as_markdown(rows).splitlines())
    written = as_csv(["name", "value"], [[name, float("inf")] for name in ["=1+1", "@x", *NAMES]])
    read = list(csv.reader(StringIO(written, newline="")))[1:]
    assert read == [[name, ""] for name in ["=1+1", "@x", *NAMES]]
