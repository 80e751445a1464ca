"""A classifier as it is named on a command line: a file, or a function of somebody's module."""

from __future__ import annotations

import importlib
import importlib.util
import sys
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

import torch
from torch import nn

from lightning_ecinn import shipped
from lightning_ecinn.blackbox.fitted import Fitted, Takes, failure
from lightning_ecinn.blackbox.formats import read_exported, read_onnx, read_scripted
from lightning_ecinn.models.checkpoints import load_model
from lightning_ecinn.models.classifier import GenerativeClassifier

__all__ = ["Given", "check_given", "read_classifier"]

KNOWN = (
    "a .ckpt file of this project, a TorchScript or torch.export file (.pt2), an .onnx file, or "
    "package.module:function (or file.py:function)"
)
"""What a classifier may be given as."""

_REMEDY = f"for --classifier give {KNOWN}"


@dataclass(frozen=True)
class Given:
    """A classifier that has been read.

    Attributes:
        predict: of pictures (B, C, H, W) of the flow's size to what it answers.
        class_names: one name per class, where the file knows them.
        takes_uint8: whether the file says that it takes grey levels.
    """

    predict: nn.Module | Callable[..., Any]
    class_names: Sequence[str] | None = None
    takes_uint8: bool = False


@torch.inference_mode(False)  # within Lightning's, weights would never have gradients
def read_classifier(given: str, device: torch.device | str = "cpu") -> Given:
    """A classifier of a file or of a module; pictures come in the size that it takes.

    TorchScript, torch.export and Python modules are programs: read those of people whom you trust.

    Args:
        given: see `KNOWN`; ``module:function()`` with parentheses calls the function once, without
            arguments, and takes what it returns.
        device: where it is to compute, unless it says itself.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: what is there is no classifier; says what was expected.
    """
    check_given(given)
    if _is_ours(given):
        return _ours(given, device)
    path = Path(given).expanduser()
    if path.is_file():
        return _of_file(path, given, device)
    left, _, name = given.rpartition(":")
    found = _attribute(_module(left, given), left, name.removesuffix("()"), given)
    predict = _called(found, given)
    if isinstance(predict, nn.Module):
        predict = predict.to(device)
    return Given(Fitted(predict, given))


def check_given(given: str) -> None:
    """Refuse a classifier that is nowhere, before anything that takes time.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: nothing is given.
    """
    if not given:
        raise ValueError(f"--classifier is empty: give {KNOWN}.")
    if _is_ours(given):
        shipped.existing(given, _REMEDY)
        return
    path, (left, colon, _) = Path(given).expanduser(), given.rpartition(":")
    if colon and not path.exists():
        module = Path(left).expanduser()
        if module.suffix == ".py" and not module.is_file():
            raise FileNotFoundError(f"--classifier {given}: there is no file {module}.")
    elif not path.is_file():
        what = "is a folder" if path.is_dir() else "does not exist"
        raise FileNotFoundError(f"--classifier {given} {what}: give {KNOWN}.")


def _is_ours(given: str) -> bool:
    return given.startswith(shipped.PRETRAINED) or given.endswith(".ckpt")


def _ours(given: str, device: torch.device | str) -> Given:
    try:
        model = load_model(given)
    except ValueError as error:
        raise ValueError(f"{str(error).rstrip('.')}; {_REMEDY}.") from None
    channels, height, width = model.image_shape
    takes = Takes(channels=channels, size=(height, width))
    fitted = Fitted(_Logits(model).to(device), given, takes)
    return Given(fitted, model.class_names)


class _Logits(nn.Module):
    """Logits of a model of ours, be it a flow."""

    def __init__(self, model: nn.Module):
        super().__init__()
        self.model = model

    def forward(self, pictures: torch.Tensor) -> torch.Tensor:
        if isinstance(self.model, GenerativeClassifier):
            return self.model.mixture.scores(self.model.encode(pictures)[0])
        return self.model(pictures)


def _of_file(path: Path, given: str, device: torch.device | str) -> Given:
    if path.suffix == ".onnx":
        predict, takes = read_onnx(path)
        return Given(Fitted(predict, given, takes), takes_uint8=takes.uint8)
    names = zipfile.ZipFile(path).namelist() if zipfile.is_zipfile(path) else []
    inside = {name.partition("/")[2] for name in names}
    if "models/model.json" in inside or "serialized_exported_program.json" in names:
        module, takes = read_exported(path, device)
        return Given(Fitted(module, given, takes), takes_uint8=takes.uint8)
    if any(name.startswith("code/") for name in inside):
        return Given(Fitted(read_scripted(path, device), given))
    if path.suffix == ".py":
        raise ValueError(f"--classifier {given}: name the function in it, as in {given}:predict.")
    held = ""
    if "data.pkl" in inside:
        held = " holds weights without their network, or a pickled module, and"
    raise ValueError(f"--classifier {path}{held} can't be asked: give {KNOWN}.")


def _module(name: str, given: str) -> ModuleType:
    """A module by name, from the current folder too, or by its file."""
    path = Path(name).expanduser()
    is_file = path.suffix == ".py"
    try:
        if not is_file:
            if "" not in sys.path and str(Path.cwd()) not in sys.path:
                sys.path.insert(0, "")
            return importlib.import_module(name)
        own_name = f"classifier_of_{path.stem}"  # hides no other module
        spec = importlib.util.spec_from_file_location(own_name, path.absolute())
        assert spec is not None
        assert spec.loader is not None
        module = importlib.util.module_from_spec(spec)
        sys.modules[own_name] = module
        spec.loader.exec_module(module)
    except Exception as error:  # anything can go wrong in a stranger's module
        said = f"--classifier {given}: {name} can't be imported ({failure(error)})."
        raise ValueError(said) from error
    return module


def _attribute(module: ModuleType, called: str, name: str, given: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            there = [n for n, v in vars(module).items() if callable(v) and not n.startswith("_")]
            known = f": it has {', '.join(there[:20])}" if there else ""
            raise ValueError(f"--classifier {given}: {called} has no {name or 'function'}{known}.")
        found = getattr(found, part)
    return found


def _called(found: Any, given: str) -> Any:
    """What answers: the thing itself, or what it makes where parentheses say so."""
    if given.endswith("()"):
        try:
            found = found()
        except Exception as error:
            said = f"--classifier {given} can't be called ({failure(error)})."
            raise ValueError(said) from error
    if isinstance(found, type) or not callable(found):
        what = f"is a class, {found.__name__}" if isinstance(found, type) else "can't be called"
        raise ValueError(
            f"--classifier {given} {what}: give a function or an object that takes pictures; "
            f"{given.removesuffix('()')}() with parentheses makes one, if it needs no arguments."
        )
    return found
