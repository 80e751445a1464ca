"""What one model says about images: predictions, counterfactuals, heatmaps, as rows of a table."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import interpolate

from lightning_ecinn.attribution import LABELS, METHODS, Heatmap, attribute, posterior, why_not
from lightning_ecinn.blackbox import AnyExplainer, BlackBoxExplainer
from lightning_ecinn.ecinn.explainer import Explainer
from lightning_ecinn.ecinn.settings import stored_path
from lightning_ecinn.figures import HeatmapRow, posterior_percent
from lightning_ecinn.models.checkpoints import Checkpoint
from lightning_ecinn.models.classifier import GenerativeClassifier
from lightning_ecinn.models.inputs import as_float, check_pixels, check_shape
from lightning_ecinn.plain_text import plain

__all__ = [
    "FIGURE_9",
    "UNITS",
    "Explained",
    "check_methods",
    "explain_by",
    "explained_model",
    "explains",
    "left_out",
    "resized",
    "table_row",
]

FIGURE_9 = ("ecinnh", "integrated_gradients", "deep_lift", "deep_lift_shap", "gradient_shap")
"""The paper's methods, in the order of Figure 9."""

UNITS = (
    "ECINNh: in units of the range of grey levels; red is brighter in the counterfactual, blue "
    "darker. Other methods: in units of the log-odds; red speaks for the target, blue for the "
    "predicted class. Below counterfactuals: p(target) of the picture as shown."
)
"""What the values of the methods mean, for a reader of a table of heatmaps."""

_WITH_DISTRIBUTION = ("deep_lift_shap", "gradient_shap")


@dataclass(frozen=True)
class Explained:
    """What one model says about B images, everything on the CPU.

    Attributes:
        name: the model's.
        class_names: one name per class.
        images: (B, C, H, W), float in [0, 1], in the size that the model has.
        source: (B,), p: the predicted class.
        target: (B,), q: the class asked for, never the predicted one.
        defined: (B,), bool: whether there is a counterfactual.
        heatmaps: by method; ECINNh only where there are counterfactuals.
        counterfactual: (B, C, H, W); None where the model has none.
        target_posterior: (B,), p(q) of the counterfactual rounded to 8 bits.
    """

    name: str
    class_names: Sequence[str]
    images: Tensor
    source: Tensor
    target: Tensor
    defined: Tensor
    heatmaps: Mapping[str, Heatmap]
    counterfactual: Tensor | None = None
    target_posterior: Tensor | None = None

    def has(self, method: str) -> Tensor:
        """Which images have a heatmap of a method, bool (B,)."""
        if method not in self.heatmaps:
            return torch.zeros_like(self.defined)
        return self.defined if method == "ecinnh" else torch.ones_like(self.defined)


def explains(model: AnyExplainer | nn.Module) -> bool:
    """Whether a model has counterfactuals: class means, and its own inverse or a flow's."""
    if isinstance(model, BlackBoxExplainer):
        return bool(model.class_counts.any())
    classifier = getattr(model, "classifier", model)
    return isinstance(classifier, GenerativeClassifier) and bool(classifier.class_counts.any())


def explained_model(checkpoint: Checkpoint) -> Any:
    """An `Explainer` of a checkpoint's model; the model itself where it has no counterfactuals.

    Counterfactuals go as far as the checkpoint says: it may hold a fitted step.
    """
    model: Any = checkpoint.model()
    if not explains(model):
        return model
    return Explainer(model, **stored_path(checkpoint.settings, checkpoint.path))


def explain_by(
    model: AnyExplainer | GenerativeClassifier | nn.Module,
    images: Tensor,
    methods: Sequence[str] = FIGURE_9,
    *,
    target: int | None = None,
    baselines: Tensor | None = None,
    seed: int = 0,
    name: str = "",
) -> Explained:
    """Counterfactuals and heatmaps of what the model predicts against another class.

    Args:
        model: flow, ordinary network, or any classifier that is explained through a flow.
        images: (B, C, H, W), uint8 or float in [0, 1]; resized where the model has another size.
        methods: names in `attribution.METHODS`; what the model can't do is left out.
        target: the class asked for; by default, and where it is predicted, the second likeliest.
        baselines: pictures (N, C, H, W) that DeepLiftSHAP and GradSHAP compare with; black for
            the other methods, and by default.
        seed: of the methods that draw.
        name: the model's.

    Raises:
        ValueError: for an unknown method, images of another number of channels than the model's,
            or a target that is no class.
    """
    check_methods(methods)
    images = _as_seen(images, model)
    if isinstance(model, BlackBoxExplainer):  # which may have labels alone
        scores = model.posterior(images).cpu()
    else:
        scores = posterior(model, images).cpu()
    source, chosen = _question(scores, target)
    explained = Explained(
        name=name,
        class_names=_class_names(model, scores.shape[1]),
        images=images.cpu(),
        source=source,
        target=chosen,
        defined=torch.zeros(len(images), dtype=torch.bool),
        heatmaps=_heatmaps(model, images, chosen, methods, baselines, seed),
    )
    return _with_counterfactuals(explained, model) if explains(model) else explained


