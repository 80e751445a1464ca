"""What property tests share: strategies, and what must come of any input."""

import math
import re
import warnings
from collections.abc import Iterable
from dataclasses import fields, is_dataclass

import torch
from hypothesis import strategies as st

ODD_NUMBERS = [0.0, 1.0, -1.0, 0.5, 1e-45, 1e38, -1e38, 255.0, math.nan, math.inf, -math.inf]
JUNK = [None, "3", "bee", [], {}, object(), 1 + 2j, 10**30, float("nan"), b"x", [[1], [1, 2]]]


def finite_or_one_sentence(call, also=()):
    """The result of the call, finite; None where it raised a ValueError of one sentence.

    Nothing else may happen: no other error, no warning.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            result = call()
        except (ValueError, *also) as error:
            one_sentence(error)
            return None
    assert_finite(result)
    return result


def one_sentence(error):
    text = str(error)
    assert text.endswith((".", ")", "]")), text
    assert "\n" not in text, text
    assert not re.search(r"[a-z]\. [A-Z]", text), text
    assert 10 < len(text) < 500, text


def assert_finite(value):
    if isinstance(value, torch.Tensor):
        assert value.isfinite().all(), value
    elif isinstance(value, float):
        assert math.isfinite(value)
    elif is_dataclass(value):
        for field in fields(value):
            if not field.name.startswith("_"):
                assert_finite(getattr(value, field.name))
    elif isinstance(value, Iterable) and not isinstance(value, str):
        for part in value.values() if isinstance(value, dict) else value:
            assert_finite(part)


def laid_out(tensor, layout):
    """The same values as another kind of tensor, in another order in memory."""
    if layout == "channels_last" and tensor.ndim == 4:
        return tensor.to(memory_format=torch.channels_last)
    if layout == "every other":
        return torch.stack((tensor, tensor), -1)[..., 0]
    if layout == "transposed" and tensor.ndim > 1:
        return tensor.transpose(0, -1).contiguous().transpose(0, -1)
    if layout == "expanded" and tensor.ndim and len(tensor):
        return tensor[:1].expand_as(tensor)
    if layout == "requires_grad" and tensor.is_floating_point():
        return tensor.clone().requires_grad_()
    if layout == "inference":
        with torch.inference_mode():
            return tensor.clone()
    return tensor


layouts = st.sampled_from(
    [
        "plain",
        "channels_last",
        "every other",
        "transposed",
        "expanded",
        "requires_grad",
        "inference",
    ]
)
dtypes = st.sampled_from([torch.float32, torch.float64, torch.float16, torch.bfloat16])


@st.composite
def pictures(draw, shape, counts=(1, 2, 3)):
    """Legal pictures (B, *shape): black, white, noise, one pixel set; uint8 or float."""
    shape = (draw(st.sampled_from(counts)), *shape)
    kind = draw(st.sampled_from(["black", "white", "noise", "pixel", "grey"]))
    made = torch.zeros(shape)
    if kind == "noise":
        made = torch.rand(shape, generator=torch.manual_seed(draw(st.integers(0, 9999))))
    elif kind == "pixel":
        made.view(-1)[draw(st.integers(0, made.numel() - 1))] = 1
    elif kind != "black":
        made += 1 if kind == "white" else draw(st.floats(0, 1, width=32))
    dtype = draw(st.sampled_from([torch.uint8, torch.float16, torch.float32, torch.float64]))
    made = (255 * made).to(torch.uint8) if dtype == torch.uint8 else made.to(dtype)
    return laid_out(made, draw(layouts))


@st.composite
def anything(draw, shape):
    """What may be given for pictures of a shape: legal ones, wrong ones, no pictures."""
    kind = draw(st.sampled_from(["legal", "values", "shape", "dtype", "junk"]))
    if kind == "legal":
        return draw(pictures(shape))
    if kind == "junk":
        return draw(st.sampled_from([*JUNK, torch.zeros(2, *shape).numpy()]))
    wrong = draw(st.lists(st.integers(0, 3), max_size=5)) if kind == "shape" else (2, *shape)
    made = torch.zeros(wrong)
    if kind == "values" and made.numel():
        place = draw(st.integers(0, made.numel() - 1))
        made.view(-1)[place] = draw(st.sampled_from(ODD_NUMBERS))
    if kind == "dtype":
        others = [torch.int64, torch.bool, torch.complex64, torch.int8, torch.float8_e4m3fn]
        strange = [torch.empty(wrong, device="meta"), made.to_sparse()]
        made = draw(st.sampled_from([*(made.to(dtype) for dtype in others), *strange]))
    return made


@st.composite
def numbers(draw, shape, odd=True):
    """A float tensor of a shape with values from tiny to huge, perhaps some that are not finite."""
    scale = draw(st.sampled_from([0.0, 1e-40, 1e-3, 1.0, 100.0, 1e30, 1e38]))
    made = scale * torch.randn(shape, generator=torch.manual_seed(draw(st.integers(0, 9999))))
    if odd and made.numel() and draw(st.booleans()):
        place = draw(st.integers(0, made.numel() - 1))
        made.view(-1)[place] = draw(st.sampled_from(ODD_NUMBERS))
    return laid_out(made.to(draw(dtypes)), draw(layouts))


@st.composite
def shapes_like(draw, shape):
    """A shape, mostly this one."""
    if draw(st.integers(0, 3)):
        return tuple(shape)
    return tuple(draw(st.lists(st.integers(0, 3), max_size=5)))


def classes(num_classes, count):
    """What may be given for classes, right or wrong."""
    tensors = st.builds(
        lambda values, dtype, layout: laid_out(torch.tensor(values).to(dtype), layout),
        st.lists(st.integers(-1, num_classes), min_size=count, max_size=count),
        st.sampled_from([torch.int64, torch.int32, torch.uint8, torch.float32, torch.bool]),
        layouts,
    )
    several = st.integers(0, 3).map(lambda t: torch.ones(count, t, dtype=torch.long))
    right = st.lists(st.integers(0, num_classes - 1), min_size=count, max_size=count)
    return st.one_of(
        st.integers(-1, num_classes), right, right.map(torch.tensor), tensors, several,
        st.sampled_from(JUNK),
    )  # fmt: skip
