"""What Lightning expects in a checkpoint, checked before it fails on it in the middle."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

__all__ = ["check_lightning_entries"]

_VERSION = "pytorch-lightning_version"
_TYPES = {
    _VERSION: str,
    "state_dict": dict,
    "epoch": int,
    "global_step": int,
    "callbacks": dict,
    "loops": dict,
    "optimizer_states": list,
    "lr_schedulers": list,
    "hyper_parameters": dict,
}
_NEEDED = (_VERSION, "state_dict")


def check_lightning_entries(path: Path, content: Any) -> None:
    """Raise a ValueError unless a file's content is what a Lightning trainer saves.

    Example:
        >>> check_lightning_entries(Path("a.ckpt"), [])  # doctest: +ELLIPSIS
        Traceback (most recent call last):
        ValueError: a.ckpt is not a checkpoint of a trainer: it has no entry 'pytorch-lightning_...
    """
    held = content if isinstance(content, dict) else {}
    wrong = [f"it has no entry '{name}'" for name in _NEEDED if name not in held]
    wrong += [
        f"its entry '{name}' is a {type(held[name]).__name__}, not a {kind.__name__}"
        for name, kind in _TYPES.items()
        if name in held and not isinstance(held[name], kind)
    ]
    if not wrong and not re.match(r"\d+\.\d+", held[_VERSION]):
        wrong = [f"its entry '{_VERSION}' is no version"]
    if wrong:
        raise ValueError(f"{path} is not a checkpoint of a trainer: {wrong[0]}.")
