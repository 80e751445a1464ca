"""Flows of any settings invert, or are refused in one sentence; so are classifiers' inputs."""

import sys
from functools import cache
from pathlib import Path

import torch
from hypothesis import given, settings, strategies as st
from properties import JUNK, ODD_NUMBERS, anything, classes, finite_or_one_sentence, numbers
from torch import nn

from lightning_ecinn import FlowSettings, GaussianMixture, GenerativeClassifier, ib_inn
from lightning_ecinn.flows import (
    CouplingBlock,
    DCTPooling,
    DownsamplingCoupling,
    FixedPermutation,
    FoldedFlow,
    HaarDownsampling,
)

sys.path.insert(0, str(Path(__file__).parent / "ecinn"))
from test_explainer import SHAPE, D, K, classifier

NUMBERS = [0, 1, 2, -1, 0.5, True, *ODD_NUMBERS, *JUNK]
any_value = st.one_of(st.sampled_from(NUMBERS), st.lists(st.sampled_from(NUMBERS), max_size=2))
SMALL = {"blocks": [1], "widths": [2], "dropouts": [0.0], "fc_blocks": 1, "fc_width": 3}


@given(st.sampled_from([*FlowSettings.__dataclass_fields__]), any_value)
def test_settings(name, value):
    made = finite_or_one_sentence(lambda: FlowSettings(**SMALL | {name: value}))
    if made is not None and name not in ("fc_width", "widths", "blocks", "fc_blocks"):
        finite_or_one_sentence(lambda: [*ib_inn((1, 4, 4), **SMALL | {name: value}).parameters()])


@given(st.one_of(st.lists(st.integers(-1, 6), max_size=4), st.sampled_from(JUNK)), any_value)
def test_shapes_and_classes(image_shape, num_classes):
    finite_or_one_sentence(lambda: [*ib_inn(image_shape, **SMALL).parameters()])
    finite_or_one_sentence(
        lambda: [*GenerativeClassifier(image_shape, num_classes, **SMALL).parameters()]
    )
    if not (isinstance(num_classes, int) and num_classes > 100):
        finite_or_one_sentence(lambda: [*GaussianMixture(num_classes, 16).parameters()])


@settings(max_examples=8)
@given(
    st.sampled_from([1, 2, 3]),
    st.sampled_from([4, 8]),
    st.lists(st.integers(0, 2), min_size=1, max_size=2),
    st.integers(0, 2),
    st.booleans(),
    st.booleans(),
    st.sampled_from(["plain", "channels_last", "expanded"]),
)
def test_every_flow_inverts_and_folds(channels, side, blocks, fc_blocks, dct, haar, layout):
    torch.manual_seed(0)
    lists = {"widths": [3] * len(blocks), "dropouts": [0.2] * len(blocks)}
    given = {"blocks": blocks, **lists, "fc_blocks": fc_blocks, "fc_width": 4, "dct": dct}
    flow = finite_or_one_sentence(
        lambda: [ib_inn((channels, side, side), **given, haar=haar).double().eval()]
    )
    if flow is None:
        return
    v = torch.randn(2, channels, side, side, dtype=torch.float64)
    v = v[:1].expand_as(v) if layout == "expanded" else v
    v = v.to(memory_format=torch.channels_last) if layout == "channels_last" else v
    with torch.no_grad():
        for each in (flow[0], FoldedFlow(flow[0])):
            z, log_det = each(v)
            back, log_det_back = each(z, rev=True)
            torch.testing.assert_close(back, v, rtol=1e-6, atol=1e-6)
            torch.testing.assert_close(log_det_back, -log_det, rtol=1e-6, atol=1e-6)


@given(st.lists(st.integers(1, 5), min_size=3, max_size=3))
def test_blocks(dims):
    dims, width = tuple(dims), dims[0] * dims[1] * dims[2]
    x = torch.randn(2, *dims, dtype=torch.float64)

    def convolution(in_channels, out_channels):
        return nn.Conv2d(in_channels, out_channels, 1)

    makers = [
        lambda: CouplingBlock([dims], subnet=convolution),
        lambda: DownsamplingCoupling(
            [dims],
            subnet_high=lambda c, out: nn.Conv2d(c, out, 2, stride=2),
            subnet_low=convolution,
        ),
        lambda: HaarDownsampling([dims], gain=2.0),
        lambda: DCTPooling([dims]),
    ]
    made = [finite_or_one_sentence(lambda make=make: [make()]) for make in makers]
    for block in (found[0].double() for found in made if found):
        (y,), _ = block((x,))
        torch.testing.assert_close(block((y,), rev=True)[0][0], x, rtol=1e-6, atol=1e-6)
    permutation = FixedPermutation([(width,)])
    (y,), _ = permutation((x.flatten(1),))
    assert torch.equal(permutation((y,), rev=True)[0][0], x.flatten(1))


@cache
def small():
    return classifier(blocks=(1,))


@given(anything(SHAPE), classes(K, 2), st.booleans())
@torch.no_grad()
def test_classifier(images, labels, dequantize):
    for call in ("posterior", "log_prob"):
        finite_or_one_sentence(lambda call=call: getattr(small(), call)(images))
    finite_or_one_sentence(lambda: small().log_prob(images, dequantize=dequantize))
    finite_or_one_sentence(lambda: small().sample(labels))


@given(numbers((2, D), odd=False).map(lambda z: z.float().clamp(-1e15, 1e15)))
@torch.no_grad()
def test_mixture(z):
    mixture = small().mixture
    for call in ("logits", "log_prob_given_class", "log_prob", "scores", "log_posterior"):
        finite_or_one_sentence(lambda call=call: getattr(mixture, call)(z))
        finite_or_one_sentence(lambda call=call: getattr(mixture, call)(z[:, 1:]))
