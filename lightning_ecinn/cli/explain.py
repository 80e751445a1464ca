"""``explain``: a parser of its own, for it needs neither data nor a trainer."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from dataclasses import asdict, fields
from typing import Any

from lightning_ecinn import shipped
from lightning_ecinn.cli.parsing import own_parser
from lightning_ecinn.cli.words import PROGRAM
from lightning_ecinn.commands.explain_settings import ALL, RUNNER_UP, ExplainSettings
from lightning_ecinn.pictures.files import find_pictures
from lightning_ecinn.runs import new_run_folder

__all__ = ["explain"]

_DESCRIPTION = """\
Explain picture files with a trained model: what would have to change for another class?

Any pictures in any size: they are turned, cut and resized as the model's data set does it. For
each there is a line here, and in the results' folder a panel (input, counterfactuals, heatmap,
posteriors, certificate), the counterfactuals as PNG, results.json and results.csv, and index.html:
a page to look at them and to drag their steps.
"""

_EXAMPLES = f"""\
examples:
  {PROGRAM} explain --ckpt_path pretrained:mnist digit.png
  {PROGRAM} explain --ckpt_path runs/own/<time>/checkpoints/best.ckpt photos/ --target smiling
  {PROGRAM} explain --ckpt_path pretrained:mnist scans/ --target all --truncation 0.8 --out results
  {PROGRAM} explain --ckpt_path flow.ckpt photo.jpg --classifier net.onnx --images photos/

The exit status is 1 where some pictures could not be read (the others are explained).
"""


_REMEDY = "give --ckpt_path a .ckpt file of a run, or pretrained:mnist and the like"


def explain(words: Sequence[str]) -> None:
    """Run it.

    Args:
        words: what comes after ``explain``.

    Raises:
        SystemExit: with status 1, if some pictures could not be read.
        ValueError: nothing can be explained.
    """
    given = _parser().parse_args(list(words))
    shipped.existing(given.ckpt_path, _REMEDY)
    find_pictures(given.pictures)
    # What takes seconds comes after what may be misspelt.
    from lightning_ecinn.commands.explain import explain_pictures
    from lightning_ecinn.ecinn.alphas import check_alphas

    asked = _asked(given)
    alphas = [_alpha(word) for word in given.alphas]
    check_alphas(alphas)
    path = {name: getattr(given, name) for name in ("truncation", "confidence", "convincing_step")}
    settings = ExplainSettings(
        ckpt_path=given.ckpt_path,
        pictures=given.pictures,
        target=given.target,
        alphas=alphas,
        out=new_run_folder("explain", given.out),
        page=given.page,
        invert=given.invert,
        crop=given.crop,
        dtype=given.dtype,
        device=given.device,
        path={name: value for name, value in path.items() if value is not None},
        images=given.images,
        asked=asked,
    )
    failed = explain_pictures(settings)
    print(f"The results lie in {settings.out}")
    if failed:
        count = f"{len(failed)} pictures" if len(failed) > 1 else "1 picture"
        print(f"{count} could not be read, see above.", file=sys.stderr)
        raise SystemExit(1)


def _parser() -> argparse.ArgumentParser:
    parser = own_parser("explain", _DESCRIPTION, _EXAMPLES)
    add = parser.add_argument
    add("pictures", nargs="+", metavar="PICTURE", help="files, and folders of them")
    add("--ckpt_path", required=True, help="a checkpoint, or pretrained:mnist and the like")
    add(
        "--target",
        nargs="+",
        default=[RUNNER_UP],
        metavar="CLASS",
        help=f"classes by name or number; {ALL}: every other one; {RUNNER_UP} (the default): the "
        "second likeliest of each picture",
    )
    add(
        "--alphas",
        nargs="+",
        default=["tipping", "convincing"],
        metavar="STEP",
        help="tipping, convincing, star, certified, or step lengths",
    )
    add("--out", help="folder of the results; runs/explain/<time> by default")
    add("--truncation", type=float, help="psi from 0 to 1; the checkpoint's by default")
    add("--confidence", type=float, help="posterior that the certified step reaches")
    add(
        "--convincing_step",
        nargs=2,
        type=float,
        metavar=("OFFSET", "SLOPE"),
        help="alpha_1 = offset + slope alpha_0; the checkpoint's by default",
    )
    add(
        "--page",
        action=argparse.BooleanOptionalAction,
        default=True,
        help="write index.html, too: the first pictures to look at and to play with",
    )
    add(
        "--invert",
        action="store_true",
        help="explain the pictures' negatives: ink on paper as white on black",
    )
    add(
        "--crop",
        action=argparse.BooleanOptionalAction,
        help="cut the central square out of pictures, or squeeze them; as the data set by default",
    )
    _add_asked(parser)
    add("--dtype", choices=("float32", "float64"), default="float32", help="precision")
    add("--device", default="cpu", help="where to compute, such as cuda")
    return parser


def _add_asked(parser: argparse.ArgumentParser) -> None:
    """The options of a classifier that is explained in place of the flow's own."""
    add = parser.add_argument
    add(
        "--classifier",
        help="explain this one through the checkpoint's flow: a checkpoint of any network of this "
        "project, TorchScript, torch.export or ONNX file, or package.module:function",
    )
    add(
        "--images",
        nargs="+",
        default=[],
        metavar="PICTURE",
        help="files and folders of pictures like its training images: its class means are over "
        "them; not needed with a checkpoint of means --classifier",
    )
    add(
        "--classifier_classes",
        nargs="+",
        metavar="NAME",
        help="names of its classes, in order, or a text file with one in each line",
    )
    add(
        "--classifier_pictures",
        choices=("float", "uint8", "symmetric", "imagenet"),
        help="how it takes pictures: in [0, 1], as grey levels, in [-1, 1], or normalised as "
        "torchvision's networks want them; float by default",
    )
    add(
        "--classifier_answers",
        choices=("logits", "probabilities", "labels"),
        help="what it answers; by default seen from the answers",
    )
    add(
        "--second_direction",
        action="store_true",
        help="where it never says the class along the line, turn that towards its gradient",
    )
    add(
        "--means_images",
        type=int,
        default=10_000,
        metavar="NUMBER",
        help="how many of --images, drawn at random; 0 for all",
    )


def _asked(given: argparse.Namespace) -> dict[str, Any]:
    """The fields of `AskedOptions`; none without a classifier.

    Raises:
        ValueError: there is none, but something is said of one, or pictures are missing.
    """
    from lightning_ecinn.blackbox import AskedOptions

    asked = AskedOptions(**{one.name: getattr(given, one.name) for one in fields(AskedOptions)})
    asked.check()
    if asked.classifier is None and given.images:
        raise ValueError(
            "--images is about a classifier that is asked, but there is none: give --classifier, "
            "or leave it out."
        )
    if given.images:
        find_pictures(given.images)
    return {} if asked.classifier is None else asdict(asked)


def _alpha(word: str) -> Any:
    try:
        return float(word)
    except ValueError:
        return word
