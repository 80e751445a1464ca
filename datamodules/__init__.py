"""Data sets as LightningDataModules: uint8 images in memory or mapped; a batch is one index."""

from lightning_ecinn.datamodules.base import InMemoryDataModule
from lightning_ecinn.datamodules.batches.dataset import ImageArrays, ImageBatch
from lightning_ecinn.datamodules.batches.samplers import OrderedBatchSampler, TrainBatchSampler
from lightning_ecinn.datamodules.batches.settings import LoaderSettings
from lightning_ecinn.datamodules.celeba_hq import CelebAHQ
from lightning_ecinn.datamodules.checks import DataNotFoundError
from lightning_ecinn.datamodules.faces import DrawnFaces
from lightning_ecinn.datamodules.factors import Factor
from lightning_ecinn.datamodules.fake_mnist import FakeMNIST
from lightning_ecinn.datamodules.image_files import ImageFilesDataModule, LabelledFiles
from lightning_ecinn.datamodules.image_folder import LabelledImages
from lightning_ecinn.datamodules.mnist import MNIST

__all__ = [
    "MNIST",
    "CelebAHQ",
    "DataNotFoundError",
    "DrawnFaces",
    "Factor",
    "FakeMNIST",
    "ImageArrays",
    "ImageBatch",
    "ImageFilesDataModule",
    "InMemoryDataModule",
    "LabelledFiles",
    "LabelledImages",
    "LoaderSettings",
    "OrderedBatchSampler",
    "TrainBatchSampler",
]
