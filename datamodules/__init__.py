"""Data sets as LightningDataModules: uint8 images in memory or mapped; a batch is one index."""

# Before Lightning: lets torchvision import beside a torch that it was not compiled for.
import lightning_ecinn.torchvision_guard  # noqa: F401, I001

from datamodules.base import InMemoryDataModule
from datamodules.celeba_hq import CelebAHQ
from datamodules.dataset import ImageArrays, ImageBatch
from datamodules.errors import DataNotFoundError
from datamodules.faces import DrawnFaces
from datamodules.fake_mnist import FakeMNIST
from datamodules.image_files import ImageFilesDataModule, LabelledFiles
from datamodules.image_folder import LabelledImages
from datamodules.mnist import MNIST
from datamodules.samplers import OrderedBatchSampler, TrainBatchSampler

__all__ = [
    "MNIST",
    "CelebAHQ",
    "DataNotFoundError",
    "DrawnFaces",
    "FakeMNIST",
    "ImageArrays",
    "ImageBatch",
    "ImageFilesDataModule",
    "InMemoryDataModule",
    "LabelledFiles",
    "LabelledImages",
    "OrderedBatchSampler",
    "TrainBatchSampler",
]
