"""What of a model is exported: modules whose forward pass has nothing but tensors in it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_ecinn.ecinn.paths import Paths
from lightning_ecinn.flows.folded import FoldedFlow
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.networks import Network

__all__ = ["Part", "parts_of_flow", "parts_of_network"]

_IMAGES = "(B, {shape}) {dtype} in [0, 1]"
_LATENTS = "(B, {dims}) {dtype}"
_POSTERIOR = "(B, {classes}) {dtype}, p(y|x) under a uniform prior"


@dataclass(frozen=True)
class Part:
    """One file: a module, and what it takes and gives.

    Attributes:
        name: of the file, without its suffix.
        module: of tensors to a tensor, or to a dict where there are several.
        example: inputs of two images.
        inputs: by name, what they are.
        outputs: by name, what they are.
        single: the inputs that are the same for all images.
    """

    name: str
    module: nn.Module
    example: tuple[Tensor, ...]
    inputs: Mapping[str, str]
    outputs: Mapping[str, str]
    single: tuple[str, ...] = ()


class _Encoder(nn.Module):
    """Latents (B, D) of images (B, C, H, W)."""

    def __init__(self, network: GenerativeClassifier):
        super().__init__()
        assert isinstance(network.flow, FoldedFlow)
        self.preprocessing, self.flow = network.preprocessing, network.flow

    def forward(self, images: Tensor) -> Tensor:
        return self.flow.through(self.preprocessing(images), jac=False)[0]


class _Decoder(_Encoder):
    """Images (B, C, H, W) in [0, 1] of latents (B, D)."""

    def forward(self, latents: Tensor) -> Tensor:
        return self.preprocessing.inverse(self.flow.through(latents, rev=True, jac=False)[0])


class _Classifier(_Encoder):
    """p(y|x), (B, K), of images (B, C, H, W)."""

    def __init__(self, network: GenerativeClassifier):
        super().__init__(network)
        self.mixture = network.mixture

    def forward(self, images: Tensor) -> Tensor:
        return self.mixture.log_posterior(super().forward(images)).exp()


class _Counterfactual(nn.Module):
    """Pictures that are as likely target as a step says, as `Explainer.explain` makes them.

    Args:
        network: folded, with its class means.
        truncation: psi.
    """

    def __init__(self, network: GenerativeClassifier, truncation: float):
        super().__init__()
        self.network, self.truncation = network, truncation
        self.encoder, self.decoder = _Encoder(network), _Decoder(network)

    def forward(self, images: Tensor, target: Tensor, step: Tensor) -> dict[str, Tensor]:
        z, target = self.encoder(images), target.unsqueeze(1)
        paths = Paths.towards(self.network, z, target, self.truncation)
        named: Any = (step[0], step[1])  # tensors, which the formula takes like numbers
        (alpha,), (defined,) = paths.lengths(["convincing"], named)
        latents = paths.at(alpha).flatten(0, 1)
        moved = (alpha != 0).view(-1, 1, 1, 1)
        return {
            "image": torch.where(moved, self.decoder(latents), images),
            "alpha": alpha.flatten(),
            "source": paths.source.flatten(),
            "posterior": self.network.mixture.log_posterior(latents).exp(),
            "defined": defined.flatten(),
        }


class _Posterior(nn.Module):
    """p(y|x), (B, K), of images (B, C, H, W), of an ordinary network."""

    def __init__(self, network: Network):
        super().__init__()
        self.network = network

    def forward(self, images: Tensor) -> Tensor:
        return self.network.posterior(images)


def parts_of_flow(network: GenerativeClassifier, truncation: float) -> list[Part]:
    """Classifier, encoder, decoder and counterfactual of a folded classifier on the CPU.

    Args:
        network: folded; nothing of it is changed.
        truncation: psi, which the counterfactuals are made with.
    """
    like = network.class_means
    words = _words(network.image_shape, network.num_classes, like.dtype, network.num_dims)
    images = torch.full((2, *network.image_shape), 0.5, dtype=like.dtype)
    latents = like.new_zeros(2, network.num_dims)
    target, step = torch.zeros(2, dtype=torch.long), like.new_tensor([0.0, 1.0])
    seen, inner, said = (words[name] for name in ("images", "latents", "posterior"))
    return [
        Part("classifier", _Classifier(network), (images,), {"images": seen}, {"posterior": said}),
        Part("encoder", _Encoder(network), (images,), {"images": seen}, {"latents": inner}),
        Part("decoder", _Decoder(network), (latents,), {"latents": inner}, {"images": seen}),
        Part(
            "counterfactual",
            _Counterfactual(network, truncation),
            (images, target, step),
            {
                "images": seen,
                "target": "(B,) int64, the classes asked for, by number",
                "step": f"(2,) {words['dtype']}, offset and slope: alpha = offset + slope alpha_0",
            },
            {
                "image": f"{seen}; the input where alpha is 0",
                "alpha": f"(B,) {words['dtype']}, the steps' lengths",
                "source": "(B,) int64, the classes that the images are classified as",
                "posterior": f"{said}, of the counterfactuals",
                "defined": "(B,) bool, False where no step leads from the source to the target",
            },
            single=("step",),
        ),
    ]


def parts_of_network(network: Network) -> list[Part]:
    """The classifier of an ordinary network on the CPU: nothing else can be exported of it."""
    dtype = next(network.parameters()).dtype
    words = _words(network.image_shape, network.num_classes, dtype)
    images = torch.full((2, *network.image_shape), 0.5, dtype=dtype)
    module = _Posterior(network).eval()
    inputs, outputs = {"images": words["images"]}, {"posterior": words["posterior"]}
    return [Part("classifier", module, (images,), inputs, outputs)]


def _words(
    shape: tuple[int, ...], classes: int, dtype: torch.dtype, dims: int | None = None
) -> dict[str, str]:
    """What inputs and outputs are, in words."""
    name = str(dtype).removeprefix("torch.")
    values = {
        "shape": ", ".join(map(str, shape)),
        "classes": classes,
        "dtype": name,
        "dims": dims,
    }
    texts = {"images": _IMAGES, "latents": _LATENTS, "posterior": _POSTERIOR}
    return {"dtype": name, **{key: text.format(**values) for key, text in texts.items()}}
