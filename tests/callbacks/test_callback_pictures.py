"""Pictures: what is on them, where they go, and that none is lost."""

import matplotlib.image
import numpy as np
import pytest
import torch
from bars import PlainBars, network, trainer
from pytorch_lightning.loggers import TensorBoardLogger, WandbLogger
from torch.utils.data import TensorDataset

from lightning_ecinn import Explainer
from lightning_ecinn.callbacks import (
    BuildClassMeans,
    ClassSamples,
    CounterfactualGrid,
    counterfactual_grid as module_under_test,
)
from lightning_ecinn.callbacks.loggers import log_figure
from lightning_ecinn.callbacks.new_files import find_free_path
from lightning_ecinn.figures import magnified, picture_grid

NAMES = {
    "every_class": "counterfactuals-every-class-convincing",
    "one_image": "counterfactuals-one-image-1",
    "one_per_class": "counterfactuals-one-per-class-to2",
    "one_class": "counterfactuals-one-class-1to2",
    "both_directions": "counterfactuals-both-directions-1to2",
    "step_sweep": "counterfactuals-step-sweep-1to2",
}
# (rows, columns) with three classes and four inputs
SHAPES = {
    "every_class": (3, 4),
    "one_image": (3, 2),
    "one_per_class": (3, 2),
    "one_class": (3, 4),
    "both_directions": (3, 4),
    "step_sweep": (4, 3),
}


@pytest.fixture
def grids(monkeypatch):
    """The arguments of every grid that is drawn."""
    seen = []

    def recorded(pictures, **labels):
        seen.append({"pictures": pictures, **labels})
        return picture_grid(pictures, **labels)

    monkeypatch.setattr(module_under_test, "picture_grid", recorded)
    return seen


def grid(selection, **settings):
    return CounterfactualGrid(
        selection, **{"source": 1, "target": 2, "count": 4, "t": [0.0, 1.0], **settings}
    )


def pictures(folder):
    return sorted(path.stem for path in (folder / "pictures").glob("*.png"))


@pytest.mark.parametrize("selection", NAMES)
def test_selections(trained, tmp_path, grids, selection):
    testing = trainer(tmp_path, grid(selection))
    testing.test(trained, datamodule=PlainBars(), verbose=False)
    assert pictures(tmp_path) == [NAMES[selection]]
    (drawn,) = grids
    rows, columns = SHAPES[selection]
    assert len(drawn["pictures"]) == rows
    assert {len(row) for row in drawn["pictures"]} == {columns}
    picture = matplotlib.image.imread(tmp_path / "pictures" / f"{NAMES[selection]}.png")
    assert np.allclose(picture[[0, -1, 0, -1], [0, 0, -1, -1], :3], 1), "no white background"


@pytest.mark.parametrize(
    ("alpha", "title"),
    [("star", "smallest step α* that puts"), ("certified", "smallest step that reaches")],
)
def test_every_class_at_the_other_steps(trained, tmp_path, grids, alpha, title):
    drawing = trainer(tmp_path, grid("every_class", alpha=alpha))
    drawing.test(trained, datamodule=PlainBars(), verbose=False)
    assert pictures(tmp_path) == [f"counterfactuals-every-class-{alpha}"]
    (drawn,) = grids
    assert drawn["title"].startswith(title)
    if alpha == "certified":
        sure = [text for row in drawn["captions"] for text in row if text.endswith("%")]
        assert min(float(text.strip("<> %")) for text in sure) >= 90


@pytest.mark.parametrize("selection", ["one_image", "every_class"])
def test_captions_are_the_posterior_of_the_picture_as_shown(trained, tmp_path, grids, selection):
    trainer(tmp_path, grid(selection)).test(trained, datamodule=PlainBars(), verbose=False)
    (drawn,) = grids
    explainer = Explainer(trained.classifier)
    if selection == "one_image":
        target, shown, caption = 0, drawn["pictures"][2][0], drawn["captions"][2][0]
    else:
        target, shown, caption = 1, drawn["pictures"][0][2], drawn["captions"][0][2]
    eight_bits = (shown * 255).round().to(torch.uint8)
    posterior = 100 * explainer.posterior(eight_bits[None])[0, target].item()
    shares = {">99.9 %": posterior > 99.9, "<0.1 %": posterior < 0.1}
    assert shares.get(caption, caption == f"{posterior:.1f} %"), (caption, posterior)


