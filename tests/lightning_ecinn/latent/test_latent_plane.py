"""The plane: its axes, its coordinates, and the line on which two classes tie."""

import pytest
import torch

from lightning_ecinn.ecinn.steps import alpha_tipping
from lightning_ecinn.latent import LatentPlane

D = 12
RNG = torch.Generator().manual_seed(0)


def drawn(*shape):
    return torch.randn(*shape, generator=RNG, dtype=torch.float64)


MEANS, MU = drawn(2, D), drawn(2, D)
FEW = drawn(5, D) * torch.arange(1.0, D + 1)
MANY = drawn(200, D) * torch.arange(1.0, D + 1)


@pytest.mark.parametrize("z", [FEW, MANY, MANY.float()], ids=["few", "many", "float32"])
def test_the_axes_are_orthonormal_and_the_second_is_the_first_principal_direction(z):
    plane = LatentPlane.between(*MEANS.to(z), z)
    assert plane.axes.dtype == torch.float64
    identity = torch.eye(2, dtype=torch.float64)
    assert torch.allclose(plane.axes @ plane.axes.T, identity, rtol=0, atol=1e-14)
    delta = (MEANS[1] - MEANS[0]).to(z).double()
    first = delta / delta.norm()
    rest = (z.double() - z.double().mean(0)) @ (torch.eye(D) - torch.outer(first, first))
    _, singular, right = torch.linalg.svd(rest, full_matrices=False)
    tolerance = 1e-6 if z.dtype == torch.float32 else 1e-10  # the means are rounded, too
    assert (plane.axes[1] @ right[0]).abs().item() == pytest.approx(1, abs=tolerance)
    share = (singular[0] ** 2 / (singular**2).sum()).item()
    assert plane.share == pytest.approx(share, rel=1e-5)
    assert plane.axes[1][plane.axes[1].abs().argmax()] > 0, "the sign is not settled"


def test_coordinates_are_lengths_from_half_way_between_the_means():
    plane = LatentPlane.between(*MEANS, MANY)
    half = (MEANS[1] - MEANS[0]).norm().item() / 2
    ends = torch.tensor([[-half, 0], [half, 0]], dtype=torch.float64)
    assert torch.allclose(plane.project(MEANS), ends, rtol=0, atol=1e-13)
    beside = drawn(D)
    beside -= plane.axes.T @ (plane.axes @ beside)
    moved = MANY + torch.tensor([1.5, -2.0], dtype=torch.float64) @ plane.axes + 7 * beside
    by = (plane.project(moved) - plane.project(MANY)).mean(0)
    assert torch.allclose(by, torch.tensor([1.5, -2.0], dtype=torch.float64), atol=1e-12)


def test_the_line_parts_the_plane_through_a_latent_as_the_mixture_does():
    plane, z = LatentPlane.between(*MEANS, MANY), MANY[3]
    line = plane.boundary(*MU, z)
    inside = z + 30 * drawn(500, 2) @ plane.axes
    nearer = (inside - MU[1]).norm(dim=1) < (inside - MU[0]).norm(dim=1)
    assert 0 < nearer.sum() < len(nearer), "a test that sees one side only"
    assert torch.equal(plane.project(inside) @ line[:2] + line[2] > 0, nearer)


def test_the_tipping_point_lies_on_the_line():
    plane, z, delta = LatentPlane.between(*MEANS, MANY), MANY[3], MEANS[1] - MEANS[0]
    tie = z + alpha_tipping(z, delta, *MU) * delta
    line = plane.boundary(*MU, z)
    off = plane.project(tie) @ line[:2] + line[2]
    assert off.item() == pytest.approx(0, abs=1e-10)
    assert torch.allclose(line, plane.boundary(*MU, tie)), "the path has left its plane"


def test_no_plane_without_a_direction_or_anything_beside_it():
    with pytest.raises(ValueError, match="two class means are equal: there is no direction"):
        LatentPlane.between(MEANS[0], MEANS[0], MANY)
    on_the_line = MEANS[0] + torch.outer(torch.arange(4.0).double(), MEANS[1] - MEANS[0])
    for z in (on_the_line, MANY[:1]):
        with pytest.raises(ValueError, match=f"latents of {len(z)} images differ nowhere beside"):
            LatentPlane.between(*MEANS, z)
