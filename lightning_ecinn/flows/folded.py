"""A flow made ready for inference: the same function in fewer and cheaper steps."""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import TypeGuard

import torch
from FrEIA.framework import SequenceINN
from torch import Tensor, nn
from torch.nn.utils.fusion import fuse_conv_bn_weights

from lightning_ecinn.flows.blocks import CouplingBlock, DownsamplingCoupling
from lightning_ecinn.flows.coupling import LogDet, affine_, coupling, downsampling, pointwise
from lightning_ecinn.flows.fixed_matrix import without_autocast

__all__ = ["FoldedFlow"]


class FoldedFlow(nn.Module):
    """The flow in evaluation mode, batch norm folded into the convolutions before it.

    For inference only: no gradients reach the flow, and later changes of its weights are not
    seen. What is folded is folded in double precision and then rounded once.

    Args:
        flow: as `ib_inn` builds it; other modules in it are used as they are.

    Example:
        >>> from lightning_ecinn.flows import ib_inn
        >>> flow = ib_inn((1, 8, 8), blocks=[2], widths=[4], dropouts=[0], fc_blocks=0).eval()
        >>> v = torch.rand(2, 1, 8, 8)
        >>> torch.allclose(FoldedFlow(flow)(v)[0], flow(v)[0], atol=1e-4)
        True
    """

    def __init__(self, flow: SequenceINN):
        super().__init__()
        with torch.no_grad(), torch.autocast(_device(flow).type, enabled=False):
            self._steps = [_folded(module) for module in flow.module_list]

    def forward(
        self, x: Tensor, rev: bool = False, jac: bool = True
    ) -> tuple[Tensor, Tensor | None]:
        """Latents (B, D) and log_det (B,) in nats of flow inputs x (B, C, H, W); or back.

        Without ``jac`` the log-determinant is left out (None), which is faster.
        """
        with torch.inference_mode(), without_autocast(x), _full_precision(x.device):
            x, log_det = self.through(x, rev, jac)
        # Copies of what inference mode made are ordinary tensors again.
        return x.clone(), torch.as_tensor(log_det).to(x).expand(len(x)).clone() if jac else None

    def through(self, x: Tensor, rev: bool = False, jac: bool = True) -> Output:
        """The same steps alone, in whatever mode the caller is, as torch.export records them.

        The log-determinant is (B,), or a number where it is the same for all; 0 without ``jac``.
        """
        log_det: LogDet = 0.0
        for step in reversed(self._steps) if rev else self._steps:
            x, part = step(x, rev, jac)
            log_det = log_det + part
        return x, log_det


@contextmanager
def _full_precision(device: torch.device) -> Iterator[None]:
    """On CUDA no convolution rounds float32 to 10 bits (TF32), as it does by default.

    The inverse meets numbers that differ in the last bit from those of the forward pass; rounded
    so, some would be 1e-3 apart, and so would the pictures.
    """
    if device.type != "cuda":
        yield
        return
    allowed = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = allowed


def _device(module: nn.Module) -> torch.device:
    return next((p.device for p in module.parameters()), torch.device("cpu"))


Output = tuple[Tensor, LogDet]
Step = Callable[[Tensor, bool, bool], Output]
Layer = Callable[[Tensor], Tensor]


def _folded(module: nn.Module) -> Step:
    if isinstance(module, CouplingBlock):
        return _folded_coupling(module)
    if isinstance(module, DownsamplingCoupling):
        return _folded_downsampling(module)
    module = _copied(module)

    def as_it_is(x: Tensor, rev: bool, jac: bool) -> Output:
        (y,), log_det = module((x,), rev=rev)
        return y, log_det

    return as_it_is


def _folded_coupling(block: CouplingBlock) -> Step:
    subnet, splits = _Subnet(block.subnet, block.slope), block.splits
    affine = partial(affine_, clamp=block.clamp)
    mixes = [block.mixing(rev).folded() for rev in (False, True)]

    def step(x: Tensor, rev: bool, jac: bool) -> Output:
        return coupling(x if rev else x.clone(), subnet, splits, affine, mixes[rev], jac)

    return step


def _folded_downsampling(block: DownsamplingCoupling) -> Step:
    high, low = (_Subnet(subnet, block.slope) for subnet in block.subnets)
    splits, affine = block.splits, partial(affine_, clamp=block.clamp)

    def step(x: Tensor, rev: bool, jac: bool) -> Output:
        return downsampling(x.clone() if rev else x, (high, low), splits, affine, rev, jac)

    return step


