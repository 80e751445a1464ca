"""Data sets as LightningDataModules: uint8 images in memory, a batch is one index operation."""

# Before Lightning: lets torchvision import beside a torch that it was not compiled for.
import lightning_ecinn.torchvision_guard  # noqa: F401, I001

from datamodules.base import InMemoryDataModule
from datamodules.dataset import ImageArrays, ImageBatch
from datamodules.errors import DataNotFoundError
from datamodules.fake_mnist import FakeMNIST
from datamodules.mnist import MNIST
from datamodules.samplers import OrderedBatchSampler, TrainBatchSampler

__all__ = [
    "MNIST",
    "DataNotFoundError",
    "FakeMNIST",
    "ImageArrays",
    "ImageBatch",
    "InMemoryDataModule",
    "OrderedBatchSampler",
    "TrainBatchSampler",
]
