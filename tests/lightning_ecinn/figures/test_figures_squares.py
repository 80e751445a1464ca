"""Squares of pictures, one for each model."""

import pytest
import torch

from lightning_ecinn.figures import picture_squares


def test_pictures_stand_in_rows_with_white_lines_and_missing_ones_are_white():
    pictures = torch.zeros(4, 1, 3, 3)
    pictures[3] = torch.nan
    shown = picture_squares([pictures], ["β = 1"]).axes[0].images[0].get_array()
    assert shown.shape == (7, 7)
    assert (shown[3] == 1).all()
    assert (shown[:3, :3] == 0).all()
    assert (shown[4:, 4:] == 1).all()


def test_squares_do_not_overlap_and_lie_in_the_figure():
    squares = [torch.rand(5, 3, 4, 6)] * 7
    figure = picture_squares(squares, ["input", *(f"β = {b}\n9 %" for b in range(6))], title="A")
    boxes = [axes.get_position() for axes in figure.axes]
    assert all(0 <= box.x0 < box.x1 <= 1 and 0 <= box.y0 < box.y1 <= 1 for box in boxes)
    assert boxes[0].y0 > boxes[4].y1
    assert boxes[0].x1 < boxes[1].x0


def test_another_number_of_labels_is_refused():
    with pytest.raises(ValueError, match="1 squares and 0 labels"):
        picture_squares([torch.zeros(1, 1, 2, 2)], [])