class _Subnet:
    """A subnet in evaluation mode, its first outputs, the scales, multiplied by `slope`.

    A chain of layers is folded; any other module is used as it is.
    """

    def __init__(self, subnet: nn.Module, slope: float):
        subnet = _copied(subnet)
        chain = list(subnet) if isinstance(subnet, nn.Sequential) else []
        self.slope, self.layers = slope, _folded_layers(chain, slope)
        self.whole = None if self.layers else subnet

    def __call__(self, x: Tensor) -> Tensor:
        if self.whole is not None:
            a_scale, translation = self.whole(x).chunk(2, dim=1)
            return torch.cat((self.slope * a_scale, translation), dim=1)
        for layer in self.layers:
            x = layer(x)
        return x


def _folded_layers(layers: list[nn.Module], slope: float) -> list[Layer]:
    """Layers without dropout, batch norm folded into the convolution before it.

    None at all unless the last layer is a convolution, which `slope` is folded into, and none
    where a hook changes what a layer does, as pruning does.
    """
    if any(layer._forward_pre_hooks or layer._forward_hooks for layer in layers):
        return []
    layers = [layer for layer in layers if not isinstance(layer, nn.Dropout | nn.Dropout2d)]
    if not layers or not isinstance(layers[-1], nn.Conv2d):
        return []
    folded: list[Layer] = []
    before: nn.Module | None = None
    for layer, after in zip(layers, [*layers[1:], None], strict=True):
        if isinstance(layer, nn.Conv2d):
            norm = after if _has_statistics(after) else None
            folded.append(_convolution(layer, norm, slope if after is None else 1.0))
        elif isinstance(layer, nn.ReLU):
            ours = isinstance(before, nn.Conv2d | nn.BatchNorm2d)  # not what the caller keeps
            folded.append(torch.relu_ if ours else torch.relu)
        elif not (isinstance(before, nn.Conv2d) and _has_statistics(layer)):
            folded.append(layer)
        before = layer
    return folded


def _copied(module: nn.Module) -> nn.Module:
    """A copy in evaluation mode, also of modules with computed weights, as pruning leaves them."""
    things = [thing for part in module.modules() for thing in vars(part).values()]
    computed = [t for t in things if isinstance(t, Tensor) and not t.is_leaf]
    return copy.deepcopy(module, {id(t): t.detach().clone() for t in computed}).eval()


def _has_statistics(layer: nn.Module | None) -> TypeGuard[nn.BatchNorm2d]:
    return isinstance(layer, nn.BatchNorm2d) and layer.running_mean is not None


def _convolution(layer: nn.Conv2d, norm: nn.BatchNorm2d | None, slope: float) -> Layer:
    """A convolution with what follows it; the first half of its outputs is scaled by `slope`.

    In double precision, rounded once.
    """
    weight, bias = layer.weight.double(), _double(layer.bias)
    if norm is not None:
        assert norm.running_mean is not None
        assert norm.running_var is not None
        weight, bias = fuse_conv_bn_weights(
            weight,
            bias,
            norm.running_mean.double(),
            norm.running_var.double(),
            norm.eps,
            _double(norm.weight),
            _double(norm.bias),
        )
    bias = weight.new_zeros(len(weight)) if bias is None else bias
    if slope != 1:
        half = len(weight) // 2
        factor = torch.cat((bias.new_full((half,), slope), bias.new_ones(len(weight) - half)))
        weight, bias = weight * factor.view(-1, 1, 1, 1), bias * factor
    weight, bias = (value.detach().to(layer.weight.dtype) for value in (weight, bias))
    if _is_pointwise(layer):
        return partial(pointwise, weight.flatten(1), bias=bias.view(1, -1, 1, 1))
    if weight.device.type == "cpu":  # faster there, whatever the layout of the pictures
        weight = weight.contiguous(memory_format=torch.channels_last)
    if layer.padding_mode != "zeros":
        return partial(layer._conv_forward, weight=weight, bias=bias)
    settings = {key: getattr(layer, key) for key in ("stride", "padding", "dilation", "groups")}
    return partial(torch.conv2d, weight=weight, bias=bias, **settings)


def _double(value: Tensor | None) -> Tensor | None:
    return None if value is None else value.double()


def _is_pointwise(layer: nn.Conv2d) -> bool:
    return (
        layer.kernel_size == layer.stride == (1, 1)
        and layer.padding in ((0, 0), "valid", "same")
        and layer.groups == 1
    )
