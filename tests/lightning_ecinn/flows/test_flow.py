"""Whole flows: bijections with exact log-determinants in any precision, however they got there."""

import copy

import pytest
import torch
from torch import nn

from lightning_ecinn.flows import CouplingBlock, DownsamplingCoupling, ib_inn
from lightning_ecinn.flows.fixed_matrix import FixedMatrix

FLOWS = {
    "one stage": ((1, 4, 4), {"blocks": (2,), "widths": (6,), "dropouts": (0,)}),
    "MNIST-like": ((1, 8, 8), {"blocks": (2, 2), "widths": (4, 6), "dropouts": (0, 0.25)}),
    "colour": ((3, 8, 8), {"blocks": (1, 2, 1), "widths": (4, 4, 6), "dropouts": (0, 0, 0.25)}),
    "odd": ((5, 4, 4), {"blocks": (1, 1), "widths": (4, 4), "dropouts": (0, 0)}),
    "two dense": ((3, 4, 4), {"blocks": (1,), "widths": (4,), "dropouts": (0,), "fc_blocks": 2}),
    "smallest": ((1, 2, 2), {"blocks": (1,), "widths": (4,), "dropouts": (0,)}),
    "colour haar": ((3, 4, 4), {"blocks": (1,), "widths": (4,), "dropouts": (0,), "haar": True}),
    "linear": ((2, 4, 4), {"blocks": (0,), "widths": (1,), "dropouts": (0,), "fc_blocks": 0}),
    "no DCT": ((1, 8, 8), {"blocks": (2, 2), "widths": (4, 6), "dropouts": (0, 0), "dct": False}),
}
PAPER_COLOUR = {
    "blocks": (8, 24, 24),
    "widths": (16, 32, 64),
    "dropouts": (0, 0, 0.25),
    "init_scale": 0.75,
}


def randomise(flow):
    with torch.no_grad():
        for parameter in flow.parameters():
            if parameter.requires_grad:
                parameter.add_(0.1 * torch.randn_like(parameter))
    for layer in flow.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.3)
            layer.running_var.uniform_(0.5, 2)
    return flow.eval()


def small(name="MNIST-like", seed=0, **changes):
    torch.manual_seed(seed)
    shape, settings = FLOWS[name]
    return randomise(ib_inn(shape, **{"fc_width": 16, **settings, **changes}))


def inputs(name="MNIST-like", batch=4, dtype=torch.float64):
    generator = torch.Generator().manual_seed(1)
    return torch.randn(batch, *FLOWS[name][0], generator=generator, dtype=dtype)


def inverse_error(flow, v):
    with torch.no_grad():
        return (flow(flow(v)[0], rev=True)[0] - v).abs().max().item()


@pytest.mark.parametrize("name", FLOWS)
def test_inverts_both_ways(name):
    flow, v = small(name).double(), inputs(name)
    z, log_det = flow(v)
    assert z.shape == (4, v[0].numel())
    back, log_det_back = flow(z, rev=True)
    assert (back - v).abs().max() < 1e-9
    assert (torch.as_tensor(log_det) + torch.as_tensor(log_det_back)).abs().max() < 1e-9
    z = torch.randn_like(z)
    assert (flow(flow(z, rev=True)[0])[0] - z).abs().max() < 1e-9


@pytest.mark.parametrize("name", FLOWS)
def test_log_det_is_that_of_the_jacobian(name):
    flow, v = small(name).double(), inputs(name, batch=2)
    z, log_det = flow(v)
    _, log_det_back = flow(z, rev=True)
    size = z.shape[1]
    for direction, points, given in ((False, v, log_det), (True, z.detach(), log_det_back)):
        given = torch.as_tensor(given, dtype=torch.float64).expand(2)
        for k in range(2):
            full = torch.autograd.functional.jacobian(
                lambda x, rev=direction: flow(x, rev=rev)[0], points[k : k + 1]
            )
            expected = torch.linalg.slogdet(full.reshape(size, size)).logabsdet
            torch.testing.assert_close(given[k], expected, rtol=1e-9, atol=1e-9)


