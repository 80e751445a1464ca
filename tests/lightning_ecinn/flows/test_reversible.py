"""Reversible training: the gradients of ordinary training without its memory."""

import copy

import pytest
import pytorch_lightning as pl
import torch
import torch.distributed as dist
import torch.nn.functional as F
from FrEIA.framework import SequenceINN
from torch import nn
from torch.autograd.graph import saved_tensors_hooks
from torch.nn.parallel import DistributedDataParallel

from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.flows import CouplingBlock, ib_inn
from lightning_ecinn.flows.reversible import reversible
from lightning_ecinn.training import IBINN

GREY, COLOUR = (1, 8, 8), (3, 16, 16)
NETWORKS = {
    "grey": (GREY, {"blocks": (9, 4), "widths": (6, 8), "dropouts": (0.2, 0.3)}),
    "colour": (COLOUR, {"blocks": (2, 3, 2), "widths": (4, 6, 6), "dropouts": (0.2, 0, 0.3)}),
    "no coupling": (GREY, {"blocks": (0,), "widths": (1,), "dropouts": (0,)}),
    "48 blocks": (GREY, {"blocks": (24, 24), "widths": (6, 8), "dropouts": (0, 0.25)}),
}


def ordinary(flow, v):
    return flow(v)


def build(name="grey", dtype=torch.float64, **changes):
    torch.manual_seed(0)
    shape, settings = NETWORKS[name]
    flow = ib_inn(shape, **{"fc_width": 16, **settings, **changes}).to(dtype)
    return flow, torch.randn(6, *shape, dtype=dtype)


def loss(z, log_det):
    return z.square().sum() / 2 + (torch.arange(len(z)) * log_det).sum()


def step(compute, flow, v):
    """A copy of the flow after a backward pass, the input, z and log_det."""
    flow, v = copy.deepcopy(flow), v.clone().requires_grad_()
    torch.manual_seed(1)
    z, log_det = compute(flow, v)
    loss(z, log_det).backward()
    return flow, v, z, log_det


def gradients(flow, v):
    return [v.grad, *(parameter.grad for parameter in flow.parameters())]


def difference(found, expected):
    """The largest difference between gradients, relative to the largest gradient."""
    assert [g is None for g in found] == [g is None for g in expected]
    pairs = [(a, b) for a, b in zip(found, expected, strict=True) if b is not None]
    apart = max((a - b).abs().max() for a, b in pairs)
    return (apart / max(b.abs().max() for _, b in pairs)).item()


def compare(flow, v):
    """Difference of gradients; all else must be the same to the last bit."""
    expected, v0, *values0 = step(ordinary, flow, v)
    random = torch.rand(3)
    found, v1, *values1 = step(reversible, flow, v)
    assert torch.equal(torch.rand(3), random), "the global generator goes on differently"
    assert all(map(torch.equal, values1, values0))
    assert all(map(torch.equal, found.buffers(), expected.buffers()))
    return difference(gradients(found, v1), gradients(expected, v0))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", NETWORKS)
def test_gradients_and_statistics(name, training):
    flow, v = build(name)
    assert compare(flow.train(training), v) < 1e-10


def test_batch_norm_counts_once():
    flow, v = build()
    counts = [b for key, b in flow.named_buffers() if key.endswith("num_batches_tracked")]
    found, *_ = step(reversible, flow, v)
    counts = [b for key, b in found.named_buffers() if key.endswith("num_batches_tracked")]
    assert len(counts) > 20
    assert all(count == 1 for count in counts)
    norms = [layer for layer in found.modules() if isinstance(layer, nn.BatchNorm2d)]
    assert all(layer.track_running_stats for layer in norms)


def test_rounding_in_float32_stays_small():
    """Without exact features every few blocks, the error would be as large as the gradients."""
    flow, v = build("48 blocks", dtype=torch.float32)
    assert compare(flow, v) < 1e-3


def test_channels_last():
    flow, v = build("colour")
    flow = flow.to(memory_format=torch.channels_last)
    assert compare(flow, v.contiguous(memory_format=torch.channels_last)) < 1e-10


def test_autocast():
    flow, v = build("colour", dtype=torch.float32)

    def within(compute):
        """The forward pass alone under autocast, as trainers do it."""

        def computed(flow, v):
            with torch.autocast("cpu", dtype=torch.bfloat16):
                return compute(flow, v)

        return computed

    expected, v0, z0, _ = step(within(ordinary), flow, v)
    found, v1, z1, _ = step(within(reversible), flow, v)
    assert torch.equal(z1, z0)
    assert not torch.equal(z1, step(ordinary, flow, v)[2])
    assert difference(gradients(found, v1), gradients(expected, v0)) < 1e-6
    with torch.autocast("cpu", dtype=torch.bfloat16):  # and the backward pass as well
        assert compare(flow, v) < 1e-6


def test_frozen_parameters():
    flow, v = build()
    flow[1].requires_grad_(False)
    for block in flow[2:6]:
        block.subnet.requires_grad_(False)
        block.offset.requires_grad_(False)
    assert compare(flow, v) < 1e-10


def test_input_without_gradient():
    flow, v = build()
    reversible(flow, v)[0].sum().backward()
    assert v.grad is None
    assert flow[1].offset.grad is not None


class Noisy(nn.Module):
    """A subnet that knows no layers: random by itself, with a parameter it doesn't use."""

    def __init__(self, in_channels, out_channels):
        super().__init__()
        self.weight = nn.Parameter(0.1 * torch.randn(out_channels, in_channels, 1, 1))
        self.unused = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        return F.dropout(F.conv2d(x.tanh(), self.weight), 0.4, self.training)


