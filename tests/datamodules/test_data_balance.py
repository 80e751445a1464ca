"""Classes of different sizes: every one is drawn equally often, each epoch anew."""

import numpy as np
import pytest
import torch

from lightning_ecinn import InMemoryDataModule
from lightning_ecinn.datamodules import TrainBatchSampler
from lightning_ecinn.datamodules.batches.balance import balanced_order, is_unbalanced

LABELS = torch.tensor([0] * 30 + [1] * 4 + [3] * 7)  # no image of class 2


def batches(world=1, rank=0, epoch=0, first=0, **settings):
    sampler = TrainBatchSampler(
        LABELS, 3, num_replicas=world, rank=rank, classes=LABELS, **settings
    )
    sampler.set_epoch(epoch)
    sampler.first = first
    return [batch.tolist() for batch in sampler]


@pytest.mark.parametrize("seed", range(3))
def test_an_epoch_has_as_many_images_of_every_class_to_within_one(seed):
    order = balanced_order(LABELS, np.random.RandomState(seed))
    assert len(order) == len(LABELS)
    drawn = LABELS[order].unique(return_counts=True)[1]
    assert sorted(drawn.tolist()) == [13, 14, 14]
    times = order.bincount(minlength=len(LABELS))
    for k in (0, 1, 3):
        of_class = times[k == LABELS]
        assert of_class.max() - of_class.min() <= 1, "an image came again before all had come"


def test_classes_of_one_size_are_each_seen_once():
    labels = torch.arange(12) % 3
    order = balanced_order(labels, np.random.RandomState(0))
    assert sorted(order.tolist()) == list(range(12))


def test_the_order_depends_on_seed_and_epoch_alone():
    before = torch.get_rng_state()
    assert batches(epoch=2, seed=5) == batches(epoch=2, seed=5)
    assert batches(epoch=2, seed=5) != batches(epoch=3, seed=5)
    assert batches(epoch=2, seed=5) != batches(epoch=2, seed=6)
    assert torch.equal(before, torch.get_rng_state())
    seen = {i for epoch in range(8) for batch in batches(epoch=epoch) for i in batch}
    assert len(seen & set(range(30))) > 25, "other images of the large class in each epoch"


def test_an_epoch_goes_on_in_its_middle():
    assert batches(epoch=1, first=5) == batches(epoch=1)[5:]


def test_several_processes_share_the_order_of_one():
    alone = [index for batch in batches() for index in batch]
    two = zip(batches(2, 0), batches(2, 1), strict=True)
    assert [index for pair in two for batch in pair for index in batch] == alone[: 3 * 2 * 6]


class Made(InMemoryDataModule):
    def __init__(self, sizes, **settings):
        super().__init__((1, 4, 4), ["a", "b"], val_size=0, **settings)
        self.sizes = sizes

    def load(self, train):
        labels = torch.arange(2).repeat_interleave(torch.tensor(self.sizes))
        return torch.zeros(len(labels), 1, 4, 4, dtype=torch.uint8), labels


@pytest.mark.parametrize(
    ("sizes", "balanced", "is_balanced"),
    [
        ((30, 10), False, False),
        ((30, 10), True, True),
        ((30, 10), None, True),
        ((12, 8), None, False),  # 1.5 times
        ((13, 8), None, True),
    ],
)
def test_data_modules_draw_so_where_asked_or_where_it_matters(sizes, balanced, is_balanced):
    data = Made(sizes, balanced=balanced, batch_size=sum(sizes))
    (batch,) = data.train_dataloader()
    assert data.draws_equally == is_balanced
    assert (int(batch.labels.sum()) == sum(sizes) // 2) == is_balanced


def test_one_class_alone_is_not_unbalanced():
    assert not is_unbalanced(torch.zeros(5, dtype=torch.int64))
