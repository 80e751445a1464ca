"""Labels and class names as people have them."""

import pytest
import torch

from lightning_ecinn.datamodules import ImageArrays, InMemoryDataModule


def grey(n):
    return torch.zeros(n, 1, 4, 4, dtype=torch.uint8)


class Loaded(InMemoryDataModule):
    """Has the labels that it was given."""

    def __init__(self, labels):
        super().__init__((1, 4, 4), ["a", "b"], val_size=2)
        self.labels = labels

    def load(self, train):
        return grey(len(self.labels)), self.labels


@pytest.mark.parametrize(
    "dtype",
    [torch.bool, torch.uint8, torch.int8, torch.int32, torch.uint16, torch.float16, torch.float64],
)
def test_labels_that_are_whole_numbers_become_int64(dtype):
    labels = torch.tensor([0, 1, 1, 0, 1, 1])
    data = Loaded(labels.to(dtype))
    data.setup()
    assert data.dataset("test").labels.dtype == torch.int64
    assert torch.equal(data.dataset("test").labels, labels)
    assert next(iter(data.train_dataloader())).labels.dtype == torch.int64


class OwnSplits(InMemoryDataModule):
    """Reads whatever it was given."""

    def __init__(self, **splits):
        super().__init__((1, 4, 4), ["a", "b"], val_size=0)
        self.splits = splits

    def read(self, split):
        return self.splits


def test_splits_of_ones_own_are_checked_too():
    with pytest.raises(ValueError, match=r"OwnSplits.read\('test'\) returned train: return 'test'"):
        OwnSplits(train=ImageArrays(grey(2), torch.tensor([0, 1]))).dataset("test")
    with pytest.raises(ValueError, match=r"OwnSplits.read\('test'\) returned labels from 0 to 7"):
        OwnSplits(test=ImageArrays(grey(2), torch.tensor([0, 7]))).dataset("test")


def test_names_of_classes_cannot_act_on_a_terminal():
    data = InMemoryDataModule((1, 4, 4), ["a\x1b[2K", "b"], val_size=0)
    assert data.class_names == ["a\\x1b[2K", "b"]
