"""The invertible network: knows nothing of labels or training."""

from lightning_ecinn.flows.blocks import CouplingBlock, DownsamplingCoupling
from lightning_ecinn.flows.build import ib_inn
from lightning_ecinn.flows.folded import FoldedFlow
from lightning_ecinn.flows.settings import FlowSettings
from lightning_ecinn.flows.transforms import DCTPooling, FixedPermutation, HaarDownsampling

__all__ = [
    "CouplingBlock",
    "DCTPooling",
    "DownsamplingCoupling",
    "FixedPermutation",
    "FlowSettings",
    "FoldedFlow",
    "HaarDownsampling",
    "ib_inn",
]
