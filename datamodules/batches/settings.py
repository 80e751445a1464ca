"""How images are dealt out, once: every DataModule takes it here, and hands it on."""

from dataclasses import dataclass

from lightning_ecinn.datamodules.checks import SplitName, check_at_least, check_split

__all__ = ["LoaderSettings"]


@dataclass(frozen=True, kw_only=True)
class LoaderSettings:
    """The batches of a DataModule.

    Args:
        batch_size: training images per batch and process.
        eval_batch_size: images per batch and process everywhere else.
        seed: chooses the held-out images where the data do not say which they are, the order of
            training, the translations and the flips.
        max_shift: translate training images by up to so many pixels each way, repeating the edges.
            None: 1, where a linear classifier still knows held-out images that are moved so.
        flip: mirror half of the training images left and right, other ones each epoch. None: where
            a linear classifier still knows held-out images that are mirrored.
        balanced: draw every class equally often in each epoch, which has as many images as before:
            images of small classes come several times, and of large ones other images are left out
            each time. None: where the largest class has more than 1.5 times the smallest one.
        predict_split: what `predict` runs over: "train", "val" or "test".

    Raises:
        ValueError: an argument is out of range.

    Example:
        >>> LoaderSettings(batch_size=0)
        Traceback (most recent call last):
        ValueError: batch_size is 0; give 1 or more.
    """

    batch_size: int = 128
    eval_batch_size: int = 250
    seed: int = 0
    max_shift: int | None = 0
    flip: bool | None = False
    balanced: bool | None = False
    predict_split: SplitName = "test"

    def __post_init__(self) -> None:
        check_at_least(1, batch_size=self.batch_size, eval_batch_size=self.eval_batch_size)
        check_at_least(0, seed=self.seed, max_shift=self.max_shift or 0)
        check_split(self.predict_split, "predict_split")