def test_any_subnet():
    torch.manual_seed(0)
    flow = SequenceINN(4, 5, 5)
    for _ in range(10):
        flow.append(CouplingBlock, subnet=Noisy)
    flow = flow.double()
    v = torch.randn(3, 4, 5, 5, dtype=torch.float64)
    assert compare(flow, v) < 1e-10
    assert step(reversible, flow, v)[0][0].subnet.unused.grad is None


def test_backward_twice():
    flow, v = build()
    torch.manual_seed(1)
    total = loss(*reversible(flow, v))
    trained = [parameter for parameter in flow.parameters() if parameter.requires_grad]
    once = torch.autograd.grad(total, trained, retain_graph=True)
    twice = torch.autograd.grad(total, trained)
    assert all(map(torch.equal, once, twice))


def test_second_derivatives_are_refused():
    flow, v = build()
    v.requires_grad_()
    (first,) = torch.autograd.grad(loss(*reversible(flow, v)), v, create_graph=True)
    with pytest.raises(RuntimeError, match="once_differentiable"):
        first.sum().backward()


def test_changed_parameters_are_refused():
    flow, v = build()
    total = loss(*reversible(flow, v))
    with torch.no_grad():
        flow[3].offset.add_(1)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        total.backward()


def test_without_gradients_it_is_the_flow():
    flow, v = build()
    with torch.no_grad():
        z, log_det = reversible(flow.eval(), v)
    assert torch.equal(z, flow(v)[0])
    assert torch.equal(log_det, flow(v)[1])
    assert not z.requires_grad


def kept(compute, blocks):
    """Bytes that a forward pass keeps, parameters apart."""
    flow, v = build(blocks=(blocks,), widths=(8,), dropouts=(0.2,), fc_blocks=0)
    ours = {parameter.data_ptr() for parameter in flow.parameters()}
    sizes = {}

    def pack(tensor):
        if tensor.data_ptr() not in ours:
            storage = tensor.untyped_storage()
            sizes[storage.data_ptr()] = storage.nbytes()
        return tensor

    with saved_tensors_hooks(pack, lambda tensor: tensor):
        out = compute(flow, v)
    assert out[0].requires_grad
    return sum(sizes.values()), v.nbytes


def test_memory_is_flat_in_depth():
    (few, features), (many, _) = kept(reversible, 8), kept(reversible, 24)
    assert many - few == 2 * features  # the feature map after every 8th block
    assert kept(ordinary, 24)[0] - kept(ordinary, 8)[0] > 16 * 5 * features


def test_subnets_are_evaluated_once_more():
    flow, v = build("colour")
    calls = []
    for block in flow:
        for name, child in block.named_children():
            if name.startswith("subnet") and "GLOW" not in type(block).__name__:
                child.register_forward_hook(lambda *_: calls.append(torch.is_grad_enabled()))
    loss(*reversible(flow, v)).backward()
    count = 2 + 3 + 2 + 2 * 2  # blocks of three stages, and two subnets in each of two between
    assert calls == count * [False] + count * [True]


class Data(InMemoryDataModule):
    """Noise in two classes."""

    def __init__(self):
        super().__init__(GREY, ["a", "b"], val_size=4, batch_size=10)

    def load(self, train):
        generator = torch.Generator().manual_seed(0)
        return torch.randint(0, 256, (24, *GREY), generator=generator).byte(), torch.arange(24) % 2


def fitted(folder, **settings):
    torch.manual_seed(0)
    network = {"blocks": [3, 2], "widths": [6, 8], "dropouts": [0.2, 0.3], "fc_width": 16}
    module = IBINN(GREY, 2, **network, lr=0.01, **settings)
    trainer = pl.Trainer(
        accelerator="cpu",
        precision="64-true",
        max_epochs=2,
        gradient_clip_val=1.0,
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=folder,
    )
    trainer.fit(module, Data())
    assert trainer.global_step == 4
    return module.state_dict()


def test_fit_gives_the_same_weights(tmp_path):
    expected, found = fitted(tmp_path), fitted(tmp_path, reversible=True)
    assert found.keys() == expected.keys()
    for key, weights in expected.items():
        torch.testing.assert_close(found[key], weights, rtol=0, atol=1e-10, msg=key)


def test_compile_and_reversible_are_refused_together():
    with pytest.raises(ValueError, match="compile and reversible"):
        IBINN(GREY, 2, compile=True, reversible=True)


class Computed(nn.Module):
    """What DistributedDataParallel calls."""

    def __init__(self, compute, flow):
        super().__init__()
        self.compute, self.flow = compute, flow

    def forward(self, v):
        return self.compute(self.flow, v)


def one_of_two(rank, meeting):
    """Gradients of both kinds in one process, its batch another than that of the other."""
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=f"file://{meeting}", rank=rank, world_size=2)
    flow, v = build()
    v = (rank + 1) * v
    found = []
    for compute in (ordinary, reversible):
        wrapped = DistributedDataParallel(Computed(compute, copy.deepcopy(flow)))
        torch.manual_seed(1)
        loss(*wrapped(v)).backward()
        found.append([parameter.grad for parameter in wrapped.parameters()])
    assert difference(found[1], found[0]) < 1e-10
    alone = gradients(*step(reversible, flow, v)[:2])[1:]
    assert difference(found[1], alone) > 1e-3, "gradients of the other process"
    dist.destroy_process_group()


@pytest.mark.slow
def test_two_processes(tmp_path):
    torch.multiprocessing.spawn(one_of_two, (str(tmp_path / "meeting"),), nprocs=2)
