"""Every block is a bijection and reports its exact log-determinant."""

import math
from functools import partial

import numpy as np
import pytest
import torch
from torch import nn

from lightning_ecinn.flows import (
    CouplingBlock,
    DCTPooling,
    DownsamplingCoupling,
    FixedPermutation,
    HaarDownsampling,
    ib_inn,
)
from lightning_ecinn.flows.blocks import random_rotation
from lightning_ecinn.flows.subnets import conv_subnet, linear_subnet, strided_subnet


def randomised(module):
    """In float64, in evaluation mode, with nothing left at a special value such as 0 or 1."""
    module = module.double().eval()
    with torch.no_grad():
        for parameter in module.parameters():
            if parameter.requires_grad:
                parameter.add_(0.3 * torch.randn_like(parameter))
    for layer in module.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.3)
            layer.running_var.uniform_(0.5, 2)
    return module


def coupling(channels, side=4, **settings):
    subnet = partial(conv_subnet, width=6)
    return CouplingBlock([(channels, side, side)], subnet=subnet, **settings)


def downsampling(channels, side=4):
    return DownsamplingCoupling(
        [(channels, side, side)],
        subnet_high=partial(strided_subnet, width=6),
        subnet_low=partial(conv_subnet, width=6, leading_relu=False),
    )


def glow(num_dims):
    """The fully connected coupling as ib_inn builds it."""
    return ib_inn((1, num_dims, num_dims), blocks=(0,), widths=(1,), dropouts=(0,), fc_width=9)[-1]


BLOCKS = {
    "haar-1": (lambda: HaarDownsampling([(1, 6, 6)]), (1, 6, 6)),
    "haar-3": (lambda: HaarDownsampling([(3, 4, 4)]), (3, 4, 4)),
    "haar-gain": (lambda: HaarDownsampling([(3, 4, 4)], gain=6.0), (3, 4, 4)),
    "coupling-2": (lambda: coupling(2), (2, 4, 4)),
    "coupling-4": (lambda: coupling(4), (4, 4, 4)),
    "coupling-5": (lambda: coupling(5, side=3), (5, 3, 3)),
    "downsampling-2": (lambda: downsampling(2), (2, 4, 4)),
    "downsampling-3": (lambda: downsampling(3), (3, 4, 4)),
    "downsampling-5": (lambda: downsampling(5, side=2), (5, 2, 2)),
    "dct-1": (lambda: DCTPooling([(1, 5, 5)]), (1, 5, 5)),
    "dct-3": (lambda: DCTPooling([(3, 4, 4)]), (3, 4, 4)),
    "dct-1x1": (lambda: DCTPooling([(4, 1, 1)]), (4, 1, 1)),
    "permutation": (lambda: FixedPermutation([(17,)], seed=3), (17,)),
    "glow": (lambda: glow(4), (16,)),
}


@pytest.fixture(params=BLOCKS)
def block(request):
    torch.manual_seed(0)
    build, shape = BLOCKS[request.param]
    return randomised(build()), shape


def apply(module, x, rev=False):
    (y,), log_det = module((x,), rev=rev)
    return y, torch.as_tensor(log_det, dtype=x.dtype).expand(len(x))


def jacobian(module, x, rev=False):
    """The full Jacobian at one point x (1, ...)."""
    full = torch.autograd.functional.jacobian(lambda x: module((x,), rev=rev)[0][0], x)
    return full.reshape(x.numel(), x.numel())


def test_inverts_both_ways(block):
    module, shape = block
    x = torch.randn(5, *shape, dtype=torch.float64)
    y, log_det = apply(module, x)
    assert y.shape[1:] == torch.Size(module.output_dims([shape])[0])
    back, log_det_back = apply(module, y, rev=True)
    assert (back - x).abs().max() < 1e-9
    torch.testing.assert_close(log_det + log_det_back, torch.zeros(5).double(), atol=1e-10, rtol=0)

    y = torch.randn_like(y)
    x, log_det_back = apply(module, y, rev=True)
    again, log_det = apply(module, x)
    assert (again - y).abs().max() < 1e-9
    torch.testing.assert_close(log_det + log_det_back, torch.zeros(5).double(), atol=1e-10, rtol=0)


