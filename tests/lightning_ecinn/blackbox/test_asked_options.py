"""Options of commands that name a classifier: names of classes, and what means nothing."""

import pytest
import torch

from lightning_ecinn import Explainer
from lightning_ecinn.blackbox import AskedOptions
from lightning_ecinn.blackbox.file import stored_in
from lightning_ecinn.ecinn.loading import loaded
from lightning_ecinn.models.checkpoints import read_checkpoint

FUNCTIONS = """
import torch
def three(x):
    m = x.mean((1, 2, 3))
    return torch.stack((m, 1 - m, 0.5 * m), 1) * 9
def labels(x):
    return (x.mean((1, 2, 3)) > 0.3).long()
"""


@pytest.fixture(scope="module")
def checkpoint():
    return read_checkpoint("pretrained:mnist_small", "classifier")


@pytest.fixture(scope="module")
def flow(checkpoint):
    classifier, settings = loaded(checkpoint, "cpu", torch.float32)
    return Explainer(classifier, **settings)


@pytest.fixture
def file(tmp_path):
    (tmp_path / "mine.py").write_text(FUNCTIONS)
    return str(tmp_path / "mine.py")


def images():
    return torch.rand(12, 1, 28, 28, generator=torch.Generator().manual_seed(0))


def test_names_are_those_that_are_known_where_there_are_as_many(flow, file):
    made = AskedOptions(classifier=f"{file}:three").explainer(flow, ["a", "b", "c"], images)
    assert made.class_names == ("a", "b", "c")
    with pytest.raises(ValueError, match=r"knows 3 classes, and those here are 2 \(a, b\): name"):
        AskedOptions(classifier=f"{file}:three").explainer(flow, ["a", "b"], images)


def test_labels_alone_are_of_the_known_classes(flow, file):
    made = AskedOptions(classifier=f"{file}:labels").explainer(flow, ["dark", "bright"], images)
    assert made.class_names == ("dark", "bright")
    assert made.class_counts.sum() == 12


def test_names_from_the_command_line_and_from_a_file(flow, file, tmp_path):
    (tmp_path / "names.txt").write_text("x\n y \n\nz\n")
    for given in (["x", "y", "z"], [str(tmp_path / "names.txt")]):
        asked = AskedOptions(classifier=f"{file}:three", classifier_classes=given)
        assert asked.explainer(flow, ["a", "b"], images).class_names == ("x", "y", "z")
    with pytest.raises(ValueError, match="one name, and no file of names: give at least two"):
        AskedOptions(classifier=f"{file}:three", classifier_classes=["y"]).check()


@pytest.mark.parametrize("given", ["nowhere.onnx", "nowhere.ckpt", "nowhere.py:f", ""])
def test_a_classifier_that_is_nowhere_is_said_before_anything_is_read(given):
    with pytest.raises((FileNotFoundError, ValueError), match=r"nowhere|is empty"):
        AskedOptions(classifier=given).check()


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"", "at least two classes, and holds 0"),
        (b"thin\n", "at least two classes, and holds 1"),
        (b"\x89PNG", "can't be read as text"),
    ],
)
def test_a_file_of_no_names_is_refused(file, tmp_path, content, said):
    (tmp_path / "names").write_bytes(content)
    names = [str(tmp_path / "names")]
    with pytest.raises(ValueError, match=said):
        AskedOptions(classifier=f"{file}:three", classifier_classes=names).check()


def test_stored_class_means_are_taken_and_another_classifier_is_noticed(flow, file, tmp_path):
    asked = AskedOptions(classifier=f"{file}:three", classifier_classes=["x", "y", "z"])
    asked.explainer(flow, ["a", "b"], images).save(tmp_path / "bb.ckpt")
    stored = stored_in(read_checkpoint(tmp_path / "bb.ckpt", "classifier"))

    def never():
        raise AssertionError("nothing has to be built")

    again = AskedOptions(classifier=f"{file}:three").explainer(flow, ["a"], never, stored, "bb")
    assert again.class_names == ("x", "y", "z")
    (tmp_path / "other.py").write_text(FUNCTIONS.replace("* 9", "* -9"))
    other = AskedOptions(classifier=f"{tmp_path / 'other.py'}:three")
    with pytest.raises(ValueError, match=r"not the one whose class means bb\.ckpt holds"):
        other.explainer(flow, ["a"], never, stored, "bb.ckpt")


@pytest.mark.parametrize(
    ("given", "said"),
    [
        ({"classifier_classes": ["a", "b"]}, "--classifier_classes is about a classifier"),
        ({"second_direction": True}, "--second_direction is about a classifier"),
        ({"means_images": 5}, "--means_images is about a classifier"),
        ({"means_images": -1, "classifier": "x"}, "--means_images is -1; give 0 for all"),
    ],
)
def test_options_that_would_mean_nothing_are_refused(given, said):
    with pytest.raises(ValueError, match=said):
        AskedOptions(**given).check()
