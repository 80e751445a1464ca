"""Parts as files: programs of torch.export, which ONNX files are made of, too; and read again."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from lightning_ecinn.exported.parts import Part
from lightning_ecinn.plain_text import short
from lightning_ecinn.whole_files import write_whole

__all__ = ["SUFFIXES", "Asked", "check_onnx", "read", "write"]

Asked = Callable[..., dict[str, Tensor]]
"""Outputs by name, of a file that has been read."""

SUFFIXES = {"pt2": (".pt2",), "onnx": (".onnx",), "both": (".pt2", ".onnx")}
"""Of the files of a format."""

_ONNX = ("onnx", "onnxscript", "onnxruntime")
"""What writes ONNX files, and runs them to check them."""


def check_onnx() -> None:
    """Raise a ValueError where what ONNX files need is not installed."""
    if missing := [name for name in _ONNX if find_spec(name) is None]:
        raise ValueError(
            f"ONNX files need {' and '.join(missing)}: pip install 'lightning_ecinn[onnx]', or "
            "take the format pt2."
        )


def write(part: Part, folder: Path, suffixes: tuple[str, ...]) -> list[Path]:
    """Write a part's files.

    Raises:
        ValueError: the module can't be exported, as one with strangers' layers in it.
        WriteError: a file can't be written.
    """
    with torch.no_grad(), _quiet():
        with _exporting(part, "torch.export"):
            program = _program(part)
        paths = [folder / f"{part.name}{suffix}" for suffix in suffixes]
        for path in paths:
            content = None
            if path.suffix == ".onnx":
                with _exporting(part, "ONNX"):
                    content = _onnx(part, program)
            with write_whole(path) as file:
                torch.export.save(program, file) if content is None else file.write(content)
    return paths


def read(part: Part, path: Path) -> Asked:
    """A part's file as those read it who have nothing of ours."""
    if path.suffix == ".pt2":
        with _quiet():
            module = torch.export.load(path).module()

        def asked(*inputs: Tensor) -> dict[str, Tensor]:
            with torch.no_grad():
                return _named(part.outputs, module(*inputs))

        return asked
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = torch.get_num_threads()
    session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(*inputs: Tensor) -> dict[str, Tensor]:
        pairs = zip(part.inputs, inputs, strict=True)
        said = session.run(list(part.outputs), {name: value.numpy() for name, value in pairs})
        return {name: torch.from_numpy(v) for name, v in zip(part.outputs, said, strict=True)}

    return run


def _program(part: Part) -> torch.export.ExportedProgram:
    """The part for any number of images, without steps in place: files have gradients, too."""
    batch = {0: torch.export.Dim("batch")}
    sizes = tuple({} if name in part.single else batch for name in part.inputs)
    program = torch.export.export(part.module, part.example, dynamic_shapes=sizes)
    return program.run_decompositions({})


def _onnx(part: Part, program: torch.export.ExportedProgram) -> bytes:
    """The part in ONNX, weights included."""
    made = torch.onnx.export(
        program,
        dynamo=True,
        verbose=False,
        input_names=list(part.inputs),
        output_names=list(part.outputs),
    )
    assert made is not None
    proto: Any = made.model_proto
    for value in (*proto.graph.input, *proto.graph.output):
        for side in value.type.tensor_type.shape.dim:
            if side.dim_param:
                side.dim_param = "batch"
    content: bytes = proto.SerializeToString()
    return content


def _named(names: Mapping[str, str], said: Any) -> dict[str, Tensor]:
    return said if isinstance(said, dict) else dict(zip(names, [said], strict=True))


@contextmanager
def _exporting(part: Part, format: str) -> Iterator[None]:
    """Say in one sentence that a library can't write a part: each has its own errors."""
    try:
        yield
    except Exception as error:
        raise ValueError(
            f"The {part.name} can't be exported by {format} ({short(error, 300).rstrip('.')}): "
            "give another format, or a model without layers of one's own."
        ) from error


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what writers and readers say of themselves: the files are checked afterwards."""
    loggers = [logging.getLogger(name) for name in ("torch.onnx", "onnxscript", "onnx_ir")]
    levels = [logger.level for logger in loggers]
    try:
        for logger in loggers:
            logger.setLevel(logging.ERROR)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
