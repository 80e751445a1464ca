"""Certificates on a toy classifier whose pictures are their latents, without an explainer."""

from dataclasses import replace
from types import SimpleNamespace

import pytest
import torch

from lightning_ecinn.ecinn.certify import certify
from lightning_ecinn.ecinn.counterfactuals import Counterfactual
from lightning_ecinn.models.mixture import GaussianMixture

GREY = torch.tensor([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], dtype=torch.float64)
"""Pictures (1, 1, 2) of three classes, where their components are."""


class Toy:
    """The flow is a multiplication by 8, and its inverse is off by `error`."""

    def __init__(self, error=0.0):
        mixture = GaussianMixture(3, 3).double()
        mixture.component_means = torch.nn.Parameter(8 * GREY)
        self.network = SimpleNamespace(
            mixture=mixture,
            image_shape=(1, 1, 2),
            class_names="abc",
            class_means=8 * GREY,
            has_log_prob_quantiles=False,
        )
        self.error, self.state = error, (0,)

    def session(self):
        return self

    def encode(self, images):
        return 8 * images.flatten(1), torch.full((len(images),), 2.5, dtype=torch.float64)

    def decode(self, z, *, clamp):
        assert not clamp
        return z.view(-1, 1, 1, 2) / 8 + self.error


def counterfactual(image, target, defined=True):
    """From a picture of class "a" to others, by hand."""
    image = torch.tensor(image, dtype=torch.float64).view(-1, 1, 1, 2)
    n = len(image)
    one = torch.ones(n, dtype=torch.long)
    return Counterfactual(
        input=torch.zeros_like(image),
        image=image,
        source=0 * one,
        target=torch.tensor(target),
        alpha=one.double(),
        input_posterior=torch.zeros(n, 3),
        posterior=torch.zeros(n, 3),
        latent=torch.zeros(n, 2),
        defined=torch.full((n,), defined),
        forward_evaluations=one,
        inverse_evaluations=2 * one,
        class_names=("a", "b", "c"),
    )


def test_by_hand():
    """What arrives, what does not move, what ends in a third class; after rounding to 8 bits."""
    toy = Toy()
    cf = counterfactual([[1.0, 0.001], [0.0, 0.0], [0.0, 1.0]], [1, 1, 1])
    given = certify(toy, (0,), False, None, cf)
    assert given.predicted.tolist() == [1, 0, 2]
    assert given.holds.tolist() == [True, False, False]
    assert given.third_class.tolist() == [False, False, True]
    assert given.reason[:2] == ["", "still classified as a"]
    assert given.reason[2].startswith("classified as c, a third class")
    # z . (mu_b - mu_a) - (||mu_b||^2 - ||mu_a||^2) / 2 = 8 z_1 - 32; 0.001 is rounded away.
    torch.testing.assert_close(given.tipping_gap, torch.full((3,), 32.0, dtype=torch.float64))
    assert given.precision == "float64"
    assert given.quantile_before is None
    assert not given.reconstruction_error.any()
    assert given.inverse_evaluations.tolist() == [2, 2, 2]
    before = toy.network.mixture.log_prob(torch.zeros(1, 2).double()) + 2.5
    torch.testing.assert_close(given.log_prob_before, before.expand(3).detach())


def test_several_targets_and_their_reasons():
    one = counterfactual([[1.0, 0.0], [0.0, 1.0]], [1, 2])
    several = {name: v.unsqueeze(0) for name, v in vars(one).items() if torch.is_tensor(v)}
    given = certify(Toy(), (0,), False, None, replace(one, **several))
    assert given.reason == [["", ""]]
    assert (
        given.holds.shape == given.tipping_gap.shape == given.reconstruction_error.shape == (1, 2)
    )
    assert given.posterior.shape == (1, 2, 3)


def test_what_was_asked_for_counts():
    cf = counterfactual([[0.51, 0.0]], [1])
    assert certify(Toy(), (0,), False, None, cf).holds.all()
    (reason,) = certify(Toy(), (0,), True, 0.9, cf).reason
    assert reason.startswith("p(b) is 0.")
    assert reason.endswith("asked for 0.9")
    undefined = counterfactual([[0.0, 0.0]], [1], defined=False)
    assert certify(Toy(), (0,), False, None, undefined).reason == ["no step leads from a to b"]
    (reason,) = certify(Toy(), (0,), True, None, undefined).reason
    assert reason == "no step along this direction puts b before every class"


def test_an_inverse_that_is_off():
    given = certify(Toy(error=0.01), (0,), False, None, counterfactual([[1.0, 0.0]], [1]))
    assert given.reconstruction_error.item() == pytest.approx(0.01)
    assert given.reason == ["the inverse is off by 0.01 in float64: train longer"]


def test_refuses_after_a_change():
    toy = Toy()
    toy.state = (1,)
    with pytest.raises(ValueError, match=r"has changed since .*: explain again"):
        certify(toy, (0,), False, None, counterfactual([[1.0, 0.0]], [1]))
