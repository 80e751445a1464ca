"""Measures on toys worked by hand."""

import torch

from lightning_ecinn.metrics import heatmap_mass


def test_heatmap_mass():
    heatmap = torch.tensor([[[[1.0, -2.0], [0.0, 1.0]]], [[[0.0, 0.0], [0.0, 0.0]]]])
    mask = torch.tensor([[[True, False], [True, False]]])
    assert heatmap_mass(heatmap, mask).tolist() == [0.25, 0.0]
    assert heatmap_mass(heatmap, ~mask).tolist() == [0.75, 0.0]
    assert heatmap_mass(heatmap, torch.stack((~mask, mask))).tolist() == [0.75, 0.0]
    assert heatmap_mass(heatmap, torch.ones_like(mask)).tolist() == [1.0, 0.0]
