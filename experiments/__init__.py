"""Experiments: one complete, commented YAML each; and where they lie once installed."""

from pathlib import Path

FOLDER = Path(__file__).parent
