"""Any input of a measure gives a finite answer or one sentence."""

import pytest
import torch
from hypothesis import given, strategies as st
from properties import JUNK, ODD_NUMBERS, classes, finite_or_one_sentence, numbers, shapes_like

from lightning_ecinn import metrics

SHAPE = (2, 1, 2, 3)
K = 3


@st.composite
def arrays(draw, shape=SHAPE):
    """Mostly a tensor of the shape, in [0, 1] or of any values; sometimes none."""
    if not draw(st.integers(0, 7)):
        return draw(st.sampled_from(JUNK))
    made = draw(numbers(draw(shapes_like(shape))))
    return made.sigmoid() if draw(st.booleans()) else made


@st.composite
def masks(draw):
    made = draw(arrays(draw(st.sampled_from([SHAPE, (1, 1, 2, 3), (2, 3)]))))
    return made > 0.5 if isinstance(made, torch.Tensor) and draw(st.integers(0, 4)) else made


def tensors_of_classes(count):
    return classes(K, count).filter(lambda value: not isinstance(value, int))


class Halves:
    def reconstruct(self, images, label=None):
        return images / 2


@pytest.mark.parametrize("measure", [metrics.l1, metrics.l2, metrics.en, metrics.sparsity])
@given(arrays(), arrays())
def test_pictures(measure, x, c):
    finite_or_one_sentence(lambda: measure(x, c))


@given(arrays(), tensors_of_classes(2), tensors_of_classes(2))
def test_interpretability(c, source, target):
    finite_or_one_sentence(lambda: metrics.im1(c, source, target, Halves()))
    finite_or_one_sentence(lambda: metrics.im2(c, target, Halves()))


@pytest.mark.parametrize("measure", ["heatmap_mass", "heatmap_pointing", "heatmap_rank"])
@given(arrays(), masks())
def test_localisation(measure, heatmap, mask):
    found = finite_or_one_sentence(lambda: getattr(metrics, measure)(heatmap, mask))
    if found is not None:
        assert found.shape == heatmap.shape[:1]
        assert ((found >= 0) & (found <= 1 + 1e-12)).all()


@given(arrays(), arrays())
def test_correlation(a, b):
    finite_or_one_sentence(lambda: metrics.heatmap_correlation(a, b))


@given(arrays((2, K)), tensors_of_classes(2), tensors_of_classes(2))
def test_classification(log_posterior, a, b):
    finite_or_one_sentence(lambda: metrics.log_odds(log_posterior, a, b))
    finite_or_one_sentence(lambda: metrics.tipping_gap(log_posterior, a, b))
    finite_or_one_sentence(lambda: metrics.validity(a, b))
    finite_or_one_sentence(lambda: metrics.flip(a, b))


@given(arrays((2, K)), arrays((2, K)), st.booleans())
def test_label_variation(p, q, probabilities):
    if probabilities and all(isinstance(v, torch.Tensor) and v.ndim == 2 for v in (p, q)):
        p, q = (v.double().nan_to_num(0, 0, 0).softmax(1) for v in (p, q))
    finite_or_one_sentence(lambda: metrics.label_variation(p, q))


whole = st.sampled_from([3, 1, 0, -1, 2.5, True, *JUNK[:6]])


@given(arrays(), arrays(), st.sampled_from([0.0, *ODD_NUMBERS, *JUNK]) | arrays(), whole)
def test_curves(x, heatmap, baseline, steps):
    def probability(pictures):
        return pictures.flatten(1).double().mean(1)

    for curve in (metrics.deletion_curve, metrics.insertion_curve):
        found = finite_or_one_sentence(
            lambda curve=curve: curve(probability, x, heatmap, baseline, steps)
        )
        if found is not None:
            assert found.shape == (len(x), steps + 1)


@given(arrays((2, 4)))
def test_area(curve):
    finite_or_one_sentence(lambda: metrics.area(curve))


@given(
    arrays((5,)),
    whole,
    st.sampled_from([0.9, *ODD_NUMBERS, "a"]),
    st.none() | tensors_of_classes(5),
)
def test_bootstrap(values, samples, level, groups):
    finite_or_one_sentence(
        lambda: metrics.bootstrap_interval(values, samples, level, groups=groups)
    )


@given(arrays((4,)), st.sampled_from([0.0, *ODD_NUMBERS, *JUNK]))
def test_plausibility(log_prob, reference):
    finite_or_one_sentence(lambda: metrics.is_plausible(log_prob, reference))


@given(arrays((4, 2)), arrays((3, 2)))
def test_fid(real, counterfactual):
    finite_or_one_sentence(lambda: metrics.fid(real, counterfactual))


@given(st.lists(arrays((2,)), min_size=1, max_size=3))
def test_mean_measure(batches):
    mean = metrics.MeanMeasure(lambda values: values)

    def computed():
        for values in batches:
            mean.update(values)
        return mean.compute()

    finite_or_one_sentence(computed)
