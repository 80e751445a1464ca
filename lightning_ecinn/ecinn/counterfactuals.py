"""What a counterfactual is."""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from importlib import import_module
from itertools import islice
from os import PathLike
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from lightning_ecinn.ecinn.certificates import Certificate
from lightning_ecinn.models.preprocessing import round_to_8_bits

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["Counterfactual"]

_MOST_ROWS = 8
"""Images that a notebook shows, and pairs of classes that are named."""


@dataclass(frozen=True)
class Counterfactual:
    """Counterfactuals of a batch; with T targets per image every shape (B, ...) is (B, T, ...).

    Attributes:
        input: (B, C, H, W), the images explained, float in [0, 1].
        image: (B, C, H, W), the counterfactuals, float in [0, 1].
        source: (B,), p: the class each input is classified as.
        target: (B,), q: the class asked for.
        alpha: (B,), length of the step; 0 where the input already is the target.
        input_posterior: (B, K), p(y) of the input.
        posterior: (B, K), p(y) at the counterfactual's latent.
        latent: (B, D), the counterfactual's latent, z + alpha Delta.
        defined: (B,), whether there is a step from p to q, for alpha_star and the certified step
            one that puts q before every class; where not, ``image`` is the input.
        forward_evaluations: (B,), network evaluations that it cost; encoding the image counts
            once for each of its targets and steps.
        inverse_evaluations: (B,), inverse ones.
        class_names: one name per class.

    They have a length, B, and can be indexed: ``cf[3]``, ``cf[:2]`` and ``cf[[0, 5]]`` are
    counterfactuals again, of one, two and two images. In a notebook they show themselves.

    Example:
        >>> from lightning_ecinn import MNIST, Explainer
        >>> explainer = Explainer.from_checkpoint("pretrained:mnist_small")
        >>> images, labels, _ = MNIST(source="sample").dataset("test")[torch.arange(4)]
        >>> tie = explainer.explain(images, 3, "tipping")
        >>> p_source = tie.posterior.gather(1, tie.source.unsqueeze(1)).squeeze(1)
        >>> torch.allclose(p_source, tie.target_posterior, rtol=1e-3)
        True
        >>> torch.equal(tie.heatmap, tie.image - images / 255)
        True
        >>> tie[:2]
        <Counterfactual of 2: 7 to 3, 2 to 3>
    """

    input: Tensor
    image: Tensor
    source: Tensor
    target: Tensor
    alpha: Tensor
    input_posterior: Tensor
    posterior: Tensor
    latent: Tensor
    defined: Tensor
    forward_evaluations: Tensor
    inverse_evaluations: Tensor
    class_names: tuple[str, ...]
    _certify: Callable[[Counterfactual], Certificate] | None = field(default=None, repr=False)

    def __getstate__(self) -> dict[str, Any]:
        """Everything but the classifier, which stays where it is."""
        return {**vars(self), "_certify": None}

    def __copy__(self) -> Counterfactual:
        """A copy in this process still knows the classifier."""
        copied = object.__new__(type(self))
        vars(copied).update(vars(self))
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Counterfactual:
        """So does one with tensors of its own."""
        copied = object.__new__(type(self))
        vars(copied).update(copy.deepcopy(self.__getstate__(), memo), _certify=self._certify)
        return copied

    def __len__(self) -> int:
        """B, how many images were explained."""
        return len(self.target)

    def __repr__(self) -> str:
        """Of how many images, and from where to where; the tensors would fill screens."""
        pairs = zip(self.source.flatten().tolist(), self.target.flatten().tolist(), strict=True)
        ways = [
            f"{self.class_names[p]} to {self.class_names[q]}" for p, q in islice(pairs, _MOST_ROWS)
        ]
        if left := self.target.numel() - len(ways):
            ways.append(f"{left:,} more")
        return f"<Counterfactual of {len(self):,}: {', '.join(ways)}>"

    def __getitem__(self, key: int | slice | Sequence[int] | Tensor) -> Counterfactual:
        """Those of some images, chosen as a tensor's rows are; of one image with B = 1.

        Raises:
            IndexError: there is no such image.
        """
        if isinstance(key, int):
            if not -len(self) <= key < len(self):
                raise IndexError(f"There is no image {key} among {len(self)}.")
            key = slice(key, key + 1 or None)
        rows: dict[str, Any] = {
            name: v[key] for name, v in vars(self).items() if isinstance(v, Tensor)
        }
        chosen = replace(self, **rows)
        if "certificate" in vars(self):  # made already, perhaps where the classifier was
            vars(chosen)["certificate"] = self.certificate[key]
        return chosen

    @cached_property
    def certificate(self) -> Certificate:
        """What the classifier says of the picture as a person sees it; computed once, when asked.

        Raises:
            ValueError: the classifier has changed since, or this counterfactual comes from a file
                or another process and nobody had asked there.
        """
        if self._certify is None:
            raise ValueError(
                "This counterfactual was stored or sent without its certificate, which needs the "
                "classifier: read .certificate before that, or explain again."
            )
        return self._certify(self)

    def to(self, device: torch.device | str) -> Counterfactual:
        """The same on another device; its certificate comes from where the classifier is."""
        here, certify = self.input.device, self._certify
        if here == torch.device(device):
            return self
        moved: dict[str, Any] = {
            name: v.to(device) for name, v in vars(self).items() if isinstance(v, Tensor)
        }
        return replace(self, **moved, _certify=certify and (lambda cf: certify(cf.to(here))))

    @property
    def heatmap(self) -> Tensor:
        """ECINNh (Eq. 4): counterfactual minus input, signed, like ``image``."""
        return self.image - self.input

    @property
    def image_8bit(self) -> Tensor:
        """The counterfactuals as a person sees them: rounded to multiples of 1/255."""
        return round_to_8_bits(self.image)

    def figure(self, title: str | None = None) -> Figure:
        """A panel: input, counterfactual, heatmap, posteriors before and after, and in words.

        With several targets per image each has a row.

        Raises:
            ValueError: as :attr:`certificate`.
        """
        return _explanations().panel([self], title=title)

    def save(self, folder: str | PathLike[str]) -> list[Path]:
        """Write the pictures in 8 bits, the panel, ``results.json`` and ``results.csv``.

        Returns:
            The files.

        Raises:
            ValueError: one of them is there already; nothing is overwritten.
            WriteError: they can't be written.
        """
        return _explanations().save([self], Path(folder))

    def _repr_png_(self) -> bytes:
        """The panel of the first counterfactuals, for notebooks."""
        return _explanations().as_png(self[:_MOST_ROWS].figure())

    @property
    def target_posterior(self) -> Tensor:
        """p(q) at the counterfactual's latent, (B,)."""
        return torch.gather(self.posterior, -1, self.target.unsqueeze(-1)).squeeze(-1)


def _explanations() -> Any:
    """What draws and writes them: it knows counterfactuals, and is imported when asked for."""
    return import_module("lightning_ecinn.explanations")
