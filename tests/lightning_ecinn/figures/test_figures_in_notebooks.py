"""A figure shows itself in a notebook, and is matplotlib's own to everybody else."""

import copy
import io
import pickle

import pytest
import torch
from PIL import Image

from lightning_ecinn.figures import picture_grid

WAYS = {
    "itself": lambda figure: figure,
    "a copy": copy.deepcopy,
    "sent": lambda figure: pickle.loads(pickle.dumps(figure)),
}


@pytest.mark.parametrize("way", WAYS)
def test_it_shows_itself(way):
    """Asked as IPython asks what pyplot, which nobody has imported, has not registered."""
    figure = WAYS[way](picture_grid([[torch.rand(1, 8, 8)] * 3]))
    figure.text(0.5, 0.5, "later")
    shown = Image.open(io.BytesIO(figure._repr_png_()))
    figure.savefig(file := io.BytesIO(), format="png")
    saved = Image.open(file)
    assert shown.size == saved.size
    assert shown.tobytes() == saved.convert("RGB").tobytes()


def test_who_knows_figures_by_the_name_of_their_class_knows_it():
    assert type(picture_grid([[torch.rand(1, 8, 8)]])).__module__ == "matplotlib.figure"
