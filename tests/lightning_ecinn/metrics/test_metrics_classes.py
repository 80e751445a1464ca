"""The torchmetric is the mean of any pure function, however the images are spread."""

import pytest
import torch
from torch import nn

from lightning_ecinn import metrics

N, K = 11, 4


class Offset:
    """Class k's autoencoder adds k + 1 times a little, that of all nothing."""

    def reconstruct(self, images, label=None):
        return images if label is None else images + 0.01 * (label + 1).view(-1, 1, 1, 1)


@pytest.fixture
def values():
    """One of everything per counterfactual, in float64."""
    random = torch.manual_seed(0)
    oracle = nn.Sequential(nn.Flatten(), nn.Linear(12, K)).double()
    classes = torch.randint(K, (3, N), generator=random)
    pictures = torch.rand(3, N, 3, 2, 2, generator=random).double()
    pictures[1, ::2, :, 0] = pictures[0, ::2, :, 0]  # some pixels did not move
    posteriors = torch.randn(2, N, K, generator=random).double().softmax(2)
    return {
        "x": pictures[0],
        "c": pictures[1],
        "heatmap": pictures[1] - pictures[0],
        "other": pictures[2] - pictures[0],
        "mask": pictures[2] > 0.3,
        "predicted": classes[0],
        "source": classes[1],
        "target": classes[2],
        "p": posteriors[0],
        "q": posteriors[1],
        "log_prob": posteriors[0, :, 0].log(),
        "oracle": oracle,
        "autoencoders": Offset(),
        "quantile": -1.5,
        "probability": lambda pictures: pictures.flatten(1).square().mean(1),
        "baseline": 0.5,
        "steps": 3,
    }


def agreement(oracle, c, target):
    """Whether an oracle sees the target."""
    return metrics.validity(oracle(c).argmax(1), target)


def deletion_area(*arguments):
    return metrics.area(metrics.deletion_curve(*arguments))


def insertion_area(*arguments):
    return metrics.area(metrics.insertion_curve(*arguments))


CASES = [
    (metrics.validity, "predicted target"),
    (metrics.flip, "predicted source"),
    (metrics.log_odds, "p target source"),
    (metrics.tipping_gap, "p source target"),
    (metrics.l1, "x c"),
    (metrics.l2, "x c"),
    (metrics.en, "x c"),
    (metrics.sparsity, "x c"),
    (metrics.im1, "c source target autoencoders"),
    (metrics.im2, "c target autoencoders"),
    (agreement, "oracle c target"),
    (metrics.label_variation, "p q"),
    (metrics.is_plausible, "log_prob quantile"),
    (metrics.heatmap_mass, "heatmap mask"),
    (metrics.heatmap_pointing, "heatmap mask"),
    (metrics.heatmap_rank, "heatmap mask"),
    (metrics.heatmap_correlation, "heatmap other"),
    (metrics.heatmap_noise, "heatmap"),
    (deletion_area, "probability x heatmap baseline steps"),
    (insertion_area, "probability x heatmap baseline steps"),
]


def part(value, chosen):
    return value[chosen] if torch.is_tensor(value) else value


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
@pytest.mark.parametrize(("function", "names"), CASES, ids=[c[0].__name__ for c in CASES])
def test_updates_and_processes_do_not_matter(values, function, names):
    arguments = [values[name] for name in names.split()]
    each = function(*arguments)
    assert each.shape == (N,)
    assert each.dtype in (torch.float64, torch.bool)
    assert len(each.unique()) > 1  # or any mean would do
    first, second = metrics.MeanMeasure(function), metrics.MeanMeasure(function)
    for metric, chosen in ((first, slice(0, 2)), (first, slice(2, 7)), (second, slice(7, N))):
        metric.update(*(part(value, chosen) for value in arguments))
    partial = first.compute()
    torch.testing.assert_close(partial, each[:7].double().mean(), rtol=1e-12, atol=0)
    first.merge_state(second)
    first._computed = None
    torch.testing.assert_close(first.compute(), each.double().mean(), rtol=1e-12, atol=0)
    first.reset()
    with pytest.raises(ValueError, match=f"{function.__name__} has no counterfactual to measure"):
        first.compute()


def test_every_measure_of_a_counterfactual_is_tried():
    whole = {
        "MeanMeasure",
        "fid",
        "bootstrap_interval",
        "area",
        "deletion_curve",
        "insertion_curve",
        "ToldApart",
        "told_apart",
        "roc_auc",
        "rank_correlation",
        "rank_correlation_interval",
        "comparable",
    }
    of_a_picture = {"slant", "stroke_thickness", "shape_height", "shape_width", "ink"}
    left_out = whole | of_a_picture
    assert {function.__name__ for function, _ in CASES} >= set(metrics.__all__) - left_out
