"""The torchmetrics are the means of the pure functions, however the images are spread."""

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


CASES = [
    (metrics.Validity, metrics.validity, "predicted target"),
    (metrics.FlipRate, metrics.flip, "predicted source"),
    (metrics.TippingGap, metrics.tipping_gap, "p source target"),
    (metrics.L1, metrics.l1, "x c"),
    (metrics.L2, metrics.l2, "x c"),
    (metrics.EN, metrics.en, "x c"),
    (metrics.Sparsity, metrics.sparsity, "x c"),
    (metrics.IM1, metrics.im1, "c source target autoencoders"),
    (metrics.IM2, metrics.im2, "c target autoencoders"),
    (metrics.OracleAgreement, metrics.oracle_agreement, "oracle c target"),
    (metrics.LabelVariationScore, metrics.label_variation, "p q"),
    (metrics.Plausibility, metrics.is_plausible, "log_prob quantile"),
    (metrics.HeatmapMass, metrics.heatmap_mass, "heatmap mask"),
    (metrics.HeatmapPointing, metrics.heatmap_pointing, "heatmap mask"),
    (metrics.HeatmapRank, metrics.heatmap_rank, "heatmap mask"),
    (metrics.HeatmapCorrelation, metrics.heatmap_correlation, "heatmap other"),
    (
        metrics.DeletionArea,
        lambda *a: metrics.area(metrics.deletion_curve(*a)),
        "probability x heatmap baseline steps",
    ),
    (
        metrics.InsertionArea,
        lambda *a: metrics.area(metrics.insertion_curve(*a)),
        "probability x heatmap baseline steps",
    ),
]


def part(value, chosen):
    return value[chosen] if torch.is_tensor(value) else value


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
@pytest.mark.parametrize(("kind", "function", "names"), CASES, ids=[c[0].__name__ for c in CASES])
def test_updates_and_processes_do_not_matter(values, kind, function, names):
    arguments = [values[name] for name in names.split()]
    each = function(*arguments)
    assert each.shape == (N,)
    assert each.dtype in (torch.float64, torch.bool)
    assert len(each.unique()) > 1  # or any mean would do
    first, second = kind(), kind()
    for metric, chosen in ((first, slice(0, 2)), (first, slice(2, 7)), (second, slice(7, N))):
        metric.update(*(part(value, chosen) for value in arguments))
    partial = first.compute()
    torch.testing.assert_close(partial, each[:7].double().mean(), rtol=1e-12, atol=0)
    first.merge_state(second)
    first._computed = None
    torch.testing.assert_close(first.compute(), each.double().mean(), rtol=1e-12, atol=0)
    first.reset()
    with pytest.raises(ValueError, match=f"{kind.__name__} has no counterfactual to measure"):
        first.compute()


def test_every_mean_is_tried():
    from lightning_ecinn.metrics import classes

    assert {kind for kind, *_ in CASES} == set(classes.MeanMeasure.__subclasses__())


@pytest.mark.filterwarnings("ignore:The ``compute`` method of metric")
def test_cost():
    first, second = metrics.Cost(), metrics.Cost()
    first.update(torch.tensor([1, 2, 3]), torch.tensor([0, 1, 2]), 0.5)
    first.update(torch.tensor([6]), torch.tensor([1]), torch.tensor([9.0]))
    assert first.compute() == {"forward_evaluations": 3, "inverse_evaluations": 1, "seconds": 0.5}
    second.update(torch.tensor([2, 10]), torch.tensor([1, 1]), torch.tensor([0.75, 8.0]))
    first.merge_state(second)
    first._computed = None
    found = {name: value.item() for name, value in first.compute().items()}
    assert found == {"forward_evaluations": 4, "inverse_evaluations": 1, "seconds": 0.625}
    with pytest.raises(ValueError, match="Cost has no counterfactual"):
        metrics.Cost().compute()
