"""Who gets which image: every index once in evaluation, disjoint full batches in training."""

from itertools import chain

import pytest
import torch
from torch.utils.data import DistributedSampler

from lightning_ecinn.datamodules import OrderedBatchSampler, TrainBatchSampler
from lightning_ecinn.datamodules.batches.samplers import WholeBatchSampler

WORLDS = [1, 2, 5]
N = 37


def ordered(world, batch_size=4, n=N):
    return [list(OrderedBatchSampler(range(n), batch_size, world, rank)) for rank in range(world)]


def train(world, batch_size=3, epoch=0, n=N, **settings):
    samplers = [
        TrainBatchSampler(range(n), batch_size, num_replicas=world, rank=rank, **settings)
        for rank in range(world)
    ]
    for sampler in samplers:
        sampler.set_epoch(epoch)
    return [list(sampler) for sampler in samplers]


@pytest.mark.parametrize("world", WORLDS)
@pytest.mark.parametrize("batch_size", [1, 2, 4, 100])
@pytest.mark.parametrize("n", [N, 10, 5])
def test_ordered_gives_every_index_once_in_equally_many_batches(world, batch_size, n):
    ranks = ordered(world, batch_size, n)

    for rank, batches in enumerate(ranks):
        assert torch.cat(batches).tolist() == list(range(rank, n, world))
    assert len({len(batches) for batches in ranks}) == 1
    assert len(ranks[0]) == len(OrderedBatchSampler(range(n), batch_size, world, 0))
    assert all(1 <= len(batch) <= max(batch_size, 2) for batches in ranks for batch in batches)


def test_ordered_batches_are_as_few_as_the_batch_size_allows():
    assert [len(batch) for batch in ordered(1)[0]] == [4] * 7 + [3] * 3
    assert len(ordered(5)[0]) == 2  # 8 images on the longest rank, 4 a batch


@pytest.mark.parametrize("world", WORLDS)
def test_train_ranks_are_disjoint_and_even(world):
    ranks = train(world)

    seen = torch.cat([torch.cat(batches) for batches in ranks])
    assert len(seen.unique()) == len(seen)
    assert set(seen.tolist()) <= set(range(N))
    assert {len(batches) for batches in ranks} == {N // (3 * world)}
    assert {len(batch) for batches in ranks for batch in batches} == {3}


def test_train_order_depends_on_seed_and_epoch_alone():
    torch.manual_seed(1)
    first = torch.cat(train(1, epoch=4, seed=7)[0])
    torch.manual_seed(2)
    torch.rand(3)

    assert torch.equal(first, torch.cat(train(1, epoch=4, seed=7)[0]))
    assert not torch.equal(first, torch.cat(train(1, epoch=5, seed=7)[0]))
    assert not torch.equal(first, torch.cat(train(1, epoch=4, seed=8)[0]))


def test_samplers_leave_the_global_generator_alone():
    before = torch.get_rng_state()
    train(2, max_shift=2, flip=True), ordered(2)
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize(("world", "size"), [(1, 37), (2, 18), (5, 7)])
def test_train_keeps_one_smaller_batch_where_none_is_full(world, size):
    ranks = train(world, batch_size=1000)
    assert [[len(batch) for batch in batches] for batches in ranks] == [[size]] * world
    assert len(torch.cat(list(chain(*ranks))).unique()) == world * size


def test_shifts_fill_their_range_and_differ_by_rank_batch_and_epoch():
    first, second = train(2, batch_size=500, n=4000, max_shift=2)
    assert set(first[0].shifts.flatten().tolist()) == {-2, -1, 0, 1, 2}
    other_epoch = train(2, batch_size=500, n=4000, max_shift=2, epoch=1)[0]
    for other in (first[1], second[0], other_epoch[0]):
        assert not torch.equal(first[0].shifts, other.shifts)
    again = train(2, batch_size=500, n=4000, max_shift=2)[0]
    assert torch.equal(first[0].shifts, again[0].shifts)


def test_order_and_shifts_stay_the_same_in_every_version():
    """So that a run that an older version began goes on as if nothing had happened."""
    sampler = TrainBatchSampler(range(12), 4, seed=3, max_shift=2, num_replicas=2, rank=1)
    sampler.set_epoch(5)
    (request,) = sampler
    assert request.indices.tolist() == [9, 5, 4, 0]
    assert request.shifts.tolist() == [[1, 1], [2, -2], [2, -1], [-2, 1]]
    assert request.flips is None
    plain = TrainBatchSampler(range(12), 6, seed=3)
    plain.set_epoch(5)
    assert [b.tolist() for b in plain] == [[1, 2, 10, 7, 9, 5], [4, 0, 3, 6, 11, 8]]


def test_flips_are_half_and_differ_by_rank_batch_epoch_and_seed():
    def flips(**settings):
        return train(2, batch_size=1000, n=4000, flip=True, **settings)

    first, second = flips()
    assert 0.45 < torch.cat([batch.flips for batch in first + second]).float().mean() < 0.55
    for other in (first[1], second[0], flips(epoch=1)[0][0], flips(seed=1)[0][0]):
        assert not torch.equal(first[0].flips, other.flips)
    assert torch.equal(first[0].flips, flips()[0][0].flips)


def test_flips_change_neither_order_nor_shifts():
    with_flips, without = (train(2, max_shift=2, flip=flip)[1] for flip in (True, False))
    for one, other in zip(with_flips, without, strict=True):
        assert torch.equal(one.indices, other.indices)
        assert torch.equal(one.shifts, other.shifts)
    assert train(1, flip=True)[0][0].shifts is None


@pytest.mark.parametrize("n", [1, 3])
def test_ordered_ranks_without_an_image_repeat_one(n):
    ranks = ordered(5, n=n)
    assert [len(batches) for batches in ranks] == [1] * 5
    assert torch.cat([batches[0] for batches in ranks]).tolist() == [r % n for r in range(5)]


@pytest.mark.parametrize("n", [1, 3])
def test_train_ranks_share_images_where_there_are_fewer(n):
    ranks = train(5, n=n, max_shift=1)
    assert [len(batches) for batches in ranks] == [1] * 5
    assert set(torch.cat([batches[0].indices for batches in ranks]).tolist()) == set(range(n))


@pytest.mark.parametrize("n", [1, 4, 13, 37])
@pytest.mark.parametrize("batch_size", [1, 4, 100])
def test_whole_batches_are_the_same_under_any_number_of_ranks(n, batch_size):
    (alone,) = whole(1, n, batch_size)
    assert torch.cat(alone).tolist() == list(range(n))
    assert all(1 <= len(batch) <= batch_size for batch in alone)
    for world in (2, 5):
        for rank, batches in enumerate(whole(world, n, batch_size)):
            expected = alone[rank::world] or alone[:1]
            assert [batch.tolist() for batch in batches] == [b.tolist() for b in expected]


def whole(world, n, batch_size):
    samplers = [WholeBatchSampler(range(n), batch_size, world, rank) for rank in range(world)]
    assert all(len(list(sampler)) == len(sampler) for sampler in samplers)
    return [list(sampler) for sampler in samplers]


@pytest.mark.parametrize("sampler", [OrderedBatchSampler, TrainBatchSampler, WholeBatchSampler])
def test_samplers_are_what_lightning_keeps_and_refuse_nothing_at_all(sampler):
    assert isinstance(sampler(range(4), 2), DistributedSampler)
    with pytest.raises(ValueError, match="no images in this split"):
        sampler(range(0), 2)
