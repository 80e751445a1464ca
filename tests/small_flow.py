"""A small classifier whose class means lie where a trained one's do."""

import torch
from torch import nn

from lightning_ecinn import GenerativeClassifier


def anchors(shape=(1, 4, 4), num_classes=3):
    """One typical picture per class, float64."""
    generator = torch.Generator().manual_seed(11)
    return torch.rand(num_classes, *shape, generator=generator, dtype=torch.float64)


def classifier(shape=(1, 4, 4), num_classes=3, names=None, **settings):
    """A random flow whose mixture has its means where the anchors lie, in float32."""
    torch.manual_seed(0)
    network = {"blocks": (2,), "widths": (6,), "dropouts": (0.25,), "fc_width": 12}
    model = GenerativeClassifier(
        shape, num_classes, names, **{"init_scale": 0.95, **network, **settings}
    )
    for layer in model.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.running_mean.normal_(std=0.3)
            layer.running_var.uniform_(0.5, 2)
    with torch.no_grad():
        means, _ = model.eval().encode(anchors(shape, num_classes))
        model.mixture.component_means.copy_(means)
        model.mixture.mixture_logits.normal_()
        model.class_means.copy_(means + 0.1 * means.std() * torch.randn_like(means))
    model.class_counts.fill_(1)
    return model