@pytest.mark.parametrize("rev", [False, True])
def test_log_det_is_that_of_the_jacobian(block, rev):
    module, shape = block
    x = torch.randn(2, *shape, dtype=torch.float64)
    if rev:
        x = apply(module, x)[0]
    _, log_det = apply(module, x, rev)
    for k in range(2):
        expected = torch.linalg.slogdet(jacobian(module, x[k : k + 1], rev)).logabsdet
        torch.testing.assert_close(log_det[k], expected, rtol=1e-9, atol=1e-9)


def test_leaves_its_input_alone(block):
    module, shape = block
    x = torch.randn(2, *shape, dtype=torch.float64)
    kept = x.clone()
    y, _ = apply(module, x)
    assert torch.equal(x, kept)
    kept = y.clone()
    apply(module, y, rev=True)
    assert torch.equal(y, kept)


def test_gradients_pass_both_ways(block):
    module, shape = block
    x = torch.randn(2, *shape, dtype=torch.float64, requires_grad=True)
    y, _ = apply(module, x)
    assert torch.autograd.grad(y.square().sum(), x)[0].isfinite().all()
    y = y.detach().requires_grad_()
    back, _ = apply(module, y, rev=True)
    assert torch.autograd.grad(back.square().sum(), y)[0].isfinite().all()


def test_haar_is_orthonormal():
    module = HaarDownsampling([(2, 4, 4)]).double()
    x = torch.randn(1, 2, 4, 4, dtype=torch.float64)
    matrix = jacobian(module, x)
    torch.testing.assert_close(matrix @ matrix.T, torch.eye(32).double(), atol=1e-14, rtol=0)
    y, log_det = apply(module, x)
    assert (log_det == 0).all()
    low_pass = x.unfold(2, 2, 2).unfold(3, 2, 2).sum((-1, -2)) / 2
    torch.testing.assert_close(y[:, ::4], low_pass)


def test_haar_gain_multiplies_the_details_alone():
    x = torch.randn(2, 3, 4, 4)
    plain, _ = apply(HaarDownsampling([(3, 4, 4)]), x)
    gained, _ = apply(HaarDownsampling([(3, 4, 4)], gain=6.0), x)
    factors = torch.tensor([1.0, 6, 6, 6]).repeat(3).view(12, 1, 1)
    torch.testing.assert_close(gained, factors * plain)


@pytest.mark.parametrize("gain", [0, -1.0, float("nan")])
def test_haar_gain_must_be_positive(gain):
    with pytest.raises(ValueError, match="must be positive"):
        HaarDownsampling([(1, 4, 4)], gain=gain)


@pytest.mark.parametrize("build", [HaarDownsampling, lambda dims: downsampling(3, dims[0][1])])
def test_downsampling_needs_an_even_side(build):
    with pytest.raises(ValueError, match="even height and width, got 5x5"):
        build([(3, 5, 5)])


