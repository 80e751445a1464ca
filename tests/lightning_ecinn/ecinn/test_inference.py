"""A classifier at work, without an explainer: folding, chunks, changes, precision."""

import pickle
import warnings

import pytest
import torch
from test_explainer import LABELS, K, anchors, classifier

from lightning_ecinn import Explainer
from lightning_ecinn.ecinn.inference import Inference

pytestmark = pytest.mark.usefixtures("_no_gradients")


@pytest.fixture
def _no_gradients():
    with torch.no_grad():
        yield


@pytest.fixture
def model():
    return classifier().double()


@pytest.fixture
def images():
    return anchors()[LABELS]


def test_does_what_the_classifier_does(model, images):
    session = Inference(model.train()).session()
    assert not model.training
    z, log_det = session.encode(images)
    expected_z, expected_log_det = model.encode(images)
    torch.testing.assert_close(z, expected_z)
    torch.testing.assert_close(log_det, expected_log_det)
    torch.testing.assert_close(session.latents(images), expected_z)
    torch.testing.assert_close(session.decode(z), model.decode(z))
    far = session.decode(100 * z, clamp=False)
    assert far.min() < 0
    assert torch.equal(session.decode(100 * z), far.clamp(0, 1))


@pytest.mark.parametrize("chunk_size", [1, 3, 7])
def test_chunks_equal_no_chunks(model, images, chunk_size):
    whole, chunked = Inference(model).session(), Inference(model, chunk_size).session()
    sizes = []
    chunked.network.flow.register_forward_pre_hook(lambda _, args: sizes.append(len(args[0])))
    z, _ = whole.encode(images)
    for given, expected in zip(chunked.encode(images), whole.encode(images), strict=True):
        torch.testing.assert_close(given, expected)
    torch.testing.assert_close(chunked.latents(images), z)
    torch.testing.assert_close(chunked.decode(z), whole.decode(z))
    torch.testing.assert_close(chunked.sample(LABELS, 0.0), whole.sample(LABELS, 0.0))
    assert max(sizes) == chunk_size
    assert sum(sizes) == 4 * 7


def test_another_chunk_size_shares_what_is_folded(model):
    inference = Inference(model)
    session = inference.session()
    other = inference.in_chunks_of(3).session()
    assert (session.chunk_size, other.chunk_size) == (256, 3)
    assert inference.chunk_size == 256
    assert other.network is session.network
    with pytest.raises(ValueError, match="chunk_size must be at least 1, got 0"):
        inference.in_chunks_of(0)


def test_folds_once_and_anew_after_a_change_in_place(model, images):
    inference = Inference(model)
    first, again = inference.session(), inference.session()
    assert again.network is first.network
    assert again.state == first.state
    before = first.latents(images)
    next(model.flow.parameters()).mul_(1.1)
    second = inference.session()
    assert second.network is not first.network
    assert second.state != first.state
    torch.testing.assert_close(second.latents(images), model.encode(images)[0])
    assert not torch.allclose(second.latents(images), before)
    assert torch.equal(first.latents(images), before), "a session keeps its weights"
    model.float()
    third = inference.session()
    assert third.network is not second.network
    assert inference.dtype == third.latents(images.float()).dtype == torch.float32


@pytest.mark.parametrize("training", [False, True])
def test_leaves_the_mode_of_the_classifier_alone(model, images, training):
    inference = Inference(model)
    model.train(training)
    inference.session().latents(images)
    assert all(module.training == training for module in model.modules())


def test_a_change_of_the_means_is_a_change_of_state(model):
    """They are not folded, but certificates depend on them."""
    inference = Inference(model)
    state = inference.session().state
    model.mixture.component_means.mul_(1.01)
    assert inference.session().state != state


def test_warns_once_where_the_precision_does_not_suffice(images):
    inference = Inference(classifier(blocks=(6,), init_scale=0.02))
    session, images = inference.session(), images.float()
    z = session.latents(images)
    with pytest.warns(UserWarning, match=r"in torch.float32.*use dtype=torch.float64") as caught:
        inference.check_precision(session, images, z)
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inference.check_precision(session, images, z)


def test_does_not_warn_where_it_suffices(model, images):
    inference = Inference(model)
    session = inference.session()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        inference.check_precision(session, images, session.latents(images))


def test_samples_are_of_their_classes(model):
    labels = torch.arange(K)
    session = Inference(model).session()
    cold = session.sample(labels, 0.0)
    torch.testing.assert_close(cold, model.decode(model.mixture.component_means))
    torch.manual_seed(0)
    assert not torch.equal(session.sample(labels, 1.0), cold)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_refused(dtype):
    with pytest.raises(ValueError, match=r"can't be computed in .*: give torch\.float32 or"):
        Explainer.from_checkpoint("pretrained:mnist_small", dtype=dtype)


def test_an_explainer_can_be_sent_after_it_was_used():
    explainer = Explainer.from_checkpoint("pretrained:mnist_small")
    images = torch.rand(2, 1, 28, 28)
    before = explainer.explain(images, 3).image
    sent = pickle.loads(pickle.dumps(explainer))
    assert torch.equal(sent.explain(images, 3).image, before)
