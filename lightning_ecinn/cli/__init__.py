"""The command line."""

from lightning_ecinn.cli.command_line import ECINNCLI
from lightning_ecinn.cli.main import main

__all__ = ["ECINNCLI", "main"]
