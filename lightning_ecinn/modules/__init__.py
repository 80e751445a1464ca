"""LightningModules."""

from lightning_ecinn.modules.ibinn import IBINN

__all__ = ["IBINN"]
