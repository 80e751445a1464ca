"""What every DataModule takes: defined once, shown by the command line for each of them."""

from dataclasses import fields

import pytest
from jsonargparse import ArgumentParser

from lightning_ecinn.datamodules import (
    MNIST,
    CelebAHQ,
    DrawnFaces,
    FakeMNIST,
    ImageFilesDataModule,
    InMemoryDataModule,
    LabelledImages,
    LoaderSettings,
)

SETTINGS = {field.name: field.default for field in fields(LoaderSettings)}
NAMES = set(SETTINGS)
FILES = {"crop", "cache"}

OWN_FLAGS = {
    MNIST: {"source", "root", "val_size"},
    FakeMNIST: {"label_seed", "shortcut", "source", "root", "val_size"},
    CelebAHQ: {"root", "attribute", "resolution", "cache"},
    DrawnFaces: {
        "attribute",
        "num_train",
        "num_test",
        "lipstick_makeup_correlation",
        "pose",
        "resolution",
        "face_seed",
        "val_size",
    },
    LabelledImages: FILES
    | {"root", "csv", "file_column", "label_column", "split_column", "val_share", "test_share"}
    | {"resolution", "channels"},
    InMemoryDataModule: {"image_shape", "class_names", "val_size"},
    ImageFilesDataModule: FILES | {"image_shape", "class_names"},
}
OTHER_DEFAULTS = {
    CelebAHQ: {"batch_size": 32, "flip": True},
    DrawnFaces: {"batch_size": 64},
    LabelledImages: {"batch_size": 64},
}


class Users(InMemoryDataModule):
    """As people write theirs."""

    def __init__(self, contrast: float = 1.0, **settings):
        super().__init__((1, 4, 4), ["a", "b"], 10, **settings)


def flags(kind):
    """The flags of a DataModule by name."""
    parser = ArgumentParser()
    parser.add_class_arguments(kind, "data")
    actions = {action.dest: action for action in parser._actions}
    return {
        dest.removeprefix("data."): action
        for dest, action in actions.items()
        if dest.startswith("data.")
    }


@pytest.mark.parametrize(("kind", "own"), [*OWN_FLAGS.items(), (Users, {"contrast"})])
def test_every_data_module_shows_its_own_flags_and_the_shared_ones(kind, own):
    shared = NAMES - {"flip"} if issubclass(kind, MNIST) else NAMES
    found = flags(kind)
    assert set(found) == own | shared
    expected = SETTINGS | OTHER_DEFAULTS.get(kind, {})
    assert {name: found[name].default for name in shared} == {n: expected[n] for n in shared}
    assert [name for name in found if not found[name].help and name != "contrast"] == []


def test_the_shared_flags_say_the_same_everywhere():
    texts = {name: flag.help for name, flag in flags(InMemoryDataModule).items()}
    for kind in OWN_FLAGS:
        found = flags(kind)
        assert all(found[name].help == texts[name] for name in NAMES & set(found)), kind


def test_settings_become_attributes():
    values = {"batch_size": 3, "eval_batch_size": 4, "seed": 5, "max_shift": 1}
    values |= {"flip": True, "balanced": True}
    data = Users(**values, predict_split="val")
    assert {name: getattr(data, name) for name in NAMES} == {**values, "predict_split": "val"}
    assert data.val_size == 10


def test_digits_are_not_mirrored_and_misspelt_settings_are_named():
    with pytest.raises(TypeError, match="'flip'"):
        FakeMNIST(flip=True)
    with pytest.raises(TypeError, match="'batchsize'"):
        DrawnFaces(batchsize=3)


def test_checks_need_no_data_module():
    with pytest.raises(ValueError, match="seed is -1; give 0 or more"):
        LoaderSettings(seed=-1)
