"""The command line."""

from lightning_ecinn.cli.main import ECINNCLI, main

__all__ = ["ECINNCLI", "main"]
