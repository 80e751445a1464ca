"""Pages of a small classifier, and what is in them."""

import base64
import io
import json
import re

import numpy as np
import torch
from PIL import Image
from small_flow import anchors, classifier

from lightning_ecinn import Explainer
from lightning_ecinn.ecinn.certificates import even_quantiles


def explainer(shape=(1, 4, 4), num_classes=3, names=None, **path):
    """Of the small classifier, as sure of its classes as a trained one, in float64."""
    model = classifier(shape, num_classes, names).double()
    with torch.no_grad():
        model.mixture.mixture_logits.zero_()
        model.log_prob_quantiles.copy_(even_quantiles(model.log_prob(pictures(50, shape)), 1001))
    model.mixture.temperature.fill_(0.1)
    return Explainer(model, **path)


def pictures(count, shape=(1, 4, 4), num_classes=3):
    """8-bit pictures of the classes in turn, (count, ...), uint8."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.rand(count, *shape, generator=generator, dtype=torch.float64)
    of_class = anchors(shape, num_classes)[torch.arange(count) % num_classes]
    return (255 * (0.9 * of_class + 0.1 * noise)).round().byte()


def data_of(page):
    """What a page has in it."""
    found = re.search(r'<script id="data" type="application/json">(.*?)</script>', page, re.S)
    return json.loads(found[1])


def decoded(text):
    """Pixels (H, W, C) of a PNG file in base64, uint8."""
    pixels = np.array(Image.open(io.BytesIO(base64.b64decode(text))))
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None])


def frames_of(path):
    """The pictures of a path (F, C, H, W), uint8."""
    pixels = decoded(path["sprite"])
    height, _, channels = pixels.shape
    return pixels.view(height, -1, len(path["alphas"]), channels).permute(2, 3, 0, 1)
