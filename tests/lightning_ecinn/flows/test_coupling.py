"""The coupling's equations: what is written twice for speed is the same."""

import pytest
import torch
from torch import nn

from lightning_ecinn.flows import CouplingBlock
from lightning_ecinn.flows.coupling import DOWNSAMPLING_SLOPE, SLOPE, affine, affine_, pointwise


@pytest.mark.parametrize("rev", [False, True])
@pytest.mark.parametrize("slope", [SLOPE, DOWNSAMPLING_SLOPE])
def test_in_place_it_is_the_same(slope, rev):
    torch.manual_seed(0)
    x = torch.randn(5, 3, 2, 2, dtype=torch.float64)
    a = 8 * torch.randn(5, 6, 2, 2, dtype=torch.float64)  # into the bend of tanh
    expected, log_det = affine(x, a, clamp=0.7, slope=slope, rev=rev)
    a[:, :3] *= slope
    for jac in (False, True):
        given = x.clone()
        y, found = affine_(given, a, clamp=0.7, rev=rev, jac=jac)
        assert y is given
        torch.testing.assert_close(y, expected, rtol=1e-14, atol=1e-14)
        expected_log_det = log_det if jac else 0.0
        torch.testing.assert_close(found, expected_log_det, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("rev", [False, True])
def test_affine_is_its_formula(rev):
    torch.manual_seed(0)
    x, a = torch.randn(2, 5, 3, 2, 2, dtype=torch.float64)
    a = torch.cat((a, a.flip(0)), dim=1)
    y, log_det = affine(x, a, clamp=0.7, slope=0.3, rev=rev)
    log_s, t = 0.7 * torch.tanh(0.3 * a[:, :3]), a[:, 3:]
    torch.testing.assert_close(y, (x - t) / log_s.exp() if rev else x * log_s.exp() + t)
    torch.testing.assert_close(log_det, (-1 if rev else 1) * log_s.sum((1, 2, 3)))
    assert affine(x, a, clamp=0.7, slope=0.3, rev=rev, jac=False)[1] == 0


def test_mixing_is_one_linear_map_and_its_inverse():
    torch.manual_seed(0)
    block = CouplingBlock([(5, 2, 3)], subnet=lambda c, out: nn.Conv2d(c, out, 1)).double()
    with torch.no_grad():
        block.log_scale.normal_()
        block.offset.normal_()
    u = torch.randn(4, 5, 2, 3, dtype=torch.float64)
    y, log_det = block.mixing(rev=False).of(u)
    rotated = pointwise(block.rotation.matrix, u)
    torch.testing.assert_close(y, rotated * block.log_scale.exp() + block.offset)
    # The rotation is rounded to float32.
    torch.testing.assert_close(log_det, 6 * block.log_scale.sum(), rtol=0, atol=1e-6)
    back, log_det_back = block.mixing(rev=True).of(y)
    torch.testing.assert_close(back, u, rtol=1e-12, atol=1e-12)
    assert log_det_back == -log_det
