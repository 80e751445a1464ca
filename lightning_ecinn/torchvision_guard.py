"""Let torchvision import beside a build of torch that it was not compiled for.

torchmetrics, and Lightning with it, import torchvision whenever it is installed. Beside a CPU-only
torch the package index's torchvision fails while it registers its own compiled operators, which
nothing here uses. Declaring those operators is enough for everything else in it to work.
"""

from __future__ import annotations

import importlib
import sys

import torch

__all__ = ["import_torchvision"]

_SCHEMAS = (
    "nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
    "qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor",
)
_library: torch.library.Library | None = None


def import_torchvision() -> None:
    """Import torchvision if it is installed, with its operators declared where it needs that."""
    try:
        importlib.import_module("torchvision")
    except ImportError:
        return
    except RuntimeError as error:
        if "operator torchvision::" not in str(error):
            raise
        _declare_operators()
        importlib.import_module("torchvision")


def _declare_operators() -> None:
    global _library
    for name in [name for name in sys.modules if name.partition(".")[0] == "torchvision"]:
        del sys.modules[name]
    # Kept alive: a library takes its operators with it.
    _library = torch.library.Library("torchvision", "FRAGMENT")
    for schema in _SCHEMAS:
        _library.define(schema)
