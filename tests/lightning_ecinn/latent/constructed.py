"""A tiny classifier whose class means and component means are given."""

import torch

from lightning_ecinn import Explainer, GenerativeClassifier

SMALL = {"blocks": [1, 1], "widths": [4, 4], "dropouts": [0, 0], "fc_blocks": 0}


def constructed(num_classes, names=None, channels=1, side=8):
    """Means at 6 times the corners of a simplex; component means nearer to 0, and turned a bit."""
    torch.manual_seed(0)
    classifier = GenerativeClassifier((channels, side, side), num_classes, names, **SMALL)
    classifier.class_counts.fill_(5)
    classifier.class_means.copy_(6 * torch.eye(num_classes, classifier.num_dims))
    turned = 0.7 * classifier.class_means + 0.05 * torch.randn(classifier.class_means.shape)
    classifier.mixture.component_means.data.copy_(turned)
    return Explainer(classifier)


def images_of(explainer, count):
    """Images and labels of every class, in turn, whose latents lie about the class means."""
    torch.manual_seed(1)
    labels = torch.arange(count) % explainer.num_classes
    z = explainer.classifier.class_means[labels]
    return explainer.decode(z + 0.3 * torch.randn(z.shape)), labels