class Constant(nn.Module):
    """A subnet that knows nothing of its input."""

    def __init__(self, channels, stride=1):
        super().__init__()
        self.values, self.stride = nn.Parameter(torch.randn(channels)), stride

    def forward(self, x):
        _, _, height, width = x.shape
        shape = (len(x), -1, height // self.stride, width // self.stride)
        return self.values.view(1, -1, 1, 1).expand(*shape)


def test_coupling_block_is_its_formula():
    torch.manual_seed(1)
    module = CouplingBlock([(5, 2, 2)], subnet=lambda _, out: Constant(out), clamp=0.7).double()
    with torch.no_grad():
        module.log_scale.normal_()
        module.offset.normal_()
    x = torch.randn(3, 5, 2, 2, dtype=torch.float64)
    y, log_det = apply(module, x)
    a, t = module.subnet.values.split(2)
    log_s = 0.7 * torch.tanh(0.1 * a)
    x1, x2 = x.split((3, 2), dim=1)
    u = torch.cat((x1, x2 * log_s.exp().view(-1, 1, 1) + t.view(-1, 1, 1)), dim=1)
    mixed = torch.einsum("ij,bjhw->bihw", module.rotation.matrix, u)
    torch.testing.assert_close(y, mixed * module.log_scale.exp() + module.offset)
    expected = 4 * (log_s.sum() + module.log_scale.sum())
    torch.testing.assert_close(log_det, expected.expand(3), atol=1e-6, rtol=0)


def test_downsampling_coupling_is_its_formula():
    torch.manual_seed(1)
    module = DownsamplingCoupling(
        [(3, 4, 4)],
        subnet_high=lambda _, out: Constant(out, stride=2),
        subnet_low=lambda _, out: Constant(out),
    ).double()
    x = torch.randn(2, 3, 4, 4, dtype=torch.float64)
    y, log_det = apply(module, x)
    assert module.splits == (1, 2)
    values = torch.cat((module.subnet_low.values[:4], module.subnet_high.values[:8]))
    shifts = torch.cat((module.subnet_low.values[4:], module.subnet_high.values[8:]))
    log_s = 0.7 * torch.tanh(0.2 * values)
    for channel in range(3):
        for dy in range(2):
            for dx in range(2):
                k = 4 * channel + 2 * dy + dx
                expected = x[:, channel, dy::2, dx::2] * log_s[k].exp() + shifts[k]
                torch.testing.assert_close(y[:, k], expected)
    torch.testing.assert_close(log_det, (4 * log_s.sum()).expand(2))


def test_coupling_block_starts_at_its_scale():
    scale = coupling(4, init_scale=0.75).log_scale.exp()
    torch.testing.assert_close(scale, torch.full_like(scale, 0.75))


def test_coupling_block_errors():
    with pytest.raises(ValueError, match="at least 2 channels to split, got 1"):
        coupling(1)
    with pytest.raises(ValueError, match="at least 2 channels to split, got 1"):
        downsampling(1)
    with pytest.raises(ValueError, match="init_scale must be positive, got 0"):
        coupling(4, init_scale=0)


@pytest.mark.parametrize("channels", [2, 3, 16])
def test_rotation_is_in_so(channels):
    torch.set_default_dtype(torch.float64)
    try:
        rotations = [random_rotation(channels) for _ in range(20)]
    finally:
        torch.set_default_dtype(torch.float32)
    for rotation in rotations:
        torch.testing.assert_close(
            rotation @ rotation.T, torch.eye(channels).double(), atol=1e-13, rtol=0
        )
        assert torch.linalg.det(rotation) > 0.99
    assert not torch.equal(rotations[0], rotations[1])


@pytest.mark.parametrize(("channels", "size"), [(1, 1), (2, 3), (16, 7)])
def test_dct_is_its_formula(channels, size):
    module = DCTPooling([(channels, size, size)]).double()
    x = torch.randn(2, channels, size, size, dtype=torch.float64)
    y, log_det = apply(module, x)
    i = np.arange(size)
    matrix = 2 * np.cos(np.pi * i[:, None] * (2 * i[None] + 1) / (2 * size))
    maps = np.einsum("ki,bcij,lj->blkc", matrix, x.numpy(), matrix) / (4 * (size + 1))
    torch.testing.assert_close(y, torch.from_numpy(maps.reshape(2, -1)), rtol=1e-12, atol=1e-12)
    expected = channels * size**2 * math.log(size / (2 * (size + 1))) + channels * size * math.log(
        2
    )
    assert log_det[0].item() == pytest.approx(expected, rel=1e-14)


def test_dct_differs_from_the_reference_constant():
    log_det = DCTPooling([(16, 7, 7)]).log_det
    assert 16 * 49 * math.log(0.5) - log_det == pytest.approx(27.056, abs=1e-3)


def test_dct_needs_squares():
    with pytest.raises(ValueError, match="square feature maps, got 4x6"):
        DCTPooling([(1, 4, 6)])


def test_dct_is_exact_after_any_conversion():
    module = DCTPooling([(2, 7, 7)])
    x = torch.randn(2, 2, 7, 7, dtype=torch.float64)
    expected, _ = apply(DCTPooling([(2, 7, 7)]).double(), x)
    y, _ = apply(module.half().float().double(), x)
    assert torch.equal(y, expected)
    assert module.float()((x.float(),))[0][0].dtype == torch.float32


def test_a_loaded_dct_is_the_one_that_counts():
    """As in published checkpoints, whose matrices are rounded to float32."""
    module, rounded = DCTPooling([(2, 7, 7)]).double(), DCTPooling([(2, 7, 7)]).state_dict()
    module.load_state_dict(rounded)
    assert torch.equal(module.dct.matrix, rounded["dct.matrix"].double())
    identity = module.dct.matrix @ module.dct.inverse
    torch.testing.assert_close(identity, torch.eye(7).double(), atol=1e-13, rtol=0)


@pytest.mark.parametrize("seed", [0, 1, 7])
def test_permutation_is_numpys_and_leaves_its_generator_alone(seed):
    np.random.seed(123)
    expected_next = np.random.RandomState(123).rand()
    module = FixedPermutation([(50,)], seed=seed)
    assert np.random.rand() == expected_next
    x = torch.randn(3, 50)
    y, log_det = apply(module, x)
    assert torch.equal(y, x[:, np.random.RandomState(seed).permutation(50)])
    assert (log_det == 0).all()


def test_glow_coupling_has_ib_inns_soft_clamp():
    torch.manual_seed(0)
    module = randomised(glow(4))
    x = torch.randn(3, 16, dtype=torch.float64)
    x1, x2 = x.split(8, dim=1)

    def affine(x, a):
        log_s = 2 * 0.636 * torch.atan(a[:, :8] / 2)
        return x * log_s.exp() + a[:, 8:], log_s.sum(1)

    y1, log_det1 = affine(x1, module.subnet2(x2))
    y2, log_det2 = affine(x2, module.subnet1(y1))
    y, log_det = apply(module, x)
    torch.testing.assert_close(y, torch.cat((y1, y2), dim=1))
    torch.testing.assert_close(log_det, log_det1 + log_det2)


def layers(net):
    return [type(layer).__name__ for layer in net]


def test_subnets_are_laid_out_as_the_paper_says():
    body = ["Conv2d", "BatchNorm2d", "ReLU", "Conv2d", "BatchNorm2d", "ReLU"]
    net = conv_subnet(3, 10, width=7, dropout=0.25)
    assert layers(net) == ["ReLU", *body, "Dropout2d", "Conv2d"]
    assert layers(conv_subnet(3, 10, width=7, leading_relu=False)) == [*body, "Dropout2d", "Conv2d"]
    assert net[-2].p == 0.25
    strided = strided_subnet(3, 10, width=7)
    assert layers(strided) == [*body, "Conv2d"]
    assert strided(torch.randn(2, 3, 8, 8)).shape == (2, 10, 4, 4)
    for conv in (net[1], net[4], strided[0], strided[3]):
        assert conv.kernel_size == (3, 3)
        assert conv.bias is None
    assert net[-1].kernel_size == (1, 1)
    assert (net[2].eps, net[2].momentum) == (1e-4, 0.1)
    dense = linear_subnet(5, 6, width=7, dropout=0.5)
    assert layers(dense)[:4] == ["Linear", "ReLU", "Dropout", "Linear"]
    assert dense[2].p == 0.5


def test_subnets_start_kaiming_normal():
    torch.manual_seed(0)
    conv = conv_subnet(32, 4, width=64)[1].weight
    assert conv.std().item() == pytest.approx(math.sqrt(2 / (9 * 32)), rel=0.05)
    dense = linear_subnet(200, 4, width=100)[0].weight
    assert dense.std().item() == pytest.approx(0.1 * math.sqrt(2 / 200), rel=0.05)


def test_subnet_does_not_change_its_input():
    x = torch.randn(2, 3, 4, 4)
    kept = x.clone()
    conv_subnet(3, 4, width=5)(x)
    strided_subnet(3, 4, width=5)(x)
    assert torch.equal(x, kept)
