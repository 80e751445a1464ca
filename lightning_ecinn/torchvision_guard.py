"""Let torchvision import beside a build of torch that it was not compiled for.

torchmetrics, and Lightning with it, import torchvision whenever it is installed. Beside a CPU-only
torch the package index's torchvision fails while it describes its own compiled operators, which
nothing here uses. Declaring those operators just before is enough for everything else in it to
work.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.abc import MetaPathFinder
from types import ModuleType
from typing import Any

__all__ = ["install"]

_DESCRIBED_IN = "torchvision._meta_registrations"
_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)


class _Guard(MetaPathFinder):
    """Finds nothing; looks on as torchvision is imported, whoever does it."""

    library: Any = None  # kept alive: it takes its operators with it

    def find_spec(
        self, name: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> None:
        """Declare the operators before they are described, if their code could not be loaded."""
        if name != _DESCRIBED_IN:
            return
        import torch

        if hasattr(torch.ops.torchvision, "nms"):
            return
        self.library = torch.library.Library("torchvision", "FRAGMENT")
        for schema in _SCHEMAS:
            self.library.define(schema)


def install() -> None:
    """Watch imports from now on; imports nothing itself, and does nothing the second time."""
    if not any(isinstance(finder, _Guard) for finder in sys.meta_path):
        sys.meta_path.insert(0, _Guard())