def test_tipping_points_are_half_and_half_and_the_input_is_an_input(trained, tmp_path, grids):
    data = PlainBars()
    trainer(tmp_path, grid("one_class")).test(trained, datamodule=data, verbose=False)
    (drawn,) = grids
    for image in drawn["pictures"][0]:
        matches = (data.test.tensors[0] / 255 - image).abs().flatten(1).max(1).values < 1e-6
        assert data.test.tensors[1][matches].tolist() == [1]
    assert drawn["row_labels"] == ["input", "tipping α₀", "convincing α₁"]
    assert drawn["column_labels"] == ["middle → below"] * 4


def test_pictures_are_magnified_on_request(trained, tmp_path, grids):
    asked = grid("one_image", magnify=(4, 2))
    trainer(tmp_path, asked).test(trained, datamodule=PlainBars(), verbose=False)
    assert grids[0]["pictures"][0][0].shape == (1, 80, 40 + 10 + 80)


def test_magnified_shows_the_corner_enlarged():
    picture = torch.arange(64.0).reshape(1, 8, 8) / 64
    shown = magnified(picture, 4, 2)
    assert shown[0, 25, 30] == picture[0, 1, 1]  # a corner pixel is 20 x 20
    assert shown[0, 45, 40 + 10 + 35] == picture[0, 4, 3]  # the picture's are 10 x 10
    assert (shown[0, :, 40:50] == 1).all()
    with pytest.raises(ValueError, match="must lie inside the picture of 8 x 8 pixels, got 9 x 2"):
        magnified(picture, 9, 2)


def test_fit_draws_once_and_test_after_it_not_again(tmp_path):
    fitting = trainer(tmp_path, BuildClassMeans(), grid("one_class"), max_epochs=12)
    module, data = network(), PlainBars(240)
    fitting.fit(module, datamodule=data)
    assert pictures(tmp_path) == [NAMES["one_class"]]
    fitting.test(module, datamodule=data, verbose=False)
    assert pictures(tmp_path) == [NAMES["one_class"]]
    fitting.test(module, datamodule=data, verbose=False)  # asked for by itself: drawn
    assert pictures(tmp_path) == [NAMES["one_class"], NAMES["one_class"] + "-2"]


def test_without_means_or_inputs_the_picture_is_left_out(tmp_path, trained):
    with pytest.warns(UserWarning, match="No class means"):
        trainer(tmp_path, grid("one_class")).test(network(), datamodule=PlainBars(), verbose=False)

    data = PlainBars()
    images, labels = data.test.tensors
    data.test = TensorDataset(images[labels != 1], labels[labels != 1])
    with pytest.warns(UserWarning, match="no image of class middle is classified correctly"):
        trainer(tmp_path, grid("one_class")).test(trained, datamodule=data, verbose=False)
    trainer(tmp_path, grid("every_class")).test(trained, datamodule=data, verbose=False)
    assert pictures(tmp_path) == [NAMES["every_class"]]


def test_classes_that_do_not_exist_are_refused_before_training(tmp_path):
    with pytest.raises(ValueError, match="source must be a class from 0 to 2, got 7"):
        trainer(tmp_path, grid("one_class", source=7)).fit(network(), datamodule=PlainBars())


def test_classes_that_a_selection_does_not_use_may_be_anything(tmp_path, trained):
    """The defaults are digits; three classes are enough for every class."""
    drawing = trainer(tmp_path, CounterfactualGrid(source=7))
    drawing.test(trained, datamodule=PlainBars(), verbose=False)
    assert len(pictures(tmp_path)) == 1


