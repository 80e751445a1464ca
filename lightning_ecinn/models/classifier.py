"""A generative classifier: preprocessing, flow and mixture in one module."""

from __future__ import annotations

import copy
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn

from lightning_ecinn.flows import FlowSettings, FoldedFlow, ib_inn
from lightning_ecinn.flows.build import checked_shape
from lightning_ecinn.flows.settings import check_names, is_whole, part
from lightning_ecinn.models.inputs import check_images, check_shape, checked_classes
from lightning_ecinn.models.mixture import GaussianMixture
from lightning_ecinn.models.preprocessing import Preprocessing

__all__ = ["ClassifierSettings", "GenerativeClassifier", "checked_names"]

_NUM_QUANTILES = 1001


@dataclass(frozen=True, kw_only=True)
class ClassifierSettings(FlowSettings):
    """The flow's settings and those of the preprocessing.

    Args:
        mean: m of the preprocessing, per channel; by default 0.5, or IB-INN's for colour.
        std: s of the preprocessing, per channel; by default 0.5, or IB-INN's for colour.

    Example:
        >>> ClassifierSettings(blocks=(8, 8), mean=(0.4,)).mean
        [0.4]
    """

    mean: list[float] | None = None
    std: list[float] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("mean", "std"):
            value = getattr(self, name)
            if value is not None and not isinstance(value, list | tuple):
                raise ValueError(
                    f"{name} must be a list, a number for each channel, got {value!r}."
                )
            object.__setattr__(self, name, None if value is None else list(value))


