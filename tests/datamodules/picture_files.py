"""Tiny data sets of picture files, as people have them."""

import io
import zipfile

import numpy as np
from PIL import Image

ATTRIBUTES = ["Smiling", "High_Cheekbones", "Wearing_Lipstick", "No_Beard"]
NAMES = [f"{i}.png" for i in range(6)]


def picture(grey, size=(40, 40), mode="RGB"):
    return Image.new(mode, size, (grey,) * 3 if mode == "RGB" else grey)


def encoded(image, kind="JPEG", **options):
    buffer = io.BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def table(names, first):
    """CelebA's table: attribute j of picture i is set where bit j of i is."""
    lines = [str(len(names)), " ".join(ATTRIBUTES)]
    for i, name in enumerate(names, start=first):
        values = ["1" if i >> j & 1 else "-1" for j in range(len(ATTRIBUTES))]
        lines.append(f"{name}  {' '.join(values)}")
    return "\n".join(lines) + "\n"


def write_celeba_hq(root, n=8, originals=None, grey=lambda i: 10 * i):
    """Write a CelebAMask-HQ whose picture i is all of one grey level."""
    (root / "CelebA-HQ-img").mkdir(parents=True)
    for i in range(n):
        (root / "CelebA-HQ-img" / f"{i}.jpg").write_bytes(encoded(picture(grey(i))))
    names = [f"{i}.jpg" for i in range(n)]
    (root / "CelebAMask-HQ-attribute-anno.txt").write_text(table(names, 0))
    if originals is not None:
        rows = [f"{i:<9} {o:<14} {o + 1:06d}.jpg" for i, o in enumerate(originals)]
        text = "\n".join(["idx       orig_idx       orig_file", *rows]) + "\n"
        (root / "CelebA-HQ-to-CelebA-mapping.txt").write_text(text)
    return root


def write_celeba(root, numbers=(1, 2, 3, 4), split=None):
    """Write a CelebA, 178 x 218, black above and below its central square."""
    (root / "img_align_celeba").mkdir(parents=True)
    names = [f"{number:06d}.jpg" for number in numbers]
    for number, name in zip(numbers, names, strict=True):
        pixels = np.zeros((218, 178, 3), np.uint8)
        pixels[20:198] = 10 * (number % 20) + 20
        (root / "img_align_celeba" / name).write_bytes(encoded(Image.fromarray(pixels)))
    (root / "list_attr_celeba.txt").write_text(table(names, numbers[0]))
    if split is not None:
        rows = [f"{name} {part}" for name, part in zip(names, split, strict=True)]
        (root / "list_eval_partition.txt").write_text("\n".join(rows) + "\n")
    return root


def zipped(folder, path, below=""):
    """Pack a folder into a zip archive, its names beginning with `below`."""
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for file in sorted(folder.rglob("*")):
            archive.write(file, below + file.relative_to(folder).as_posix())
    return path
