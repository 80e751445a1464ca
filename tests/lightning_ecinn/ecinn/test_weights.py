"""An explainer follows its classifier, however the weights are changed."""

import copy

import pytest
import torch
from test_explainer import LABELS, anchors, classifier
from torch import nn
from torch.nn.utils import parameters_to_vector, parametrize, prune, vector_to_parameters

from lightning_ecinn import Explainer
from lightning_ecinn.ecinn.inference import Inference
from lightning_ecinn.ecinn.weights import Weights


def images():
    return anchors()[LABELS].float()


def subnet(model):
    return next(m for m in model.flow.modules() if isinstance(m, nn.Sequential))


def convolution(model):
    return next(m for m in model.flow.modules() if isinstance(m, nn.Conv2d))


def scaled(model, factor=0.9):
    state = model.state_dict().items()
    return {name: v * factor if v.is_floating_point() else v.clone() for name, v in state}


def swapped_in(model):
    """As exponential moving averages are: past autograd."""
    for p in model.parameters():
        p.data.copy_(0.9 * p.data)


def assigned(model):
    for p in model.parameters():
        p.data = 0.9 * p.data


def replaced_parameter(model):
    convolution(model).weight = nn.Parameter(0.5 * convolution(model).weight.detach())


def replaced_module(model):
    layers = subnet(model)
    layers[-1] = copy.deepcopy(layers[-1])
    layers[-1].weight.data.mul_(0.5)


def replaced_flow(model):
    model.flow = copy.deepcopy(model.flow)
    model.flow.requires_grad_(False)
    next(model.flow.parameters()).mul_(2)


def optimised(model):
    model.train()
    optimizer = torch.optim.AdamW(model.parameters(), lr=1e-2)
    model.encode(images())[0].square().mean().backward()
    optimizer.step()
    model.eval()


@torch.no_grad()
def statistics_moved(model):
    model.train()
    model.encode(images())
    model.eval()


@torch.no_grad()
def one_value(model):
    convolution(model).weight.view(-1)[7] += 1


def written_by_numpy(model):
    convolution(model).weight.detach().numpy()[...] *= 0.5


def pruned(model):
    prune.l1_unstructured(convolution(model), "weight", 0.9)


class Half(nn.Module):
    def forward(self, weight):
        return weight / 2


def parametrized(model):
    parametrize.register_parametrization(convolution(model), "weight", Half())


CHANGES = [
    lambda model: model.load_state_dict(scaled(model)),
    lambda model: model.load_state_dict(scaled(model), assign=True),
    swapped_in,
    assigned,
    lambda model: vector_to_parameters(
        0.9 * parameters_to_vector(model.parameters()).detach(), model.parameters()
    ),
    replaced_parameter,
    replaced_module,
    replaced_flow,
    optimised,
    statistics_moved,
    one_value,
    written_by_numpy,
    pruned,
    parametrized,
]
NAMES = ["load", "load-assign", "swap", "assign", "vector", *(f.__name__ for f in CHANGES[5:])]


@pytest.mark.parametrize("change", CHANGES, ids=NAMES)
def test_changed_weights_give_new_answers(change):
    model = classifier()
    explainer = Explainer(model)
    before = explainer.log_prob(images())
    change(model)
    after = explainer.log_prob(images())
    assert (after - before).abs().max() > 1e-3
    torch.testing.assert_close(after, model.log_prob(images()).detach())
    assert torch.equal(after, Explainer(model).log_prob(images()))


def test_a_pruned_weight_that_is_trained_on_gives_new_answers():
    """Its product with the mask is made when the layer is called, not when it is trained."""
    model = classifier()
    pruned(model)
    explainer = Explainer(model)
    before = explainer.log_prob(images())
    with torch.no_grad():
        convolution(model).weight_orig.mul_(2)
    after = explainer.log_prob(images())
    assert (after - before).abs().max() > 1e-3
    torch.testing.assert_close(after, model.log_prob(images()).detach())


def test_a_swap_back_and_forth_gives_the_first_answers_again():
    model = classifier()
    explainer, kept = Explainer(model), [p.detach().clone() for p in model.parameters()]
    before = explainer.log_prob(images())
    swapped_in(model)
    assert not torch.equal(explainer.log_prob(images()), before)
    for p, value in zip(model.parameters(), kept, strict=True):
        p.data.copy_(value)
    assert torch.equal(explainer.log_prob(images()), before)


def test_one_value_past_autograd_needs_a_word():
    model = classifier(widths=(24,))
    weight = max(model.flow.parameters(), key=lambda p: p.numel()).data.view(-1)
    explainer = Explainer(model)
    before = explainer.log_prob(images())
    weight[1] += 5
    assert torch.equal(explainer.log_prob(images()), before), "all values are looked at: say so"
    explainer.refresh()
    assert not torch.equal(explainer.log_prob(images()), before)


def test_any_8th_of_a_tensor_in_a_row_is_noticed():
    layer = nn.Linear(96, 70)
    part = layer.weight.numel() // 8
    for start in range(0, layer.weight.numel() - part + 1, 97):
        weights = Weights(layer)
        layer.weight.data.view(-1)[start : start + part] += 1
        assert not weights.unchanged(), start
        assert Weights(layer).unchanged()


def test_weights_in_any_layout_and_type_are_looked_at():
    module = nn.Module()
    module.a = nn.Parameter(torch.randn(6, 5, 4, 4).to(memory_format=torch.channels_last))
    module.b = nn.Parameter(torch.randn(9, 8)[::2, 1:])
    module.register_buffer("c", torch.zeros(()).expand(7))
    module.register_buffer("d", torch.full((3,), torch.nan, dtype=torch.float64))
    module.register_buffer("e", torch.zeros(5, dtype=torch.bool))
    module.register_buffer("f", torch.zeros(0))
    module.register_buffer("g", None)
    weights = Weights(module)
    assert weights.unchanged()
    for change in (
        lambda: module.a.data.mul_(2),
        lambda: module.b.data.mul_(2),
        lambda: module.e.data.logical_not_(),
        lambda: setattr(module, "g", torch.zeros(1)),
        lambda: module.double(),
    ):
        weights = Weights(module)
        change()
        assert not weights.unchanged()


def test_precision_is_checked_again_after_a_cast():
    model = classifier(blocks=(6,), init_scale=0.02).double()
    explainer = Explainer(model)
    explainer.explain(images(), 1, undefined="keep")
    model.float()
    with pytest.warns(UserWarning, match="use dtype=torch.float64"):
        explainer.explain(images(), 1, undefined="keep")


def test_weights_that_nothing_can_be_computed_with_are_refused():
    model = classifier()
    inference = Inference(model)
    model.flow.half()
    with pytest.raises(ValueError, match=r"are torch\.float16 on cpu and torch\.float32 on cpu:"):
        inference.session()
    model.half()
    with pytest.raises(ValueError, match=r"can't be computed in torch\.float16"):
        inference.session()
    model.float()
    inference.session()
    convolution(model).weight.data.view(-1)[0] = torch.nan
    inference.refresh()
    with pytest.raises(ValueError, match=r"weights flow.*weight are not finite"):
        inference.session()