def test_samples_while_training(tmp_path):
    callback = ClassSamples(every_n_epochs=2, per_class=2)
    module, weights = network(), []
    for folder, callbacks in ((tmp_path / "a", [callback]), (tmp_path / "b", [])):
        torch.manual_seed(0)
        module = network()
        fitting = trainer(folder, *callbacks, max_epochs=5)
        fitting.fit(module, datamodule=PlainBars())
        weights.append(torch.cat([p.flatten() for p in module.parameters()]))
    assert pictures(tmp_path / "a") == ["samples-epoch002", "samples-epoch004", "samples-epoch005"]
    assert torch.equal(*weights), "drawing changed the training"
    with pytest.raises(ValueError, match="at least 1, got 0 and 6"):
        ClassSamples(every_n_epochs=0)


def test_every_logger_gets_every_picture(tmp_path, monkeypatch):
    sent = []
    online = WandbLogger(save_dir=tmp_path, mode="disabled")
    monkeypatch.setattr(
        "lightning_ecinn.callbacks.loggers.send_pictures",
        lambda logger, pictures, step: sent.extend(pictures.items()),
    )
    loggers = [online]
    try:
        loggers.append(TensorBoardLogger(tmp_path))
        monkeypatch.setattr(
            type(loggers[1]), "experiment", property(lambda self: Board(sent)), raising=False
        )
    except ModuleNotFoundError:  # an optional package
        pass
    there = trainer(tmp_path, logger=loggers)
    figure = picture_grid([[torch.zeros(1, 8, 8)]])
    for _ in range(2):
        log_figure(there, figure, "samples-epoch001", series="samples-classes")
    assert pictures(tmp_path) == ["samples-epoch001", "samples-epoch001-2"]
    assert [key for key, _ in sent] == ["samples/classes"] * 2 * len(loggers)
    assert sent[0][1] == [str(tmp_path / "pictures" / "samples-epoch001.png")]


class Board:
    def __init__(self, sent):
        self.sent = sent

    def add_figure(self, key, figure, step):
        self.sent.append((key, figure))


def test_free_path(tmp_path):
    path = tmp_path / "a-0.7.png"
    assert find_free_path(path) == path
    for expected in ("a-0.7-2.png", "a-0.7-3.png"):
        find_free_path(path).touch()
        assert find_free_path(path).name == expected


def boxes(figure):
    """Every text of a figure with its place on the canvas."""
    renderer = figure.canvas.get_renderer()
    texts = [*figure.texts, *(text for axes in figure.axes for text in axes.texts)]
    return [(t.get_text(), t.get_window_extent(renderer)) for t in texts if t.get_text().strip()]


@pytest.mark.parametrize("columns", [1, 2, 10])
@pytest.mark.parametrize("names", [["3", "0"], ["wearing lipstick", "not smiling"], ["Eyeglasses"]])
def test_no_text_is_clipped_or_overlaps(columns, names):
    picture = torch.zeros(3, 16, 16)
    labels = [f"{names[j % len(names)]} → {names[0]}" for j in range(columns)]
    figure = picture_grid(
        [[picture] * columns, [picture] * columns],
        row_labels=["input", "convincing α₁"],
        column_labels=labels,
        captions=[[">99.9 %"] * columns, ["no step"] * columns],
        title="convincing step α₁; below each picture: p(target) of the picture as shown",
    )
    found = boxes(figure)
    assert len(found) == 1 + 2 + columns + 2 * columns
    width, height = figure.canvas.get_width_height()
    for text, box in found:
        assert min(box.x0, box.y0) >= 0, text
        assert box.x1 <= width, text
        assert box.y1 <= height, text
    for i, (text, box) in enumerate(found):
        assert not any(box.overlaps(other) for _, other in found[:i]), text
    for axes in figure.axes:
        place = axes.get_window_extent()
        assert not any(place.shrunk(0.98, 0.98).overlaps(box) for _, box in found)


def test_pictures_have_their_own_pixels():
    picture = torch.zeros(1, 8, 8)
    picture[0, 2, 5] = 1
    figure = picture_grid([[picture, None]])
    (image,) = [image for axes in figure.axes for image in axes.get_images()]
    assert np.array_equal(image.get_array(), picture[0])
    assert image.get_clim() == (0, 1)
