"""Asking a classifier: what it may be, what it may say, and what is refused."""

import numpy as np
import pytest
import torch
from torch import nn

from lightning_ecinn import Predictor

PICTURES = torch.linspace(0, 1, 3 * 4).reshape(3, 1, 2, 2)


def logits(x):
    return torch.stack((x.sum((1, 2, 3)), x[:, 0, 0, 0]), 1)


@pytest.mark.parametrize(
    ("predict", "kind", "expected"),
    [
        (logits, "logits", logits(PICTURES).double().softmax(1)),
        (lambda x: logits(x).softmax(1), "probabilities", logits(PICTURES).double().softmax(1)),
        (lambda x: logits(x).numpy(), "logits", logits(PICTURES).double().softmax(1)),
        (lambda x: logits(x).tolist(), "logits", logits(PICTURES).double().softmax(1)),
        (lambda x: np.array([0, 1, 1]), "labels", torch.eye(2).double()[[0, 1, 1]]),
        (lambda x: [0, 1, 1], "labels", torch.eye(2).double()[[0, 1, 1]]),
    ],
)
def test_answers_of_every_kind_become_probabilities(predict, kind, expected):
    predictor = Predictor(predict, num_classes=2)
    seen = predictor(PICTURES)
    assert seen.dtype == torch.float64
    torch.testing.assert_close(seen, expected, rtol=1e-6, atol=1e-7)
    assert predictor.answers == kind


def test_a_module_is_asked_in_evaluation_mode_where_it_is_and_a_few_at_a_time():
    sizes = []

    class Module(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = nn.Linear(4, 5)
            self.dropout = nn.Dropout(0.9)

        def forward(self, x):
            sizes.append(len(x))
            return self.dropout(self.layer(x.flatten(1)))

    module = Module()
    predictor = Predictor(module, chunk_size=2)
    torch.testing.assert_close(
        predictor(PICTURES.double()).float(), module.layer(PICTURES.flatten(1)).softmax(1)
    )
    assert (sizes, predictor.num_classes, module.training) == ([2, 1], 5, False)
    module.train()  # somebody goes on with it
    assert torch.equal(predictor(PICTURES), predictor(PICTURES))


def test_a_program_of_torch_export_is_asked_as_it_is():
    module = nn.Sequential(nn.Flatten(), nn.Linear(4, 5)).eval()
    program = torch.export.export(module, (PICTURES,)).module()
    torch.testing.assert_close(Predictor(program)(PICTURES), Predictor(module)(PICTURES))


def test_probabilities_in_bfloat16_are_seen_as_such():
    rounded = torch.tensor([[0.297, 0.103, 0.6]] * 3).bfloat16()
    assert (rounded.double().sum(1) - 1).abs().max() > 1e-3
    predictor = Predictor(lambda x: rounded)
    assert predictor(PICTURES)[0].tolist() == pytest.approx([0.297, 0.103, 0.6], abs=4e-3)
    assert predictor.answers == "probabilities"


@pytest.mark.parametrize("kind", [np.uint16, np.int8, bool])
def test_labels_of_any_whole_type(kind):
    predictor = Predictor(lambda x: np.array([0, 1, 1], kind), num_classes=2)
    assert predictor(PICTURES).argmax(1).tolist() == [0, 1, 1]


def test_grey_levels_are_given_where_they_are_asked_for():
    given = []

    def predict(x):
        given.append(x)
        return [0] * len(x)

    Predictor(predict, num_classes=2, pictures="uint8")(PICTURES)
    assert given[0].dtype == torch.uint8
    assert given[0].flatten()[-1] == 255


@pytest.mark.parametrize(
    ("predict", "settings", "words"),
    [
        (lambda x: x.sum((1, 2, 3))[:, None], {}, r"one number .* \(3, 1\): of two classes give"),
        (lambda x: x.sum((1, 2, 3)), {}, r"one number .* \(3,\): of two .*; labels are whole"),
        (lambda x: torch.zeros(3, 4), {"num_classes": 2}, "for 4 classes, and 2 were expected"),
        (lambda x: torch.zeros(2, 2), {}, r"shape \(3, K\), got shape \(2, 2\)"),
        (
            lambda x: torch.zeros(3, 2),
            {"answers": "labels", "num_classes": 2},
            r"shape \(3,\), got",
        ),
        (lambda x: [0, 1, 2], {"num_classes": 2}, "from 0 to 1, got 2"),
        (lambda x: [0.0, 0.6, 1.0], {"answers": "labels", "num_classes": 2}, "whole .* got 0.6"),
        (lambda x: [0, 1, 0], {}, "give num_classes or class_names"),
        (lambda x: torch.full((3, 2), torch.nan), {}, "NaN or infinite"),
        (lambda x: None, {}, "gave None: give a function that returns its logits"),
        (lambda x: (torch.zeros(3, 2), torch.zeros(3)), {}, r"one tensor.*gave .*\(tuple\)"),
        (lambda x: {"logits": torch.zeros(3, 2)}, {}, r"gave \{'logits': "),
        (lambda x: ["cat", "dog", "cat"], {}, r"gave \['cat', 'dog', 'cat'\]"),
        (lambda x: torch.ones(3, 2), {"answers": "probabilities"}, "sum to 1"),
    ],
)
def test_answers_that_are_none_are_refused_in_a_sentence(predict, settings, words):
    with pytest.raises(ValueError, match=words):
        Predictor(predict, **settings)(PICTURES)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"predict": "resnet.pt"}, "module or a function"),
        (
            {"predict": logits, "pictures": "int"},
            'one of "float", "uint8", "symmetric", "imagenet"',
        ),
        ({"predict": logits, "answers": "scores"}, '"logits", "probabilities" or "labels"'),
        ({"predict": nn.Flatten}, "of a class an object"),
        ({"predict": logits, "num_classes": "2"}, "whole number from 2 up, got '2'"),
        ({"predict": logits, "num_classes": 1}, "whole number from 2 up, got 1"),
        (
            {"predict": logits, "chunk_size": 0},
            "chunk_size must be a whole number from 1 up, got 0",
        ),
    ],
)
def test_settings_that_are_none_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Predictor(**arguments)
