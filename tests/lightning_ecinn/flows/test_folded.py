"""The folded flow is the same function."""

import pytest
import torch
from torch import nn

from lightning_ecinn import GenerativeClassifier
from lightning_ecinn.flows import CouplingBlock, FoldedFlow, ib_inn

GREY = {"image_shape": (1, 8, 8), "blocks": (2, 2)}
COLOUR = {"image_shape": (3, 16, 16), "blocks": (2, 1, 2), "widths": (4, 8, 8)}


@pytest.fixture(params=[GREY, COLOUR], ids=["grey", "colour"])
def classifier(request):
    torch.manual_seed(0)
    settings = {"widths": (4, 8), "dropouts": (0.3,) * len(request.param["blocks"])}
    model = GenerativeClassifier(
        num_classes=3, fc_width=16, fc_dropout=0.5, **settings | request.param
    ).double()
    for _ in range(3):  # batch-norm statistics unlike 0 and 1
        model.flow(torch.randn(32, *model.image_shape, dtype=torch.float64))
    for name, parameter in model.flow.named_parameters():
        if parameter.ndim == 1 or "offset" in name:  # and those of batch norm, biases
            nn.init.normal_(parameter, 1.0 if "weight" in name else 0.0, 0.3)
    return model.eval()


def test_same_function_and_log_determinant(classifier):
    v = torch.randn(5, *classifier.image_shape, dtype=torch.float64)
    folded = FoldedFlow(classifier.flow)
    z, log_det = classifier.flow(v)
    torch.testing.assert_close(folded(v), (z, log_det), rtol=1e-10, atol=1e-10)
    back, log_det_back = folded(z, rev=True)
    torch.testing.assert_close(back, v, rtol=1e-8, atol=1e-8)
    torch.testing.assert_close(log_det_back, -log_det, rtol=1e-8, atol=1e-8)
    expected = classifier.flow(z, rev=True)
    torch.testing.assert_close((back, log_det_back), expected, rtol=1e-10, atol=1e-10)


def test_without_log_determinant(classifier):
    v = torch.randn(5, *classifier.image_shape, dtype=torch.float64)
    folded = FoldedFlow(classifier.flow)
    z, log_det = folded(v, jac=False)
    assert log_det is None
    torch.testing.assert_close(z, folded(v)[0])


def test_rounding_of_float32_is_that_of_the_flow(classifier):
    v = torch.randn(5, *classifier.image_shape)
    exact, _ = classifier.flow(v.double())
    classifier.float()
    error = (classifier.flow(v)[0] - exact).abs().max()
    assert (FoldedFlow(classifier.flow)(v)[0] - exact).abs().max() < 3 * error


def test_classifier_shares_all_but_the_flow(classifier):
    folded = classifier.folded()
    images = torch.rand(5, *classifier.image_shape, dtype=torch.float64)
    torch.testing.assert_close(folded.posterior(images), classifier.posterior(images))
    torch.testing.assert_close(folded.log_prob(images), classifier.log_prob(images))
    classifier.class_means.fill_(7)
    assert (folded.class_means == 7).all()
    folded.float()
    assert classifier.class_means.dtype == torch.float64


def test_stays_in_evaluation_mode_and_keeps_its_weights(classifier):
    v = torch.randn(5, *classifier.image_shape, dtype=torch.float64)
    folded = FoldedFlow(classifier.flow)
    before = folded(v)
    classifier.flow.train()
    with torch.no_grad():
        for parameter in classifier.flow.parameters():
            parameter.mul_(2)
    torch.testing.assert_close(folded(v), before, rtol=0, atol=0)
    assert not folded(v.requires_grad_())[0].requires_grad


class Odd(nn.Module):
    """A subnet that is no chain of layers."""

    def __init__(self, channels, outputs):
        super().__init__()
        self.inner = nn.Conv2d(channels, outputs, 1)

    def forward(self, x):
        return self.inner(x) + x.mean(dim=1, keepdim=True)


SUBNETS = {
    "not a chain": Odd,
    "ends in batch norm": lambda c, o: nn.Sequential(nn.Conv2d(c, o, 1), nn.BatchNorm2d(o)),
    "without statistics": lambda c, o: nn.Sequential(
        nn.Conv2d(c, 4, 1), nn.BatchNorm2d(4, track_running_stats=False), nn.Conv2d(4, o, 1)
    ),
    "norm after ReLU": lambda c, o: nn.Sequential(
        nn.ReLU(), nn.BatchNorm2d(c), nn.ReLU(), nn.Conv2d(c, o, 1)
    ),
    "other padding": lambda c, o: nn.Sequential(
        nn.Conv2d(c, 6, 3, padding=1, padding_mode="reflect", groups=2),
        nn.BatchNorm2d(6, affine=False),
        nn.Identity(),
        nn.ReLU(),
        nn.Conv2d(6, o, 3, padding=2, dilation=2),
    ),
    "starts with identity": lambda c, o: nn.Sequential(
        nn.Identity(), nn.ReLU(), nn.Conv2d(c, o, 1)
    ),
}


@pytest.mark.parametrize("subnet", SUBNETS.values(), ids=SUBNETS)
@pytest.mark.parametrize("rev", [False, True])
def test_any_subnet(subnet, rev):
    torch.manual_seed(0)
    flow = ib_inn((4, 4, 4), blocks=[1], widths=[4], dropouts=[0.0], fc_blocks=0, haar=False)
    flow.module_list[0] = CouplingBlock([(4, 4, 4)], subnet=subnet)
    flow.double()
    flow(torch.randn(16, 4, 4, 4, dtype=torch.float64))
    flow.eval()
    v = torch.randn(5, 4, 4, 4, dtype=torch.float64)
    given = flow(v)[0] if rev else v
    kept = given.clone()
    expected = flow(given, rev=rev)
    folded = FoldedFlow(flow)
    torch.testing.assert_close(folded(given, rev=rev), expected)
    assert torch.equal(given, kept)
    flow.train()
    with torch.no_grad():
        for parameter in flow.parameters():
            parameter.add_(0.1)
    torch.testing.assert_close(folded(given, rev=rev), expected)
