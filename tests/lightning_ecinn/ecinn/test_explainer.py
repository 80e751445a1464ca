"""The public face, on a small classifier whose class means lie where a trained one's do."""

import copy
import itertools
import math
import re
import warnings

import pytest
import small_flow
import torch
from small_flow import anchors

from lightning_ecinn import Counterfactual, Explainer, GenerativeClassifier
from lightning_ecinn.ecinn.steps import supplement_step
from lightning_ecinn.training.losses import bits_per_dim

K, SHAPE, D = 3, (1, 4, 4), 16
FIELDS = ("input", "image", "source", "target", "alpha", "posterior", "latent", "defined")


def classifier(shape=SHAPE, num_classes=K, **settings):
    """The small one, whose classes have names."""
    names = ["ant", "bee", "cow", "dog"][:num_classes]
    return small_flow.classifier(shape, num_classes, names, **settings)


@pytest.fixture
def model():
    return classifier().double()


@pytest.fixture
def explainer(model):
    return Explainer(model)


LABELS = torch.tensor([0, 1, 2, 0, 1, 2, 0])


@pytest.fixture
def images():
    """Pictures of the classes LABELS, (7, ...), float64."""
    generator = torch.Generator().manual_seed(5)
    noise = torch.rand(7, *SHAPE, generator=generator, dtype=torch.float64)
    return 0.9 * anchors()[LABELS] + 0.1 * noise


def other_class(explainer, images):
    """A target that no image has yet, (B,)."""
    return (explainer.posterior(images).argmax(1) + 1) % K


def same(a, b):
    for name in FIELDS:
        torch.testing.assert_close(getattr(a, name), getattr(b, name), rtol=1e-9, atol=1e-10)


def test_classifies_the_pictures(explainer, images):
    assert torch.equal(explainer.posterior(images).argmax(1), LABELS)


def test_shapes_for_one_target_for_all(explainer, images):
    cf = explainer.explain(images, 1)
    assert isinstance(cf, Counterfactual)
    assert cf.image.shape == cf.input.shape == cf.heatmap.shape == (7, *SHAPE)
    assert cf.source.shape == cf.target.shape == cf.alpha.shape == cf.defined.shape == (7,)
    assert cf.posterior.shape == (7, K)
    assert cf.latent.shape == (7, D)
    assert cf.target_posterior.shape == (7,)
    assert (cf.target == 1).all()
    assert cf.image.min() >= 0
    assert cf.image.max() <= 1
    same(cf, explainer.explain(images, torch.tensor(1)))
    same(cf, explainer.explain(images, torch.full((7,), 1)))
    same(cf, explainer.explain(images, [1] * 7))
    same(cf, explainer.explain(images, torch.full((7,), 1, dtype=torch.uint8)))


@pytest.mark.parametrize("alpha", ["tipping", "convincing", 0.3])
def test_many_targets_equal_a_loop(explainer, images, alpha):
    targets = torch.arange(K).expand(7, -1)
    cf = explainer.explain(images, targets, alpha)
    assert cf.image.shape == cf.input.shape == (7, K, *SHAPE)
    assert cf.alpha.shape == cf.defined.shape == (7, K)
    assert cf.posterior.shape == (7, K, K)
    assert cf.latent.shape == (7, K, D)
    for t in range(K):
        one = explainer.explain(images, t, alpha)
        for name in FIELDS:
            torch.testing.assert_close(getattr(cf, name)[:, t], getattr(one, name))
    for k in range(7):
        one = explainer.explain(images[k : k + 1], targets[k : k + 1], alpha)
        for name in FIELDS:
            torch.testing.assert_close(getattr(cf, name)[k : k + 1], getattr(one, name))


def test_one_column_of_targets_keeps_its_axis(explainer, images):
    cf = explainer.explain(images, torch.ones(7, 1, dtype=torch.long))
    assert cf.image.shape == (7, 1, *SHAPE)
    assert cf.alpha.shape == (7, 1)


