"""A tiny MNIST in its own files, and what makes an experiment as tiny."""

import struct

import numpy as np

TINY = [
    "--model.blocks=[1,1]",
    "--model.widths=[4,4]",
    "--model.dropouts=[0.0,0.0]",
    "--model.fc_width=8",
    "--model.haar=null",
    "--data.source=full",
    "--data.val_size=20",
    "--data.batch_size=20",
    "--data.eval_batch_size=30",
    "--trainer.accelerator=cpu",
    "--trainer.enable_progress_bar=false",
    "--trainer.enable_model_summary=false",
]


def write_idx(path, array):
    header = struct.pack(f">BBBB{array.ndim}I", 0, 0, 8, array.ndim, *array.shape)
    path.write_bytes(header + array.astype(np.uint8).tobytes())


def write_bars(root, num_train=220, num_test=60):
    """Write images in MNIST's files whose class is the height of a white bar."""
    folder, rng = root / "MNIST" / "raw", np.random.default_rng(0)
    folder.mkdir(parents=True)
    for prefix, n in (("train", num_train), ("t10k", num_test)):
        labels = np.arange(n) % 10
        images = rng.integers(0, 20, (n, 28, 28))
        for row in range(2):
            images[np.arange(n), 4 + 2 * labels + row, 4:24] = 230
        write_idx(folder / f"{prefix}-images-idx3-ubyte", images)
        write_idx(folder / f"{prefix}-labels-idx1-ubyte", labels)
    return root
