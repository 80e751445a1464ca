"""README.md of a folder of exported files: what is there, and the few lines that use it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import PurePath
from typing import Any

from lightning_ecinn.plain_text import plain

__all__ = ["readme"]

_CLASSIFY_TORCH = """\
```python
import json

import numpy as np
import torch

about = json.load(open("model/model.json"))
images = torch.from_numpy(np.load("images.npy"))  # (B, C, H, W) float32 in [0, 1]
classifier = torch.export.load("model/classifier.pt2").module()
with torch.no_grad():
    for posterior in classifier(images):
        print(about["class_names"][posterior.argmax()], f"{posterior.max():.3f}")
```
"""

_CLASSIFY_ONNX = """\
```python
import json

import numpy as np
from onnxruntime import InferenceSession

about = json.load(open("model/model.json"))
images = np.load("images.npy")  # (B, C, H, W) float32 in [0, 1]
classifier = InferenceSession("model/classifier.onnx")
for posterior in classifier.run(None, {"images": images})[0]:
    print(about["class_names"][posterior.argmax()], f"{posterior.max():.3f}")
```
"""

_EXPLAIN_TORCH = """\
```python
import json

import numpy as np
import torch

about = json.load(open("model/model.json"))
images = torch.from_numpy(np.load("images.npy"))  # (B, C, H, W) float32 in [0, 1]
target = torch.full((len(images),), 1)  # the class asked for, by number
step = torch.tensor(about["convincing_step"]).to(images)  # [0, 1] is the tipping point
counterfactual = torch.export.load("model/counterfactual.pt2").module()
with torch.no_grad():
    found = counterfactual(images, target, step)
for source, alpha in zip(found["source"], found["alpha"], strict=True):
    print(about["class_names"][source], "to", about["class_names"][1], f"by {alpha:.2f}")
np.save("counterfactuals.npy", found["image"].numpy())
```
"""

_EXPLAIN_NUMPY = """\
```python
import json

import numpy as np
from onnxruntime import InferenceSession

offset, slope = json.load(open("model/model.json"))["convincing_step"]
images, q = np.load("images.npy"), 1  # (B, C, H, W) float32 in [0, 1]; the class asked for
parts = {name: InferenceSession(f"model/{name}.onnx") for name in ("encoder", "decoder")}
means = np.load("model/means.npz")
mu, mean = means["component_means"], means["class_means"]
(z,) = parts["encoder"].run(None, {"images": images})
p = (z @ mu.T - (mu**2).sum(1) / 2).argmax(1)  # what each image is classified as
moves = means["explainable_pairs"][p, q] & (p != q)  # the others stay what they are
w, delta = (mu[q] - mu[p])[moves], (mean[q] - mean[p])[moves]
middle = (mu[q] + mu[p])[moves] / 2
tipping = -(w * (z[moves] - middle)).sum(1) / (w * delta).sum(1)
z[moves] += (offset + slope * tipping)[:, None].astype(z.dtype) * delta
pictures = parts["decoder"].run(None, {"latents": z})[0]
np.save("counterfactuals.npy", np.where(moves[:, None, None, None], pictures, images))
```
"""


def readme(described: Mapping[str, Any], folder: str) -> str:
    """The text.

    Args:
        described: what model.json says.
        folder: its name, which the examples are to read from.
    """
    return "\n".join([*_about(described), *_step(described), *_use(described, folder)])


def _about(described: Mapping[str, Any]) -> Iterator[str]:
    names, shape = described["class_names"], described["image_shape"]
    yield f"# A {described['kind']} of {len(names)} classes\n"
    yield (
        "It runs without the package that trained it (lightning_ecinn): PyTorch reads `.pt2`, "
        "onnxruntime `.onnx`, numpy `.npz`. `model.json` says for programs what this page says.\n"
    )
    yield f"- **Images**: (B, {', '.join(map(str, shape))}), {described['dtype']} in [0, 1]; any B."
    yield f"- **Classes**, from 0: {', '.join(map(plain, names))}."
    yield (
        "- **Nothing is checked** in these files: pictures of another range, NaN and classes that "
        "do not exist are answered, somehow.\n"
    )
    yield "| file | takes | gives | MB | greatest difference from the model |"
    yield "| :-- | :-- | :-- | --: | --: |"
    for name, file in described["files"].items():
        takes, gives = (_cells(file[side]) for side in ("inputs", "outputs"))
        numbers = f"{file['bytes'] / 1e6:.2f} | {file['greatest_difference']:.1g}"
        yield f"| `{name}` | {takes} | {gives} | {numbers} |"
    yield ""


def _cells(values: Mapping[str, str]) -> str:
    """As one cell; a bar would end it."""
    texts = (f"`{name}` {text}".replace("|", r"\|") for name, text in values.items())
    return "<br>".join(texts)


def _step(described: Mapping[str, Any]) -> Iterator[str]:
    """What a counterfactual is, of a flow."""
    if "formula" not in described:
        return
    yield "## A counterfactual, for a class q\n"
    yield from (f"- {name}: `{text}`" for name, text in described["formula"].items())
    for file, arrays in described["arrays"].items():
        yield f"\n`{file}` has\n"
        yield from (f"- `{name}`, {text}" for name, text in arrays.items())
    yield ""


def _use(described: Mapping[str, Any], folder: str) -> Iterator[str]:
    """Lines of Python for each format that is there, run from the folder above."""
    suffixes = {PurePath(name).suffix for name in described["files"]}
    is_flow = "formula" in described
    yield "## In Python\n"
    if ".pt2" in suffixes:
        yield _placed(_EXPLAIN_TORCH if is_flow else _CLASSIFY_TORCH, described, folder)
    # With truncation the direction is another one, which counterfactual.onnx has, too.
    by_hand = is_flow and described["truncation"] == 1
    if ".onnx" in suffixes:
        yield _placed(_EXPLAIN_NUMPY if by_hand else _CLASSIFY_ONNX, described, folder)


def _placed(text: str, described: Mapping[str, Any], folder: str) -> str:
    return text.replace("model/", f"{folder}/").replace("float32", described["dtype"])