def test_mixed_targets(explainer, images):
    target = torch.tensor([0, 2, 1, 1, 0, 0, 2])
    cf = explainer.explain(images, target)
    for k in range(7):
        one = explainer.explain(images[k : k + 1], int(target[k]))
        torch.testing.assert_close(cf.image[k], one.image[0])


def test_equation_3(model, explainer, images):
    target = other_class(explainer, images)
    cf = explainer.explain(images, target)
    z, _ = explainer.encode(images)
    delta = model.class_means[target] - model.class_means[cf.source]
    latent = z + cf.alpha.unsqueeze(1) * delta
    torch.testing.assert_close(cf.latent, latent)
    torch.testing.assert_close(cf.image, explainer.decode(latent))
    assert torch.equal(cf.heatmap, cf.image - cf.input)
    assert torch.equal(cf.input, images)
    assert torch.equal(cf.source, explainer.posterior(images).argmax(1))
    assert cf.defined.all()


def test_posterior_is_that_of_the_latent(model, explainer, images):
    cf = explainer.explain(images, torch.arange(K).expand(7, -1))
    torch.testing.assert_close(cf.posterior.sum(-1), torch.ones(7, K).double())
    for t in range(K):
        expected = model.mixture.log_posterior(cf.latent[:, t]).exp()
        torch.testing.assert_close(cf.posterior[:, t], expected)


