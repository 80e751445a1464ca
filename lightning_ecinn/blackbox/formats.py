"""Classifiers in files of TorchScript, torch.export and ONNX."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.export.passes import move_to_device_pass

from lightning_ecinn.blackbox.fitted import Takes

__all__ = ["read_exported", "read_onnx", "read_scripted"]


@contextmanager
def _reading(path: Path, kind: str) -> Iterator[None]:
    """Say of a file that can't be read that it can't."""
    try:
        with warnings.catch_warnings():
            warnings.filterwarnings("ignore", message=".*torch.jit", category=FutureWarning)
            yield
    except Exception as error:  # each library has its own
        said = " ".join(str(error).split())[:300]
        raise ValueError(f"--classifier {path} can't be read as {kind}: {said}.") from error


def read_scripted(path: Path, device: torch.device | str) -> nn.Module:
    """A TorchScript module."""
    with _reading(path, "TorchScript"):
        return torch.jit.load(path, map_location=device).eval()


def read_exported(path: Path, device: torch.device | str) -> tuple[nn.Module, Takes]:
    """A program of torch.export, and what pictures it takes."""
    with _reading(path, "a program of torch.export"):
        program = torch.export.load(path)
        if torch.device(device).type != "cpu":
            program = move_to_device_pass(program, str(device))
        names = program.graph_signature.user_inputs
        inputs = [n.meta["val"] for n in program.graph.nodes if n.name in names]
        module = program.module()
    shape = [size if isinstance(size, int) else None for size in inputs[0].shape]
    return module, _takes(path, len(inputs), shape, inputs[0].dtype == torch.uint8)


def read_onnx(path: Path) -> tuple[Callable[[Tensor], Tensor], Takes]:
    """A model of ONNX, asked through onnxruntime, and what pictures it takes.

    Raises:
        ValueError: onnxruntime is not installed, or the file is no such model.
    """
    try:
        import onnxruntime
    except ImportError:
        raise ValueError(
            f"--classifier {path} needs onnxruntime: pip install lightning_ecinn[onnx]."
        ) from None
    with _reading(path, "ONNX"):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(
            path, options, providers=onnxruntime.get_available_providers()
        )
    first, outputs = session.get_inputs()[0], session.get_outputs()
    # A table of numbers rather than a list of labels, where there are both.
    answers = next((o for o in outputs if o.type.startswith("tensor(float")), outputs[0])
    uint8, half = first.type == "tensor(uint8)", first.type == "tensor(float16)"
    shape = [size if isinstance(size, int) else None for size in first.shape]
    takes = _takes(path, len(session.get_inputs()), shape, uint8)

    def predict(pictures: Tensor) -> Tensor:
        given = np.ascontiguousarray(pictures.detach().cpu().numpy())
        given = given.astype(np.float16) if half else given
        (said,) = session.run([answers.name], {first.name: given})
        return torch.as_tensor(np.asarray(said))

    return predict, takes


def _takes(path: Path, count: int, shape: Sequence[Any], uint8: bool) -> Takes:
    """What a file says that it takes: one input, (B, C, H, W), (B, H, W, C) or (B, D).

    Raises:
        ValueError: for anything else.
    """
    if count != 1 or len(shape) not in (2, 4):
        raise ValueError(
            f"--classifier {path} must take pictures (B, C, H, W), (B, H, W, C) or (B, C H W) and "
            f"nothing else, but it takes {count} inputs, the first of shape {tuple(shape)}."
        )
    if len(shape) == 2:
        return Takes(batch=shape[0], flat=True, uint8=uint8)
    last = shape[3] in (1, 3) and shape[1] not in (1, 3)
    batch, channels, *size = (shape[i] for i in ((0, 3, 1, 2) if last else (0, 1, 2, 3)))
    known = (size[0], size[1]) if None not in size else None
    return Takes(batch, channels, known, channels_last=last, uint8=uint8)
