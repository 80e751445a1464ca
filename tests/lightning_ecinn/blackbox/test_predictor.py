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
        (lambda x: x.sum((1, 2, 3))[:, None], {}, "of two classes give both"),
        (
            lambda x: x.sum((1, 2, 3)),
            {},
            r"shape \(3, K\) or whole numbers \(3,\), got shape \(3,\)",
        ),
        (lambda x: torch.zeros(3, 4), {"num_classes": 2}, r"shape \(3, 2\), got shape \(3, 4\)"),
        (lambda x: torch.zeros(2, 2), {}, r"shape \(3, 2\), got shape \(2, 2\)"),
        (lambda x: [0, 1, 2], {"num_classes": 2}, "from 0 to 1, got 0 to 2"),
        (lambda x: [0, 1, 0], {}, "give num_classes or class_names"),
        (lambda x: torch.full((3, 2), torch.nan), {}, "NaN or infinite"),
        (lambda x: None, {}, "were no tensor"),
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
    ],
)
def test_settings_that_are_none_are_refused(arguments, words):
    with pytest.raises(ValueError, match=words):
        Predictor(**arguments)
