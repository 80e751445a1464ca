"""Whether the weights of a module still are those of an earlier moment."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Iterator
from itertools import chain
from operator import attrgetter
from typing import Any

import torch
from torch import Tensor, nn

__all__ = ["Weights"]

_LOOKED_AT = 16
_SMALL = 256


class Weights:
    """The weights of a module at one moment, without a copy of them.

    :meth:`unchanged` notices

    - another tensor or module in the place of one, and a module that has been moved or cast;
    - every change in place that autograd counts, of a single value too;
    - what nothing counts (``w.data = ...``, ``w.data[...] = ...``, NumPy, another process) in
      tensors of more than 256 values, smaller ones too in small networks: other memory, and
      changes of 16 values of each, evenly spread. So a change of all weights is noticed, and one
      of any 1/8 of a large tensor in a row.

    To compare every value would take a tenth of the time of an explanation.

    Args:
        module: its parameters and buffers are looked at.
    """

    def __init__(self, module: nn.Module):
        # A module without children or tensors gets none that matter while others stay as they are.
        self._places: list[dict[str, Any]] = [
            place
            for part in module.modules()
            for place in (part._parameters, part._buffers, part._modules)
            if place
        ]
        self._things = list(self._all_things())  # kept, so that no id is given again
        tensors = list({id(t): t for t in self._things if isinstance(t, Tensor)}.values())
        self._counted = [t for t in tensors if not t.is_inference()]
        self._large = _large(tensors)
        self._looked_at = _looked_at(self._large)  # kept, so that no address is given again
        self._before = self._numbers(), self._values()

    def unchanged(self) -> bool:
        """Whether the module has the same weights as when this was made."""
        numbers, values = self._before
        if self._numbers() != numbers:
            return False
        pairs = zip(self._values(), values, strict=True)
        return all(torch.equal(now, before) for now, before in pairs)

    def _all_things(self) -> Iterator[Any]:
        return chain.from_iterable(map(dict.values, self._places))

    def _numbers(self) -> array[int]:
        """What there is, where it lies, and how often autograd has counted a change."""
        things, places = map(id, self._all_things()), map(Tensor.data_ptr, self._large)
        return array("Q", chain(things, places, map(_VERSION, self._counted)))

    def _values(self) -> list[Tensor]:
        """As bytes, of which NaN equals itself."""
        return [torch.cat(values).view(torch.uint8) for values in self._looked_at]


_VERSION = attrgetter("_version")


def _large(tensors: list[Tensor]) -> list[Tensor]:
    small = min(_SMALL, sum(map(Tensor.numel, tensors)) // 4000)
    return [tensor for tensor in tensors if tensor.numel() > small]


def _looked_at(tensors: list[Tensor]) -> list[list[Tensor]]:
    """Views (N,) of the values to look at, those together that can be concatenated."""
    kinds: dict[Any, list[Tensor]] = defaultdict(list)
    for tensor in tensors:
        pairs = zip(tensor.shape, tensor.stride(), strict=True)
        length = 1 + sum((size - 1) * step for size, step in pairs)
        memory = tensor.detach().as_strided((length,), (1,))
        # An odd step does not stay in one column of a matrix.
        kinds[tensor.device, tensor.dtype].append(memory[:: length // _LOOKED_AT | 1])
    return list(kinds.values())
