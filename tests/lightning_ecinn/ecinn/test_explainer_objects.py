"""What is done with an explainer beside explaining: sent, copied, shared by threads."""

import copy
import io
import multiprocessing
import os
import pickle
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from test_explainer import LABELS, anchors, classifier

from lightning_ecinn import Explainer, attribute
from lightning_ecinn.ecinn.locks import lock_of


def images():
    return anchors()[LABELS].float()


def through_torch(explainer):
    file = io.BytesIO()
    torch.save(explainer, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


@pytest.fixture(params=[False, True], ids=["unused", "used"])
def explainer(request):
    explainer = Explainer(classifier())
    if request.param:
        explainer.explain(images(), 1)
        attribute(explainer, images(), 1, method="deep_lift")
    return explainer


@pytest.mark.parametrize(
    "again",
    [
        copy.copy,
        copy.deepcopy,
        lambda explainer: pickle.loads(pickle.dumps(explainer)),
        through_torch,
    ],
    ids=["copy", "deepcopy", "pickle", "torch.save"],
)
def test_copies_explain(explainer, again):
    other = again(explainer)
    cf, expected = (e.explain(images(), 1) for e in (other, explainer))
    assert torch.equal(cf.image, expected.image)
    assert torch.equal(cf.certificate.holds, expected.certificate.holds)


def _explained(explainer):
    torch.set_num_threads(1)
    return explainer.explain(images(), 1).image.numpy()


def _send_back(explainer, pipe):
    pipe.send(_explained(explainer))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
def test_a_fork_explains(explainer):
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    with lock_of(explainer.inference):  # held by a thread that the child does not have
        process = context.Process(target=_send_back, args=(explainer, theirs))
        process.start()
    assert ours.poll(60)
    assert (ours.recv() == _explained(explainer)).all()
    process.join()


def test_counterfactuals_can_be_copied_with_their_certificate():
    cf = Explainer(classifier()).explain(images(), 1)
    for other in (copy.copy(cf), copy.deepcopy(cf)):
        assert torch.equal(other.certificate.holds, cf.certificate.holds)


def test_later_changes_of_what_was_given_change_no_counterfactual():
    given, target = images(), torch.ones(len(LABELS), dtype=torch.long)
    cf = Explainer(classifier()).explain(given, target)
    holds = Explainer(classifier()).explain(images(), 1).certificate.holds
    given.zero_()
    target.zero_()
    assert torch.equal(cf.input, images())
    assert (cf.target == 1).all()
    assert torch.equal(cf.certificate.holds, holds)


def at_once(*tasks):
    """What the tasks give, begun together."""
    barrier = threading.Barrier(len(tasks))

    def run(task):
        barrier.wait()
        return task()

    with ThreadPoolExecutor(len(tasks)) as pool:
        return list(pool.map(run, tasks))


def test_threads_explain_with_what_one_of_them_folded(explainer):
    found = at_once(*[lambda: explainer.explain(images(), 1)] * 6)
    assert len({id(cf._certify.args[1]) for cf in found}) == 1
    expected = Explainer(classifier()).explain(images(), 1)
    for cf in found:
        assert torch.equal(cf.image, expected.image)
        assert cf.certificate.holds.shape == (7,)


@pytest.mark.parametrize("training", [False, True])
@pytest.mark.parametrize("method", ["deep_lift", "saliency", "ecinnh"])
def test_threads_attribute_and_explain(method, training):
    model = classifier()
    explainer = Explainer(model)
    expected = attribute(explainer, images(), 1, method=method).values
    pictures = explainer.explain(images(), 1).image
    explainer.refresh()  # folded while others hook modules
    model.train(training)
    next(model.parameters()).requires_grad_(False)
    flags = [p.requires_grad for p in model.parameters()]
    heat = [lambda: attribute(explainer, images(), 1, method=method).values] * 3
    *heatmaps, cf = at_once(*heat, lambda: explainer.explain(images(), 1))
    for values in heatmaps:
        torch.testing.assert_close(values, expected)
    assert torch.equal(cf.image, pictures)
    assert all(module.training == training for module in model.modules())
    assert [p.requires_grad for p in model.parameters()] == flags


def test_deep_lift_hooks_nothing_that_others_use():
    model = classifier()
    seen = []

    def look(module, inputs):
        seen.extend(m for m in model.modules() if m._forward_pre_hooks or m._forward_hooks)

    handle = model.mixture.register_forward_pre_hook(look)
    relu = next(m for m in model.modules() if isinstance(m, torch.nn.ReLU))
    spy = relu.register_forward_hook(lambda *_: seen.append(len(relu._forward_pre_hooks)))
    attribute(model, images(), 1, method="deep_lift")
    spy.remove()
    handle.remove()
    assert seen
    assert not any(seen)
    assert not any("input" in vars(m) or m._forward_pre_hooks for m in model.modules())


def test_what_can_not_be_copied_is_said():
    model = torch.nn.Sequential(torch.nn.Flatten(), torch.nn.Linear(16, 3))
    model.lock = threading.Lock()
    with pytest.raises(ValueError, match="DeepLift works on a copy of the model, and this one"):
        attribute(model, images(), 1, method="deep_lift")