def _heatmaps(
    model: AnyExplainer | nn.Module,
    images: Tensor,
    target: Tensor,
    methods: Sequence[str],
    baselines: Tensor | None,
    seed: int,
) -> dict[str, Heatmap]:
    """Of all methods but ECINNh, which needs counterfactuals."""
    pictures = None if baselines is None else _as_seen(baselines, model)
    heatmaps = {}
    for method in methods:
        if method != "ecinnh" and not why_not(model, method):
            base = pictures if method in _WITH_DISTRIBUTION else None
            heatmap = attribute(model, images, target, method=method, baselines=base, seed=seed)
            heatmaps[method] = _on_cpu(heatmap)
    return heatmaps


def _with_counterfactuals(explained: Explained, model: AnyExplainer | nn.Module) -> Explained:
    if not isinstance(model, AnyExplainer):
        classifier = getattr(model, "classifier", model)
        assert isinstance(classifier, GenerativeClassifier)
        model = Explainer(classifier)
    target = explained.target
    cf = model.explain(explained.images, target, undefined="keep")
    shown = model.posterior(cf.image_8bit).cpu().gather(1, target[:, None]).squeeze(1)
    return replace(
        explained,
        counterfactual=cf.image.cpu(),
        target_posterior=shown,
        defined=cf.defined.cpu(),
        heatmaps={"ecinnh": Heatmap(cf.heatmap.cpu(), "ecinnh", None), **explained.heatmaps},
    )


def _on_cpu(heatmap: Heatmap) -> Heatmap:
    gap = heatmap.completeness_gap
    return Heatmap(heatmap.values.cpu(), heatmap.method, None if gap is None else gap.cpu())


def left_out(model: AnyExplainer | nn.Module, name: str, methods: Sequence[str]) -> list[str]:
    """Which methods have no heatmap of a classifier that is asked, and why: a sentence for each."""
    found: dict[str, list[str]] = {}
    for method in methods:
        if reason := why_not(model, method):
            found.setdefault(reason, []).append(LABELS[method])
    return [f"{name}: no {', '.join(labels)}: {reason}." for reason, labels in found.items()]


def check_methods(methods: Sequence[str]) -> None:
    """Refuse names that are no methods, and none at all.

    Raises:
        ValueError: says which methods there are.
    """
    unknown = [name for name in methods if name not in METHODS]
    if unknown or not methods:
        given = f"there is no method {unknown[0]!r}" if unknown else "there are none"
        raise ValueError(f"methods: {given}; give some of {', '.join(METHODS)}.")


def table_row(explained: Explained, i: int, methods: Sequence[str]) -> HeatmapRow:
    """Image i as a row: labelled with the model's name and what it predicts.

    Of more than two classes the target is named too.
    """
    names = list(map(plain, explained.class_names))
    label = names[int(explained.source[i])]
    if len(names) > 2:
        label += f" → {names[int(explained.target[i])]}"
    heatmaps = [
        explained.heatmaps[method] if explained.has(method)[i] else None for method in methods
    ]
    gaps = [None if h is None else h.completeness_gap for h in heatmaps]
    row = HeatmapRow(
        label=f"{plain(explained.name)}\n{label}" if explained.name else label,
        image=explained.images[i],
        heatmaps=[None if h is None else h.values[i] for h in heatmaps],
        gaps=[None if gap is None else float(gap[i]) for gap in gaps],
    )
    if explained.counterfactual is None or not explained.defined[i]:
        return row
    assert explained.target_posterior is not None
    caption = posterior_percent(float(explained.target_posterior[i]))
    return replace(row, counterfactual=explained.counterfactual[i], caption=caption)


def resized(images: Tensor, size: Sequence[int]) -> Tensor:
    """Images (B, C, H, W) of any float type in another size (H, W), bilinear, antialiased."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    return interpolate(images, tuple(size), mode="bilinear", align_corners=False, antialias=True)


def _question(scores: Tensor, target: int | None) -> tuple[Tensor, Tensor]:
    """The predicted class and the one asked for, (B,) each, of posteriors (B, K)."""
    source, second = scores.topk(2, dim=1).indices.unbind(1)
    if target is None:
        return source, second
    if not isinstance(target, int | np.integer) or not 0 <= target < scores.shape[1]:
        raise ValueError(f"target must be a class from 0 to {scores.shape[1] - 1}, got {target!r}.")
    return source, torch.where(source == target, second, target)


def _as_seen(images: Tensor, model: AnyExplainer | nn.Module) -> Tensor:
    """Float images in [0, 1], in the size of the model."""
    images = as_float(torch.as_tensor(images))
    check_shape(images, None)
    check_pixels(images, "Images")
    shape = tuple(getattr(model, "image_shape", images.shape[1:]))
    if images.shape[1] != shape[0]:
        raise ValueError(
            f"The model sees images of {shape[0]} channels, but the data's have "
            f"{images.shape[1]}: give data or a checkpoint of the other kind."
        )
    return resized(images, shape[1:]).clamp(0, 1)


def _class_names(model: AnyExplainer | nn.Module, num_classes: int) -> tuple[str, ...]:
    names = getattr(model, "class_names", None)
    return tuple(map(str, range(num_classes))) if names is None else tuple(names)
