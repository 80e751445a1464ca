"""What a counterfactual gives beside what it holds."""

import torch

from lightning_ecinn.ecinn.counterfactuals import Counterfactual


def test_result_properties():
    image, given = torch.rand(2, 3, 1, 4, 4), torch.rand(2, 3, 1, 4, 4)
    posterior = torch.rand(2, 3, 5)
    target = torch.tensor([[0, 1, 4], [2, 2, 3]])
    result = Counterfactual(
        input=given,
        image=image,
        source=torch.zeros_like(target),
        target=target,
        alpha=torch.ones(2, 3),
        input_posterior=posterior,
        posterior=posterior,
        latent=torch.zeros(2, 3, 16),
        defined=torch.ones(2, 3, dtype=torch.bool),
        forward_evaluations=torch.ones_like(target),
        inverse_evaluations=torch.ones_like(target),
        class_names=tuple("abcde"),
    )
    assert torch.equal(result.heatmap, image - given)
    assert result.heatmap.min() < 0 < result.heatmap.max()
    assert result.target_posterior.shape == (2, 3)
    assert result.target_posterior[0, 2] == posterior[0, 2, 4]
    levels = result.image_8bit * 255
    torch.testing.assert_close(levels, levels.round(), rtol=0, atol=1e-4)
    assert (result.image_8bit - image).abs().max() <= 0.5 / 255 + 1e-6
