"""The classifier's settings: what checkpoints keep and what the command line shows."""

import pytest
from docstring_parser import parse
from jsonargparse import ArgumentParser

from lightning_ecinn.flows import FlowSettings
from lightning_ecinn.models.classifier import ClassifierSettings, GenerativeClassifier

SMALL = {"blocks": (1, 1), "widths": (4, 4), "dropouts": (0, 0), "fc_width": 8}


def test_config_is_plain_and_in_order():
    network = {**SMALL, "zero_init": True, "mean": (0.4,), "std": (0.2,)}
    assert list(GenerativeClassifier((1, 8, 8), 2, ("a", "b"), **network).config.items()) == [
        ("image_shape", [1, 8, 8]),
        ("num_classes", 2),
        ("class_names", ["a", "b"]),
        ("blocks", [1, 1]),
        ("widths", [4, 4]),
        ("dropouts", [0, 0]),
        ("fc_blocks", 1),
        ("fc_width", 8),
        ("fc_dropout", 0.5),
        ("clamp", 0.7),
        ("init_scale", 0.8),
        ("haar", None),
        ("haar_gain", 1.0),
        ("dct", True),
        ("mean", [0.4]),
        ("std", [0.2]),
    ]


def test_config_builds_it_again():
    model = GenerativeClassifier((1, 8, 8), 2, **SMALL)
    again = GenerativeClassifier(**model.config)
    assert again.config == model.config
    again.load_state_dict(model.state_dict())


def test_settings_reach_the_network():
    network = {**SMALL, "clamp": 0.3, "fc_blocks": 2, "mean": [0.25], "zero_init": True}
    model = GenerativeClassifier((1, 8, 8), 2, **network)
    assert model.flow[1].clamp == 0.3
    assert len(model.flow) == 3 + 1 + 1 + 2 * 2  # stages and Haar, DCT, dense
    assert model.preprocessing.mean.item() == 0.25
    assert not model.flow[1].subnet[-1].weight.any()


def test_an_unknown_name_is_refused():
    with pytest.raises(TypeError, match="unexpected keyword argument 'width'"):
        GenerativeClassifier((1, 8, 8), 2, width=4)


def test_command_line_shows_every_setting_with_its_text(monkeypatch):
    monkeypatch.setenv("COLUMNS", "10000")  # no text broken into lines
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(GenerativeClassifier, "m")
    defaults, settings = parser.get_defaults().m, vars(ClassifierSettings())
    assert {name: defaults[name] for name in settings} == settings
    places = (FlowSettings, ClassifierSettings, GenerativeClassifier)
    texts = {p.arg_name: p.description for place in places for p in parse(place.__doc__).params}
    shown = parser.format_help()
    for name in ("image_shape", "num_classes", "class_names", *settings):
        assert f"--m.{name} " in shown
        assert " ".join(texts[name].split()) in shown
