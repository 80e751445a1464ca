"""``export``: a parser of its own, for it needs neither data nor a trainer."""

from __future__ import annotations

import argparse
from collections.abc import Sequence

from lightning_ecinn import shipped
from lightning_ecinn.cli.parsing import own_parser
from lightning_ecinn.cli.words import PROGRAM
from lightning_ecinn.runs import new_run_folder

__all__ = ["export"]

_DESCRIPTION = """\
Write a trained model as files that run without this package: with PyTorch (torch.export) or with
onnxruntime, for any number of images.

Of a flow: classifier (images to posteriors), encoder (images to latents), decoder (latents to
images), counterfactual (images, the classes asked for and a step to pictures), and means.npz. Of an
ordinary network: classifier. model.json and README.md say what is there, and how to use it. Each
file is then asked beside the model, and a table says by how much they differ.
"""

_EXAMPLES = f"""\
examples:
  {PROGRAM} export --ckpt_path pretrained:mnist --out model
  {PROGRAM} export --ckpt_path runs/own/<time>/checkpoints/best.ckpt --format both

ONNX needs more packages: pip install 'lightning_ecinn[onnx]'
"""

_REMEDY = "give --ckpt_path a .ckpt file of a run, or pretrained:mnist and the like"


def export(words: Sequence[str]) -> None:
    """Run it.

    Args:
        words: what comes after ``export``.

    Raises:
        ValueError: the model can't be exported, or what ONNX needs is not installed.
    """
    given = _parser().parse_args(list(words))
    shipped.existing(given.ckpt_path, _REMEDY)
    # What takes seconds comes after what may be misspelt.
    from lightning_ecinn.commands.export import ExportSettings, export_model
    from lightning_ecinn.ecinn.settings import PathSettings
    from lightning_ecinn.exported import check_format
    from lightning_ecinn.models.checkpoints import read_checkpoint

    check_format(given.format)
    if given.truncation is not None:
        PathSettings(truncation=given.truncation)
    checkpoint = read_checkpoint(given.ckpt_path, "classifier", "network")
    settings = ExportSettings(
        ckpt_path=given.ckpt_path,
        out=new_run_folder("export", given.out),
        format=given.format,
        dtype=given.dtype,
        truncation=given.truncation,
    )
    export_model(checkpoint, settings)
    print(f"The files lie in {settings.out}")


def _parser() -> argparse.ArgumentParser:
    parser = own_parser("export", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add("--ckpt_path", required=True, help="a checkpoint, or pretrained:mnist and the like")
    add("--out", help="folder of the files; runs/export/<time> by default")
    add(
        "--format",
        choices=("pt2", "onnx", "both"),
        default="pt2",
        help="pt2 for torch.export (the default), onnx, or both",
    )
    add("--dtype", choices=("float32", "float64"), default="float32", help="precision")
    add(
        "--truncation",
        type=float,
        help="psi from 0 to 1 of the counterfactuals; the checkpoint's by default",
    )
    return parser