class GenerativeClassifier(nn.Module):
    """Invertible network with one Gaussian per class (IB-INN; Section 3.2 of the ECINN paper).

    Attributes:
        flow: ``flow(v)`` gives latents (B, D) and log abs det dz/dv (B,) of scaled inputs v.
        mixture: the Gaussian mixture over latents.
        preprocessing: pictures to flow inputs and back.
        class_means: (K, D), mean latent of the training images classified as each class;
            built after training (Section 3.3).
        class_counts: (K,), how many images each mean is over; 0 where there is no mean.
        log_prob_quantiles: (1001,), quantiles 0, 0.001, ..., 1 of the training images' log p(x')
            in nats, without noise; built with the means, all 0 before.
        config: the constructor's arguments that make the network, plain values: enough to build
            the module again.

    Args:
        image_shape: (C, H, W), square.
        num_classes: K.
        class_names: one name per class; by default "0", "1", ...
        **network: fields of `ClassifierSettings`.

    Raises:
        TypeError: if there is no setting of a name.
        ValueError: if names, shapes or the lists' lengths do not fit.

    Example:
        >>> _ = torch.manual_seed(0)
        >>> small = {"blocks": [1, 1], "widths": [4, 4], "dropouts": [0, 0], "fc_blocks": 0}
        >>> classifier = GenerativeClassifier((1, 8, 8), 3, ["a", "b", "c"], **small).eval()
        >>> images = torch.rand(2, 1, 8, 8)
        >>> z, log_det = classifier.encode(images)
        >>> torch.allclose(classifier.decode(z), images, atol=1e-4)
        True
        >>> classifier.posterior(images).shape
        torch.Size([2, 3])
    """

    class_means: Tensor
    class_counts: Tensor
    log_prob_quantiles: Tensor

    def __init__(
        self,
        image_shape: Sequence[int],
        num_classes: int,
        class_names: Sequence[str] | None = None,
        **network: Any,
    ):
        super().__init__()
        check_names(ClassifierSettings, "GenerativeClassifier", network)
        settings = ClassifierSettings(**network)
        self.image_shape = checked_shape(image_shape)
        self.class_names = checked_names(class_names, num_classes)
        self.config = {
            "image_shape": list(self.image_shape),
            "num_classes": num_classes,
            "class_names": list(self.class_names),
            **asdict(settings),
        }
        del self.config["zero_init"]  # how it begins, not what it is
        self.preprocessing = Preprocessing(self.image_shape[0], settings.mean, settings.std)
        self.flow = ib_inn(self.image_shape, **part(settings, FlowSettings))
        self.mixture = GaussianMixture(num_classes, self.num_dims)
        self.register_buffer("class_means", torch.zeros(num_classes, self.num_dims))
        self.register_buffer("class_counts", torch.zeros(num_classes, dtype=torch.long))
        self.register_buffer("log_prob_quantiles", torch.zeros(_NUM_QUANTILES))

    @property
    def num_dims(self) -> int:
        """D = C H W."""
        return math.prod(self.image_shape)

    @property
    def num_classes(self) -> int:
        """K."""
        return self.mixture.num_classes

    @property
    def classes_without_mean(self) -> list[str]:
        """The names of the classes that nothing can be explained from or to."""
        return [self.class_names[k] for k in (self.class_counts == 0).nonzero().flatten().tolist()]

    @property
    def has_log_prob_quantiles(self) -> bool:
        """Whether the quantiles of the training images' log p have been built."""
        return bool(self.log_prob_quantiles.any())

    def folded(self) -> GenerativeClassifier:
        """The same classifier for inference: batch norm and much else folded, faster.

        It shares everything with this one but the flow, which is a copy: later changes of the
        network's weights are not seen, and no gradients reach them.
        """
        result = copy.copy(self)
        result._modules, result._buffers = dict(self._modules), dict(self._buffers)
        result.flow = FoldedFlow(self.flow)
        result.training = False  # its own only: the mode of what it shares is not its business
        return result

    def encode(self, images: Tensor, *, dequantize: bool = False) -> tuple[Tensor, Tensor]:
        """Latents and log-determinant of pictures.

        Args:
            images: (B, C, H, W), uint8 or float in [0, 1].
            dequantize: add uniform noise within each grey level, as likelihoods need; without it
                the result is deterministic (u = 1/2), as explanations need.

        Returns:
            z (B, D) and log abs det dz/dx' (B,) in nats, x' the dequantised picture in [0, 1].
        """
        check_shape(images, self.image_shape)
        v = self.preprocessing(images, dequantize=dequantize)
        z, log_det = self.flow(v)
        return z, log_det + self.preprocessing.log_det(self.image_shape)

    def decode(self, z: Tensor, *, clamp: bool = True) -> Tensor:
        """Pictures (B, C, H, W) in [0, 1] of latents (B, D); without clamp they may leave it."""
        self.mixture.check(z)
        v, _ = self.flow(z, rev=True, jac=False)
        return self.preprocessing.inverse(v, clamp=clamp)

    def posterior(self, images: Tensor) -> Tensor:
        """p(y|x) under a uniform prior (Eq. 2) at the mixture's temperature, (B, K)."""
        check_images(images, self.image_shape)
        return self.mixture.log_posterior(self.encode(images)[0]).exp()

    def log_prob(self, images: Tensor, *, dequantize: bool = False) -> Tensor:
        """Log p(x'), (B,), in nats: density of the dequantised picture in [0, 1]."""
        check_images(images, self.image_shape)
        z, log_det = self.encode(images, dequantize=dequantize)
        return self.mixture.log_prob(z) + log_det

    def sample(self, labels: Tensor, *, temperature: float = 1.0) -> Tensor:
        """Pictures (B, C, H, W) drawn from p(x|y): z = mu_y + temperature n, n ~ N(0, 1)."""
        mu = self.mixture.component_means
        labels = checked_classes(labels, "labels", self.num_classes, mu.device)
        means = mu[labels.reshape(-1)]
        return self.decode(means + temperature * torch.randn_like(means))

    def _load_from_state_dict(
        self, state_dict: dict[str, Any], prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        """Earlier versions' checkpoints have no quantiles."""
        none = torch.zeros_like(self.log_prob_quantiles)
        state_dict.setdefault(prefix + "log_prob_quantiles", none)
        super()._load_from_state_dict(state_dict, prefix, *args, **kwargs)


def checked_names(names: Sequence[str] | None, num_classes: int) -> tuple[str, ...]:
    """One name for each class; by default "0", "1", ..."""
    if not is_whole(num_classes):
        raise ValueError(f"num_classes must be a whole number, got {num_classes!r}.")
    if isinstance(names, str):
        raise ValueError(f"class_names must be a list of names, got the text {names!r}.")
    names = tuple(str(k) for k in range(num_classes)) if names is None else tuple(names)
    if len(names) != num_classes:
        raise ValueError(
            f"class_names needs one name for each of {num_classes} classes, got {len(names)}: "
            f"{names}."
        )
    return names