def test_tipping_is_a_tie(explainer, images):
    cf = explainer.explain(images, other_class(explainer, images), "tipping")
    source = cf.posterior.gather(1, cf.source.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(source, cf.target_posterior, rtol=1e-10, atol=0)
    mu = explainer.classifier.mixture.component_means
    to_p = (cf.latent - mu[cf.source]).norm(dim=1)
    to_q = (cf.latent - mu[cf.target]).norm(dim=1)
    assert ((to_p - to_q).abs() / to_p).max() < 1e-12
    assert (cf.alpha > 0).all()


@pytest.mark.parametrize(
    ("step", "expected"),
    [
        (None, lambda a: 4 / 5 + a / 2),
        (supplement_step(), lambda a: a + 4 / 5 * (1 - a)),
        (supplement_step(0.5), lambda a: (a + 1) / 2),
    ],
)
def test_convincing_step(model, images, step, expected):
    explainer = Explainer(model) if step is None else Explainer(model, convincing_step=step)
    target = other_class(explainer, images)
    alpha_0 = explainer.explain(images, target, "tipping").alpha
    given = explainer.explain(images, target)
    torch.testing.assert_close(given.alpha, expected(alpha_0))
    same(given, explainer.explain(images, target, "convincing"))


def test_an_image_of_the_target_comes_back_as_itself(explainer, images):
    source = explainer.posterior(images).argmax(1)
    for alpha in ("tipping", "convincing", 0.7, torch.full((7,), 0.7)):
        cf = explainer.explain(images, source, alpha)
        assert torch.equal(cf.image, images)
        assert not cf.alpha.any()
        assert not cf.heatmap.any()
        assert cf.defined.all()
        torch.testing.assert_close(cf.posterior, explainer.posterior(images))


def test_own_steps(explainer, images):
    target = other_class(explainer, images)
    tipping = explainer.explain(images, target, "tipping")
    same(explainer.explain(images, target, tipping.alpha), tipping)
    given = explainer.explain(images, target, 0.4)
    assert torch.equal(given.alpha, torch.full((7,), 0.4, dtype=torch.float64))
    same(
        explainer.explain(images, target, torch.full((7,), 0.4)),
        explainer.explain(images, target, float(torch.tensor(0.4))),
    )
    targets = torch.arange(K).expand(7, -1)
    alphas = torch.rand(7, K, dtype=torch.float64)
    cf = explainer.explain(images, targets, alphas)
    different = cf.source != targets
    assert torch.equal(cf.alpha[different], alphas[different])
    backwards = explainer.explain(images, target, -0.1)
    assert (backwards.target_posterior < given.target_posterior).all()


@pytest.mark.parametrize("several", [False, True])
def test_one_forward_and_one_inverse_evaluation(explainer, images, several):
    target = torch.arange(K).expand(7, -1) if several else 1
    explainer.explain(images, target)  # the precision is checked once
    calls = []
    explainer.inference.session().network.flow.register_forward_pre_hook(
        lambda flow, args, kwargs: calls.append((kwargs.get("rev", False), len(args[0]))),
        with_kwargs=True,
    )
    cf = explainer.explain(images, target)
    moved = int((cf.alpha != 0).sum())
    assert calls == [(False, 7), (True, moved)]


def test_steps_together_equal_steps_alone(explainer, images):
    targets = torch.arange(K).expand(7, -1)
    steps = ["tipping", "convincing", 0.4]
    together = explainer.explain_steps(images, targets, steps)
    assert len(together) == 3
    for step, cf in zip(steps, together, strict=True):
        same(cf, explainer.explain(images, targets, step))
    calls = []
    explainer.inference.session().network.flow.register_forward_pre_hook(lambda *_: calls.append(1))
    explainer.explain_steps(images, targets, steps)
    assert len(calls) == 2


@pytest.mark.parametrize("alphas", ["tipping", []])
def test_steps_must_be_a_list(explainer, images, alphas):
    with pytest.raises(ValueError, match="alphas must be a list of at least one step, got"):
        explainer.explain_steps(images, 1, alphas)


def test_changed_weights_are_seen(model, explainer, images):
    before = explainer.posterior(images)
    with torch.no_grad():
        next(model.flow.parameters()).mul_(1.1)
    changed = explainer.posterior(images)
    assert not torch.allclose(before, changed)
    torch.testing.assert_close(changed, model.posterior(images))
    model.to(torch.float32)
    assert explainer.posterior(images).dtype == torch.float32


def test_uint8_images(explainer):
    torch.manual_seed(0)
    grey = torch.randint(256, (5, *SHAPE), dtype=torch.uint8)
    cf = explainer.explain(grey, 1)
    assert torch.equal(cf.input, grey.double() / 255)
    same(cf, explainer.explain(grey.double() / 255, 1))


def test_input_is_left_alone(explainer, images):
    kept = images.clone()
    explainer.explain(images, 1).image.zero_()
    assert torch.equal(images, kept)


@pytest.mark.parametrize("chunk_size", [1, 3, 7, 100])
def test_chunks_give_the_same(model, explainer, images, chunk_size):
    chunked = Explainer(model, chunk_size=chunk_size)
    targets = torch.arange(K).expand(7, -1)
    same(chunked.explain(images, targets), explainer.explain(images, targets))
    torch.testing.assert_close(chunked.log_prob(images), explainer.log_prob(images))
    labels = torch.arange(9) % K
    torch.testing.assert_close(chunked.sample(labels, 0.0), explainer.sample(labels, 0.0))


def test_chunks_bound_the_batch(model, images):
    sizes = []
    explainer = Explainer(model, chunk_size=4)
    explainer.inference.session().network.flow.register_forward_pre_hook(
        lambda _, args: sizes.append(len(args[0]))
    )
    explainer.explain(images, torch.arange(K).expand(7, -1))
    assert max(sizes) <= 4


def test_results_are_deterministic_and_need_no_gradient(explainer, images):
    explainer.classifier.train()
    explainer = Explainer(explainer.classifier)
    first, second = (explainer.explain(images, 2) for _ in range(2))
    assert torch.equal(first.image, second.image)
    assert not first.image.requires_grad
    assert not first.alpha.requires_grad


def test_encode_decode_reconstruct(model, explainer, images):
    z, log_det = explainer.encode(images)
    assert z.shape == (7, D)
    assert log_det.shape == (7,)
    torch.testing.assert_close(explainer.decode(z), images, rtol=0, atol=1e-10)
    torch.testing.assert_close(explainer.reconstruct(images), images, rtol=0, atol=1e-10)
    with pytest.raises(ValueError, match=r"Latents must be \(B, 16\), got \(16, 7\)"):
        explainer.decode(z.T)
    far = explainer.decode(100 * z)
    assert far.min() >= 0
    assert far.max() <= 1


def test_posterior(model, explainer, images):
    z, _ = explainer.encode(images)
    distances = torch.cdist(z, model.mixture.component_means).square()
    torch.testing.assert_close(explainer.posterior(images), (-distances / 2).softmax(1))
    torch.testing.assert_close(model.posterior(images), explainer.posterior(images))


def test_log_prob_is_a_change_of_variables(model, explainer):
    """Against autograd's Jacobian of the whole way from x' in [0, 1] to z."""
    torch.manual_seed(3)
    grey = torch.rand(1, *SHAPE, dtype=torch.float64) * 255 / 256 + 0.5 / 256  # x'

    def latent(grey):
        return model.encode((256 * grey - 0.5) / 255)[0]

    full = torch.autograd.functional.jacobian(latent, grey).reshape(D, D)
    z = latent(grey)[0].detach()
    mu = model.mixture.component_means.detach()
    densities = [math.exp(-0.5 * (z - m).square().sum()) / (2 * math.pi) ** (D / 2) for m in mu]
    mixed = sum(
        w * p for w, p in zip(model.mixture.log_weights.detach().exp(), densities, strict=True)
    )
    expected = mixed.log() + torch.linalg.slogdet(full).logabsdet
    given = explainer.log_prob((256 * grey - 0.5) / 255)
    torch.testing.assert_close(given[0], expected, rtol=1e-9, atol=1e-9)
    _, log_det = explainer.encode((256 * grey - 0.5) / 255)
    torch.testing.assert_close(log_det[0], torch.linalg.slogdet(full).logabsdet)


def test_density_integrates_to_one():
    """By importance sampling on 1x2x2 pictures: E_z[1] over z from a wide Gaussian."""
    model = classifier((1, 2, 2), blocks=(1,)).double()
    torch.manual_seed(0)
    broad = torch.distributions.Normal(0.0, 3.0)
    v = broad.sample((20000, 1, 2, 2)).double()
    z, log_det = model.flow(v)
    log_ratio = model.mixture.log_prob(z) + log_det - broad.log_prob(v).sum((1, 2, 3))
    assert log_ratio.exp().mean().item() == pytest.approx(1, abs=0.05)


def test_bits_per_dim_chain(model, explainer, images):
    expected = 8 - explainer.log_prob(images) / (D * math.log(2))
    torch.testing.assert_close(bits_per_dim(model.log_prob(images), D), expected)


def test_likelihood_dequantises_on_request(model, images):
    assert torch.equal(model.log_prob(images), model.log_prob(images))
    grey = (images * 255).byte()
    assert not torch.equal(model.log_prob(grey, dequantize=True), model.log_prob(grey))


def test_sample(model, explainer):
    labels = torch.tensor([0, 2, 1, 2])
    coldest = explainer.sample(labels, temperature=0)
    expected = explainer.decode(model.mixture.component_means[labels])
    torch.testing.assert_close(coldest, expected)
    assert torch.equal(coldest[1], coldest[3])
    warm = explainer.sample(labels)
    assert warm.shape == (4, *SHAPE)
    assert warm.min() >= 0
    assert warm.max() <= 1
    assert not torch.equal(warm[1], warm[3])
    assert explainer.sample(1).shape == (1, *SHAPE)
    with pytest.raises(ValueError, match="temperature must be 0 or larger, got -1"):
        explainer.sample(labels, temperature=-1)
    with pytest.raises(ValueError, match="labels must be a class from 0 to 2, got 0 to 3"):
        explainer.sample(torch.tensor([0, 3]))


def test_properties(model, explainer):
    assert explainer.num_classes == K
    assert explainer.image_shape == SHAPE
    assert explainer.class_names == ("ant", "bee", "cow")
    assert explainer.dtype == torch.float64
    assert explainer.device == torch.device("cpu")
    off_diagonal = ~torch.eye(K, dtype=torch.bool)
    assert torch.equal(explainer.explainable_pairs(), off_diagonal)
    assert not model.training


NAN = torch.full((2, *SHAPE), 0.5).index_fill(0, torch.tensor(1), math.nan)


@pytest.mark.parametrize(
    ("images", "message"),
    [
        (torch.zeros(SHAPE[1:]), r"must be \(B, 1, 4, 4\), got \(4, 4\)"),
        (torch.zeros(2, 3, 4, 4), r"got \(2, 3, 4, 4\)"),
        (torch.zeros(2, 1, 5, 4), r"got \(2, 1, 5, 4\)"),
        (torch.zeros(0, *SHAPE), "at least one image"),
        (torch.zeros(2, *SHAPE, dtype=torch.int64), "uint8 in 0..255 or float .*torch.int64"),
        (torch.zeros(2, *SHAPE, dtype=torch.bool), "torch.bool"),
        (torch.full((2, *SHAPE), 1.01), "values from 1.01 to 1.01: divide by 255"),
        (torch.full((2, *SHAPE), -0.01), "values from -0.01"),
        (torch.full((2, *SHAPE), math.nan), "without NaN"),
        (NAN, "without NaN"),
        (torch.zeros(2, *SHAPE).long().numpy(), "array of int64 has grey levels of no known range"),
        ({"images": 1}, "torch.Tensor .*got dict"),
    ],
)
def test_image_errors(explainer, images, message):
    for call in (
        lambda: explainer.explain(images, 1),
        lambda: explainer.encode(images),
        lambda: explainer.posterior(images),
        lambda: explainer.log_prob(images),
        lambda: explainer.reconstruct(images),
    ):
        with pytest.raises(ValueError, match=message):
            call()


@pytest.mark.parametrize(
    ("target", "message"),
    [
        (3, "target must be a class from 0 to 2, got 3 to 3"),
        (-1, "got -1 to -1"),
        (torch.tensor([0, 1, 2, 0, 1, 2, 9]), "got 0 to 9"),
        (1.0, "target must be whole numbers, got torch.float"),
        (True, "whole numbers, got torch.bool"),
        (torch.ones(7), "whole numbers"),
        (torch.tensor([0, 1]), r"\(7,\) or \(7, T\) for 7 images, got shape \(2,\)"),
        (torch.zeros(1, dtype=torch.long), r"got shape \(1,\)"),
        (torch.zeros(2, 3, dtype=torch.long), r"got shape \(2, 3\)"),
        (torch.zeros(7, 1, 1, dtype=torch.long), r"got shape \(7, 1, 1\)"),
    ],
)
def test_target_errors(explainer, images, target, message):
    with pytest.raises(ValueError, match=message):
        explainer.explain(images, target)


@pytest.mark.parametrize(
    ("alpha", "message"),
    [
        ("foo", '"tipping", "convincing", "star", "certified" or a number, got "foo"'),
        (math.nan, "alpha must be finite, got nan"),
        (math.inf, "alpha must be finite, got inf"),
        (torch.zeros(3), r"shape \(3,\)|shape \(3, 1\)"),
        (torch.zeros(7, 2), r"got shape \(7, 2\)"),
    ],
)
def test_alpha_errors(explainer, images, alpha, message):
    with pytest.raises(ValueError, match=message):
        explainer.explain(images, 1, alpha)


def test_other_errors(model, explainer, images):
    with pytest.raises(ValueError, match="chunk_size must be at least 1, got 0"):
        Explainer(model, chunk_size=0)
    with pytest.raises(ValueError, match='undefined must be "raise" or "keep", got \'skip\''):
        explainer.explain(images, 1, undefined="skip")


def test_without_any_class_means(model, explainer, images):
    model.class_counts.zero_()
    with pytest.raises(ValueError, match="no class means yet"):
        explainer.explain(images, 1)
    cf = explainer.explain(images, 1, undefined="keep")
    assert torch.equal(cf.defined, LABELS == 1)
    assert torch.equal(cf.image, images)


def test_with_a_class_that_has_no_mean(model, explainer, images):
    model.class_counts[1] = 0
    model.class_means[1] = 0
    with pytest.raises(ValueError, match="No training image was classified as bee"):
        explainer.explain(images, 1)
    kept = explainer.explain(images, torch.arange(K).expand(7, -1), undefined="keep")
    source = explainer.posterior(images).argmax(1, keepdim=True)
    expected = ((source != 1) & (torch.arange(K) != 1)) | (source == torch.arange(K))
    assert torch.equal(kept.defined, expected)
    assert (kept.alpha[~expected] == 0).all()
    assert torch.equal(kept.image[~expected], kept.input[~expected])
    for name in ("image", "alpha", "posterior", "latent"):
        assert getattr(kept, name).isfinite().all()


def test_with_a_direction_that_does_not_lead_to_the_target(model, explainer, images):
    model.class_means[[0, 1]] = model.class_means[[1, 0]]
    assert not explainer.explainable_pairs()[0, 1]
    chosen = images[LABELS == 0]
    with pytest.raises(ValueError, match="no step from class ant to bee"):
        explainer.explain(chosen, 1)
    kept = explainer.explain(chosen, 1, undefined="keep")
    assert torch.equal(kept.image, chosen)
    assert not kept.defined.any()
    assert not kept.alpha.any()


def test_identical_class_means_give_no_nan(model, explainer, images):
    """w . Delta = 0: the step would be infinite."""
    model.class_means.copy_(model.class_means[:1].expand_as(model.class_means))
    cf = explainer.explain(images, torch.arange(K).expand(7, -1), undefined="keep")
    for name in ("image", "alpha", "posterior", "latent"):
        assert getattr(cf, name).isfinite().all()
    assert torch.equal(cf.defined, cf.source == cf.target)


def test_warns_once_where_the_precision_does_not_suffice(images):
    model = classifier(blocks=(6,), init_scale=0.02)
    explainer = Explainer(model)
    network = explainer.inference.session().network
    inverse = network.decode(network.encode(images)[0], clamp=False)
    error = (inverse - images).abs().max().item()
    message = f"off by up to {error:.2g} .* in torch.float32.*use dtype=torch.float64"
    with pytest.warns(UserWarning, match=re.escape(message).replace(r"\.\*", ".*")) as caught:
        explainer.explain(images, 1, undefined="keep")
    assert len(caught) == 1
    assert caught[0].filename == __file__
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        explainer.explain(images, 2, undefined="keep")
        Explainer(copy.deepcopy(model).double()).explain(images, 1, undefined="keep")


def test_warning_is_not_hidden_by_clamping(model, monkeypatch):
    """A black picture whose inverse lies below zero only looks right."""

    def decode(z, clamp=True):
        return torch.full((len(z), *SHAPE), 0.0 if clamp else -0.5, dtype=z.dtype)

    monkeypatch.setattr(model, "decode", decode)
    with pytest.warns(UserWarning, match=r"off by up to 0.5 .*45,000\): train longer"):
        Explainer(model).explain(torch.zeros(1, *SHAPE), 1)


def test_does_not_warn_where_it_suffices(images):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        Explainer(classifier()).explain(images, 1)
        Explainer(classifier().double()).explain(images, 1)


def test_float32_agrees_with_float64(images):
    single, double = Explainer(classifier()), Explainer(classifier().double())
    a, b = single.explain(images, 1), double.explain(images, 1)
    torch.testing.assert_close(a.image.double(), b.image, rtol=0, atol=1e-4)
    torch.testing.assert_close(a.posterior.double(), b.posterior, rtol=0, atol=1e-4)


def test_classifier_names_and_config(model):
    again = GenerativeClassifier(**model.config)
    assert again.config == model.config
    assert again.state_dict().keys() == model.state_dict().keys()
    with pytest.raises(ValueError, match="one name for each of 3 classes, got 2"):
        GenerativeClassifier(SHAPE, 3, ["a", "b"], blocks=(1,), widths=(4,), dropouts=(0,))


def test_colour_pictures():
    model = classifier((3, 4, 4), 4).double()
    explainer = Explainer(model)
    torch.manual_seed(0)
    images = torch.rand(4, 3, 4, 4, dtype=torch.float64)
    torch.testing.assert_close(explainer.reconstruct(images), images, atol=1e-9, rtol=0)
    cf = explainer.explain(images, torch.arange(4).expand(4, -1), "tipping")
    for k, t in itertools.product(range(4), range(4)):
        p = cf.source[k, t]
        torch.testing.assert_close(cf.posterior[k, t, p], cf.posterior[k, t, t])