def test_samples_do_not_influence_each_other():
    flow, v = small().double(), inputs()
    z, log_det = flow(v)
    torch.testing.assert_close(flow(v[2:3])[0], z[2:3], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(flow(v[2:3])[1], log_det[2:3], rtol=1e-12, atol=1e-12)


def test_inverts_in_training_mode():
    """Batch statistics are the same on the way back, since the passive half is."""
    flow = small("colour", dropouts=(0, 0, 0), fc_dropout=0).double().train()
    v = inputs("colour", batch=6)
    z, log_det = flow(v)
    back, log_det_back = flow(z, rev=True)
    assert (back - v).abs().max() < 1e-9
    assert (log_det + log_det_back).abs().max() < 1e-9
    z_eval, _ = flow.eval()(v)
    assert not torch.allclose(z_eval, z)


def double_again(flow):
    return flow.double().float().double()


def loaded_into_double(flow):
    other = small(seed=7).double()
    other.load_state_dict(flow.state_dict())
    return other


def loaded_and_assigned(flow):
    other = small(seed=7)
    other.load_state_dict(flow.double().state_dict(), assign=True)
    return other.double()


def copied(flow):
    return copy.deepcopy(copy.deepcopy(flow).double())


@pytest.mark.parametrize("convert", [double_again, loaded_into_double, loaded_and_assigned, copied])
def test_double_precision_is_exact_however_reached(convert):
    """The rotations are rounded to float32, so their transpose is not their inverse."""
    flow = convert(small())
    v = inputs(batch=1)
    assert inverse_error(flow, v) < 1e-9
    full = torch.autograd.functional.jacobian(lambda v: flow(v)[0], v).reshape(64, 64)
    expected = torch.linalg.slogdet(full).logabsdet
    torch.testing.assert_close(flow(v)[1][0], expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_state_dict_holds_everything(dtype):
    flow, other, v = small().to(dtype), small(seed=9).to(dtype), inputs(dtype=dtype)
    z, log_det = flow(v)
    assert not torch.equal(other(v)[0], z)
    other.load_state_dict(flow.state_dict())
    assert torch.equal(other(v)[0], z)
    assert torch.equal(other(v)[1], log_det)
    assert torch.equal(other(z, rev=True)[0], flow(z, rev=True)[0])


def test_loading_weights_leaves_every_tensor_where_it_was():
    """A CUDA graph, captured before, reads the old places."""
    flow, other = small(seed=7), small(seed=9)
    places = {name: buffer.data_ptr() for name, buffer in flow.named_buffers()}
    flow.load_state_dict(other.state_dict())
    assert {name: buffer.data_ptr() for name, buffer in flow.named_buffers()} == places
    expected = dict(other.named_buffers())
    assert all(torch.equal(buffer, expected[name]) for name, buffer in flow.named_buffers())


def test_what_inference_mode_made_goes_on_outside():
    exact = torch.eye(3).double().roll(1, 0)
    with torch.inference_mode():
        one, given = FixedMatrix(exact).double(), exact.clone()
    other = FixedMatrix(torch.eye(3)).double()
    other.load_state_dict({"matrix": given}, assign=True)
    for matrix in (one, other):
        matrix.cpu()
        assert torch.equal(matrix.matrix, exact)
        assert torch.equal(matrix.inverse, exact.T)


def test_a_flow_without_memory_takes_the_place_of_weights():
    expected, v = small("odd").double(), inputs("odd")
    with torch.device("meta"):
        flow = small("odd", seed=9)
    flow.load_state_dict(expected.state_dict(), assign=True)
    assert torch.equal(flow.double()(v)[0], expected(v)[0])


def test_weights_that_are_left_out_leave_the_exact_matrices():
    flow, expected = small(), small().double()
    flow.load_state_dict({}, strict=False)
    for name, buffer in flow.double().named_buffers():
        assert torch.equal(buffer, dict(expected.named_buffers())[name]), name


def test_deepcopy_is_equal_and_separate():
    flow, v = small().double(), inputs()
    z, _ = flow(v)
    other = copy.deepcopy(flow)
    assert torch.equal(other(v)[0], z)
    randomise(other)
    assert torch.equal(flow(v)[0], z)


def test_same_seed_same_flow():
    assert torch.equal(small().double()(inputs())[0], small().double()(inputs())[0])


def test_can_be_trained_after_use_in_inference_mode():
    """As Lightning does: validation in inference mode, then training."""
    flow, v = small(), inputs(dtype=torch.float32)
    with torch.inference_mode():
        z, _ = flow(v)
        flow(z, rev=True)
    z, log_det = flow(v)
    (z.square().sum() - log_det.sum()).backward()
    assert all(p.grad is not None for p in flow.parameters() if p.requires_grad)
    flow(z.detach(), rev=True)[0].sum().backward()


def count(flow):
    return sum(parameter.numel() for parameter in flow.parameters() if parameter.requires_grad)


def kinds(flow):
    return [type(block).__name__ for block in flow]


@pytest.fixture(scope="module")
def paper_mnist():
    torch.manual_seed(0)
    return ib_inn((1, 28, 28)).eval()


def test_papers_mnist_network(paper_mnist):
    couplings = ["CouplingBlock"] * 24
    dense = ["DCTPooling", "FixedPermutation", "GLOWCouplingBlock"]
    assert kinds(paper_mnist) == [
        "HaarDownsampling",
        *couplings,
        "DownsamplingCoupling",
        *couplings,
        *dense,
    ]
    assert count(paper_mnist) == pytest.approx(3.77e6, rel=2e-3)
    assert paper_mnist.shapes[1] == (4, 14, 14)
    assert paper_mnist.shapes[26] == (16, 7, 7)
    dropouts = [m.p for m in paper_mnist.modules() if isinstance(m, nn.Dropout2d)]
    assert dropouts == [0.0] * 25 + [0.25] * 24
    # Wavelets are no picture: there the first subnet begins with a ReLU as all others do.
    assert isinstance(paper_mnist[1].subnet[0], nn.ReLU)


def test_papers_colour_network():
    flow = ib_inn((3, 64, 64), **PAPER_COLOUR)
    names = kinds(flow)
    assert names.count("CouplingBlock") == 8 + 24 + 24
    assert [k for k, name in enumerate(names) if name == "DownsamplingCoupling"] == [8, 33]
    assert [flow.shapes[k] for k in (8, 9, 34)] == [(3, 64, 64), (12, 32, 32), (48, 16, 16)]
    assert count(flow) == pytest.approx(39.5e6, rel=2e-3)
    assert not isinstance(flow[0].subnet[0], nn.ReLU)
    assert isinstance(flow[1].subnet[0], nn.ReLU)


def pictures(batch, dtype):
    return torch.rand(batch, 1, 28, 28, dtype=dtype) * 2 - 1


def tame(flow, factor):
    """Batch norm that knows its data, and couplings `factor` as strong as at the beginning."""
    with torch.no_grad():
        for layer in flow.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.momentum = None
        for block in flow[1:-1]:
            if isinstance(block, CouplingBlock):
                block.subnet[-1].weight.mul_(factor)
        flow.train()(pictures(16, torch.float32))
    return flow.eval()


def test_papers_mnist_network_inverts_in_double(paper_mnist):
    """To 1e-9 where scales are one; as it is built (0.8) to what a picture shows.

    Rounding errors of z, the last of its 16 digits, grow on the way back by the norm of the
    inverse's Jacobian: at least 0.8^-48 = 45,000, and more for the couplings themselves.
    """
    torch.manual_seed(0)
    v = pictures(3, torch.float64)
    flow = copy.deepcopy(paper_mnist).double()
    assert inverse_error(flow, v) < 1e-5
    with torch.no_grad():
        z = flow(v)[0]
        shaken = flow(z * (1 + 1e-15 * torch.randn_like(z)), rev=True)[0]
    assert inverse_error(flow, v) < 10 * (shaken - v).abs().max()
    assert inverse_error(tame(ib_inn((1, 28, 28), init_scale=1.0), 1.0).double(), v) < 1e-9


def test_float32_inverts_where_scales_are_near_one():
    """Of its 7 digits an untrained flow's inverse loses 5 and more; a tame one's few."""
    torch.manual_seed(0)
    flow = tame(ib_inn((1, 28, 28), init_scale=1.0), 0.3)
    assert inverse_error(flow, pictures(8, torch.float32)) < 1e-4


@pytest.mark.parametrize(
    ("shape", "settings", "message"),
    [
        ((1, 8), {}, r"\(channels, side, side\), got \(1, 8\)"),
        ((1, 8, 6), {}, "crop or pad"),
        ((0, 8, 8), {}, r"got \(0, 8, 8\)"),
        ((1, 8, 8), {"blocks": (1, 1, 1)}, "3, 2, 2 entries"),
        ((1, 8, 8), {"blocks": (), "widths": (), "dropouts": ()}, "0, 0, 0 entries"),
        ((1, 9, 9), {}, "even height and width, got 9x9"),
        ((3, 6, 6), {"blocks": (1,) * 3, "widths": (4,) * 3, "dropouts": (0,) * 3}, "got 3x3"),
        ((1, 8, 8), {"haar": False}, "haar: true"),
        ((1, 8, 8), {"haar": False, "blocks": (0, 1)}, "haar: true"),
    ],
)
def test_errors(shape, settings, message):
    with pytest.raises(ValueError, match=message):
        ib_inn(shape, **settings)


def test_block_types_are_the_public_ones():
    flow = small()
    assert isinstance(flow[1], CouplingBlock)
    assert isinstance(flow[3], DownsamplingCoupling)


def test_without_dct_a_latent_stays_at_its_place():
    settings = {"blocks": (1,), "widths": (4,), "dropouts": (0,), "fc_blocks": 0}
    flow = ib_inn((1, 16, 16), **settings, dct=False).double().eval()
    v = torch.zeros(1, 1, 16, 16, dtype=torch.float64)
    corner = v.clone()
    corner[..., 15, 15] = 1
    change = (flow(corner)[0] - flow(v)[0]).view(4, 8, 8).abs().amax(0)
    assert change[7, 7] > 0
    assert not change[:5, :5].any()  # beyond what the convolutions see


def test_zero_init_begins_with_a_linear_flow():
    torch.manual_seed(0)
    shape, settings = FLOWS["MNIST-like"]
    flow = ib_inn(shape, **settings, fc_width=16, zero_init=True).double().eval()
    a, b = inputs(), inputs().flip(0)
    (za, log_det_a), (zb, log_det_b) = flow(a), flow(b)
    torch.testing.assert_close(flow(0.3 * a + 0.7 * b)[0], 0.3 * za + 0.7 * zb)
    torch.testing.assert_close(log_det_a, log_det_b)
    trained = [p for p in flow.parameters() if p.requires_grad]
    grads = torch.autograd.grad(za.square().sum(), trained, allow_unused=True)
    assert any(g is not None and g.any() for g in grads)  # and can learn
