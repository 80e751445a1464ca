"""Pictures to flow inputs and back."""

import math

import pytest
import torch

from lightning_ecinn.models.preprocessing import Preprocessing, round_to_8_bits

LEVELS = torch.arange(256, dtype=torch.uint8)


def levels(channels=1):
    """Every grey level once, as pictures (1, channels, 16, 16)."""
    return LEVELS.view(1, 1, 16, 16).expand(1, channels, 16, 16)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("channels", [1, 3, 4])
def test_uint8_and_float_agree_bit_for_bit(channels, dtype):
    module = Preprocessing(channels).to(dtype)
    given = module(levels(channels))
    assert given.dtype == dtype
    assert torch.equal(module(levels(channels).to(dtype) / 255), given)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float32, torch.float64])
def test_result_has_the_modules_precision(dtype):
    assert Preprocessing(1)(torch.rand(2, 1, 4, 4).to(dtype)).dtype == torch.float32
    assert Preprocessing(1).double()(torch.rand(2, 1, 4, 4).to(dtype)).dtype == torch.float64


@pytest.mark.parametrize(
    ("channels", "mean", "std"),
    [
        (1, [0.5], [0.5]),
        (2, [0.5, 0.5], [0.5, 0.5]),
        (3, [0.4914, 0.4822, 0.4465], [0.247, 0.243, 0.261]),
    ],
)
def test_formula_and_defaults(channels, mean, std):
    v = Preprocessing(channels).double()(levels(channels))
    for c in range(channels):
        expected = ((LEVELS.double() + 0.5) / 256 - mean[c]) / std[c]
        # The buffers are rounded to float32 when they are made.
        torch.testing.assert_close(v[0, c].flatten(), expected, rtol=1e-6, atol=1e-6)


def test_own_mean_and_std():
    v = Preprocessing(1, mean=[0.0], std=[0.25])(levels())
    torch.testing.assert_close(v.flatten(), (LEVELS + 0.5) / 256 / 0.25)


@pytest.mark.parametrize("channels", [1, 3])
def test_inverse(channels):
    module = Preprocessing(channels).double()
    images = torch.rand(5, channels, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(module.inverse(module(images)), images, rtol=0, atol=1e-14)
    every = module.float().inverse(module(levels(channels)))
    assert torch.equal((round_to_8_bits(every) * 255).round().byte(), levels(channels))


def test_inverse_clamps_unless_told():
    module = Preprocessing(1)
    v = torch.tensor([-1.5, 0.0, 1.5]).view(1, 1, 1, 3)
    clamped, free = module.inverse(v), module.inverse(v, clamp=False)
    assert clamped.min() == 0
    assert clamped.max() == 1
    assert free.min() < 0
    assert free.max() > 1
    assert torch.equal(free.clamp(0, 1), clamped)


@pytest.mark.parametrize("channels", [1, 3])
def test_log_det_is_that_of_the_jacobian(channels):
    module = Preprocessing(channels).double()
    shape = (channels, 3, 2)
    grey = torch.rand(1, *shape, dtype=torch.float64)  # x'

    def flow_input(grey):
        return module((256 * grey - 0.5) / 255)

    size = math.prod(shape)
    full = torch.autograd.functional.jacobian(flow_input, grey).reshape(size, size)
    expected = torch.linalg.slogdet(full).logabsdet
    torch.testing.assert_close(module.log_det(shape), expected, rtol=1e-12, atol=0)


def test_dequantisation_is_uniform_within_the_grey_level():
    torch.manual_seed(0)
    module = Preprocessing(1, mean=[0.0], std=[1.0]).double()
    images = torch.randint(256, (50, 1, 28, 28), dtype=torch.uint8)
    u = module(images, dequantize=True) * 256 - images
    assert u.min() >= 0
    assert u.max() < 1
    assert u.mean().item() == pytest.approx(0.5, abs=0.01)
    assert u.var().item() == pytest.approx(1 / 12, rel=0.02)
    assert torch.equal(module(images), module(images))


def test_noise_has_its_standard_deviation_in_units_of_the_range():
    torch.manual_seed(0)
    module = Preprocessing(1).double()
    images = torch.randint(256, (50, 1, 28, 28), dtype=torch.uint8)
    noise = (module(images, noise=0.01) - module(images)) * 0.5
    assert noise.std().item() == pytest.approx(0.01, rel=0.02)
    assert noise.mean().item() == pytest.approx(0, abs=2e-4)


def test_round_to_8_bits():
    images = torch.rand(1000, dtype=torch.float64)
    rounded = round_to_8_bits(images)
    assert (rounded - images).abs().max() <= 0.5 / 255 + 1e-15
    torch.testing.assert_close(rounded * 255, (rounded * 255).round(), rtol=0, atol=1e-12)
    assert torch.equal(round_to_8_bits(LEVELS / 255), LEVELS / 255)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"mean": [0.5, 0.5]}, "mean needs one value for each of 1 channels"),
        ({"mean": []}, "mean needs one value"),
        ({"std": [0.0]}, "std needs one positive value"),
        ({"std": [-1.0]}, r"got \(-1.0,\)"),
        ({"std": []}, "std needs one positive value"),
    ],
)
def test_errors(settings, message):
    with pytest.raises(ValueError, match=message):
        Preprocessing(1, **settings)
