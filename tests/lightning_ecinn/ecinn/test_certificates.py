"""Certificates against recomputation, every reason, and the steps that they judge."""

import copy
import io
import math

import numpy as np
import pytest
import torch
from test_explainer import LABELS, SHAPE, K, anchors, classifier, other_class

from lightning_ecinn import Certificate, Explainer
from lightning_ecinn.ecinn.certificates import (
    even_quantiles,
    in_rows,
    log_prob_quantile,
    what_fails,
)
from lightning_ecinn.ecinn.steps import alpha_star

STEPS = ("tipping", "convincing", "star", "certified")
NUMBERS = (
    "predicted", "posterior", "tipping_gap", "third_class", "log_prob_before", "log_prob_after",
    "quantile_before", "quantile_after", "reconstruction_error", "forward_evaluations",
    "inverse_evaluations", "holds",
)  # fmt: skip


@pytest.fixture
def model():
    """With the quantiles of 300 pictures."""
    model = classifier().double()
    torch.manual_seed(7)
    with torch.no_grad():
        model.log_prob_quantiles.copy_(even_quantiles(model.log_prob(pictures(300)), 1001))
    return model


@pytest.fixture
def explainer(model):
    return Explainer(model)


@pytest.fixture
def images():
    torch.manual_seed(5)
    return pictures(7)


def pictures(count):
    """8-bit pictures of the classes in turn, (count, ...), uint8."""
    labels = LABELS.repeat(count // 7 + 1)[:count]
    noise = torch.rand(count, *SHAPE, dtype=torch.float64)
    return (255 * (0.9 * anchors()[labels] + 0.1 * noise)).round().byte()


@pytest.mark.parametrize("alpha", [*STEPS, 0.6])
def test_numbers_are_those_of_the_picture_in_8_bits(model, explainer, images, alpha):
    target = other_class(explainer, images)
    cf = explainer.explain(images, target, alpha)
    given = cf.certificate
    assert isinstance(given, Certificate)
    seen = (cf.image * 255).round().to(torch.uint8)
    posterior = model.posterior(seen)
    torch.testing.assert_close(given.posterior, posterior)
    assert torch.equal(given.predicted, posterior.argmax(1))
    rows = torch.arange(7)
    gap = (posterior[rows, cf.source].log() - posterior[rows, target].log()).abs()
    torch.testing.assert_close(given.tipping_gap, gap, rtol=1e-7, atol=1e-7)
    third = [int(k) not in (int(p), int(q)) for k, p, q in zip(given.predicted, cf.source, target,
                                                               strict=True)]  # fmt: skip
    assert given.third_class.tolist() == third
    torch.testing.assert_close(given.log_prob_before, model.log_prob(images))
    torch.testing.assert_close(given.log_prob_after, model.log_prob(seen))
    z, _ = model.encode(images)
    error = (model.decode(z, clamp=False) - images.double() / 255).abs().flatten(1).amax(1)
    torch.testing.assert_close(given.reconstruction_error, error, rtol=0, atol=1e-13)
    assert given.precision == "float64"
    assert given.forward_evaluations is cf.forward_evaluations
    assert given.holds.tolist() == [not reason for reason in given.reason]
    if alpha != "certified":
        assert torch.equal(given.holds, given.predicted == target)
        assert (cf.forward_evaluations == 1).all()
        assert (cf.inverse_evaluations == 1).all()


@pytest.mark.parametrize("alpha", STEPS)
def test_many_targets_equal_a_loop_and_cost_each_image_once(explainer, images, alpha):
    targets = torch.arange(K).expand(7, -1)
    cf = explainer.explain(images, targets, alpha)
    calls = []
    explainer.inference.session().network.flow.register_forward_pre_hook(
        lambda flow, args, kwargs: calls.append((kwargs.get("rev", False), len(args[0]))),
        with_kwargs=True,
    )
    given = cf.certificate
    assert calls == [(False, 7), (True, 7), (False, 21)]
    assert cf.certificate is given
    assert len(calls) == 3
    assert given.posterior.shape == (7, K, K)
    for t in range(K):
        one = explainer.explain(images, t, alpha).certificate
        assert [row[t] for row in given.reason] == one.reason
        for name in NUMBERS:
            torch.testing.assert_close(getattr(given, name)[:, t], getattr(one, name))


def test_one_column_and_rows(explainer, images):
    column = explainer.explain(images, torch.ones(7, 1, dtype=torch.long)).certificate
    assert column.holds.shape == (7, 1)
    assert [len(row) for row in column.reason] == [1] * 7
    several = explainer.explain(images, torch.arange(K).expand(7, -1), "tipping").certificate
    rows = several.rows()
    assert len(rows) == 7 * K
    for k, row in enumerate(rows):
        i, t = divmod(k, K)
        assert row["reason"] == several.reason[i][t]
        assert row["holds"] is bool(several.holds[i, t])
        assert row["predicted"] == int(several.predicted[i, t])
        assert row["posterior"] == several.posterior[i, t].tolist()
        assert row["quantile_after"] == float(several.quantile_after[i, t])
        assert row["precision"] == "float64"


def test_an_input_that_is_the_target_holds(explainer, images):
    source = explainer.posterior(images).argmax(1)
    for alpha in STEPS:
        cf = explainer.explain(images, source, alpha)
        assert cf.certificate.holds.all()
        assert not cf.inverse_evaluations.any()
        assert not cf.certificate.tipping_gap.any()
        torch.testing.assert_close(
            cf.certificate.log_prob_after, cf.certificate.log_prob_before, rtol=1e-12, atol=0
        )


def test_a_pair_without_a_step(model, explainer, images):
    model.class_means[[0, 1]] = model.class_means[[1, 0]]
    for alpha, reason in (
        ("convincing", "no step leads from ant to bee"),
        ("star", "no step along this direction puts bee before every class"),
        ("certified", "no step along this direction puts bee before every class"),
    ):
        cf = explainer.explain(images[LABELS == 0], 1, alpha, undefined="keep")
        assert cf.certificate.reason == [reason] * 3
        assert not cf.certificate.holds.any()
        assert not cf.inverse_evaluations.any()
        assert cf.certificate.log_prob_after.isfinite().all()


def judged(**changes):
    """The reason for one counterfactual from "a" to "b" of three classes."""
    case = {
        "source": torch.tensor([0]),
        "target": torch.tensor([1]),
        "defined": torch.tensor([True]),
        "predicted": torch.tensor([1]),
        "posterior": torch.tensor([[0.1, 0.8, 0.1]], dtype=torch.float64),
        "error": torch.tensor([1e-4]),
        "class_names": "abc",
        "precision": "float32",
        "before_every_class": False,
        "confidence": None,
    }
    (reason,) = what_fails(**case | changes)
    return reason


def test_every_reason():
    undefined, third = {"defined": torch.tensor([False])}, torch.tensor([[0.1, 0.19, 0.71]])
    assert judged() == judged(confidence=0.8) == ""
    assert judged(**undefined) == "no step leads from a to b"
    assert (
        judged(**undefined, before_every_class=True)
        == "no step along this direction puts b before every class"
    )
    assert (
        judged(predicted=torch.tensor([2]), posterior=third)
        == "classified as c, a third class, with 0.71"
    )
    assert judged(predicted=torch.tensor([0])) == "still classified as a"
    assert judged(confidence=0.9) == "p(b) is 0.8, asked for 0.9"
    bad = {"error": torch.tensor([0.013])}
    assert judged(**bad) == "the inverse is off by 0.013 in float32: use float64"
    assert (
        judged(**bad, precision="float64") == "the inverse is off by 0.013 in float64: train longer"
    )
    assert judged(error=torch.tensor([math.nan])).startswith("the inverse is off by nan")
    assert judged(error=torch.tensor([0.5 / 255 - 1e-6])) == ""
    # The input already is the target: nothing was inverted, no confidence is asked for.
    assert judged(**bad, source=torch.tensor([1]), confidence=0.9) == ""


def test_an_inverse_that_is_off_in_float32_holds_in_float64(images):
    model = classifier(blocks=(6,), init_scale=0.1)
    model.class_means.copy_(model.mixture.component_means.detach())
    single, double = Explainer(model), Explainer(copy.deepcopy(model).double())
    targets = torch.arange(K).expand(7, -1)
    with pytest.warns(UserWarning, match="Reconstructing"):
        cf = single.explain(images, targets, undefined="keep")
    given = cf.certificate
    assert given.precision == "float32"
    bad = (cf.source != targets) & cf.defined & (given.reconstruction_error > 0.5 / 255)
    assert bad.any()
    for i, t in bad.nonzero().tolist():
        assert given.reason[i][t].startswith("the inverse is off by")
        assert given.reason[i][t].endswith("in float32: use float64")
    exact = double.explain(images, targets, undefined="keep").certificate
    assert (exact.reconstruction_error < 1e-6).all()
    assert not any("inverse" in reason for row in exact.reason for reason in row)


def test_the_classifier_must_not_have_changed(model, explainer, images):
    first, second = explainer.explain(images, 1), explainer.explain(images, 1)
    kept = first.certificate
    with torch.no_grad():
        model.mixture.component_means.mul_(1.01)
    assert first.certificate is kept
    with pytest.raises(ValueError, match=r"classifier has changed since .*: explain again"):
        _ = second.certificate
    assert explainer.explain(images, 1).certificate.holds.shape == (7,)


def test_a_stored_counterfactual_keeps_a_certificate_that_was_read(explainer, images):
    read, unread = explainer.explain_steps(images, 1)
    expected = read.certificate
    stored = [io.BytesIO(), io.BytesIO()]
    for cf, file in zip((read, unread), stored, strict=True):
        torch.save(cf, file)
        file.seek(0)
        assert file.getbuffer().nbytes < 50_000  # nothing of the classifier
    again, without = (torch.load(file, weights_only=False) for file in stored)
    assert torch.equal(again.image, read.image)
    assert torch.equal(again.certificate.posterior, expected.posterior)
    assert again.certificate.reason == expected.reason
    with pytest.raises(ValueError, match=r"read \.certificate before"):
        _ = without.certificate


def test_without_quantiles_there_are_none(images):
    given = Explainer(classifier()).explain(images, 1).certificate
    assert given.quantile_before is None
    assert given.quantile_after is None
    assert {row["quantile_after"] for row in given.rows()} == {None}


def test_quantiles_by_numpy():
    torch.manual_seed(0)
    values = 100 * torch.randn(357)
    grid = even_quantiles(values, 101)
    assert grid.dtype == torch.float64
    expected = torch.from_numpy(np.quantile(values.double().numpy(), np.linspace(0, 1, 101)))
    torch.testing.assert_close(grid, expected)
    assert torch.equal(even_quantiles(torch.tensor([3.0]), 5), torch.full((5,), 3.0).double())
    rank = log_prob_quantile(expected[[0, 7, 50, 100]], grid)
    torch.testing.assert_close(rank, torch.tensor([0, 0.07, 0.5, 1]).double())
    between = log_prob_quantile((grid[30] + grid[31]) / 2, grid)
    assert between.item() == pytest.approx(0.305)
    assert log_prob_quantile(torch.tensor([[-1e9, 1e9]]), grid).tolist() == [[0, 1]]


def test_quantiles_with_ties_give_no_nan():
    grid = torch.tensor([1.0, 2.0, 2.0, 2.0, 5.0])
    given = log_prob_quantile(torch.tensor([0.0, 1.0, 1.5, 2.0, 3.5, 5.0]), grid)
    torch.testing.assert_close(given, torch.tensor([0, 0, 0.125, 0.75, 0.875, 1]).double())
    flat = log_prob_quantile(torch.tensor([0.0, 1.0, 2.0]), torch.ones(5))
    assert flat.tolist() == [0, 1, 1]


def test_reasons_in_rows():
    assert in_rows(list("abcdef"), (6,)) == list("abcdef")
    assert in_rows(list("abcdef"), (2, 3)) == [list("abc"), list("def")]
    assert in_rows(list("ab"), (2, 1)) == [["a"], ["b"]]


def test_star_is_alpha_star_and_no_class_is_likelier(model, explainer, images):
    targets = torch.arange(K).expand(7, -1)
    cf, tipping = explainer.explain_steps(images, targets, ["star", "tipping"])
    z = explainer.encode(images)[0].unsqueeze(1)
    direction = model.class_means[targets] - model.class_means[cf.source]
    alpha, exists = alpha_star(z, direction, model.mixture.component_means, targets)
    assert exists.all()
    torch.testing.assert_close(cf.alpha, alpha)
    away = cf.source != targets
    assert (cf.alpha >= tipping.alpha - 1e-12)[away].all()
    best = cf.posterior.amax(-1)
    torch.testing.assert_close(cf.target_posterior, best, rtol=1e-9, atol=0)


def test_star_without_an_answer(model, explainer, images):
    """Another class lies beyond the target and is always nearer."""
    with torch.no_grad():
        mu, means = model.mixture.component_means, model.class_means
        mu[2] = mu[1] + 0.3 * (mu[1] - mu[0])
        means.copy_(mu)
        mu[1] += 0.5 * torch.randn_like(mu[1]) * (mu[1] - mu[0]).norm() / mu[1].numel() ** 0.5
    chosen = images[LABELS == 0]
    assert (explainer.posterior(chosen).argmax(1) == 0).all()
    assert explainer.explain(chosen, 1).defined.all()  # there is a tipping point
    for alpha in ("star", "certified"):
        with pytest.raises(ValueError, match=r"No step .* ant to bee puts bee before .*image 0"):
            explainer.explain(chosen, 1, alpha)
    steps = explainer.explain_steps(chosen, 1, ["tipping", "star", "certified"], undefined="keep")
    assert steps[0].defined.all()
    for cf in steps[1:]:
        assert not cf.defined.any()
        assert not cf.alpha.any()
        assert torch.equal(cf.image, cf.input)


def passing(model, latents, target, confidence):
    """Whether the 8-bit pictures of latents (N, D) are classified as asked."""
    seen = (255 * model.decode(latents)).round().to(torch.uint8)
    posterior = model.posterior(seen)
    return ((posterior.argmax(1) == target) & (posterior[:, target] >= confidence)).tolist()


@pytest.mark.parametrize("confidence", [0.4, 0.5, 0.6])  # of three classes; pixels end at 0 and 1
def test_certified_against_a_fine_scan(model, images, confidence):
    explainer = Explainer(model, confidence=confidence)
    target = other_class(explainer, images)
    star, cf = explainer.explain_steps(images, target, ["star", "certified"])
    assert cf.certificate.holds.all()
    assert (cf.certificate.predicted == target).all()
    chosen = cf.certificate.posterior.gather(1, target.unsqueeze(1))
    assert (chosen >= confidence).all()
    assert (cf.forward_evaluations == cf.inverse_evaluations + 1).all()
    assert (cf.inverse_evaluations <= 16).all()
    torch.testing.assert_close(
        cf.image, explainer.decode(cf.latent), rtol=0, atol=1e-12
    )  # the latent is the picture's
    z, _ = explainer.encode(images)
    for k in range(7):
        direction = model.class_means[target[k]] - model.class_means[cf.source[k]]
        start, end = float(star.alpha[k]), float(cf.alpha[k])
        # The bisected interval is at most as long as the way there, beyond 0.05.
        tolerance = max(0.05, end - start) / 256
        grid = torch.linspace(start, end + 0.1, 400, dtype=torch.float64)
        latents = z[k] + grid.unsqueeze(1) * direction
        asked = confidence + 1e-3 * (1 - confidence)  # a hair more, against rounding errors
        passed = passing(model, latents, target[k], asked)
        spacing = (grid[1] - grid[0]).item()
        first = grid[passed.index(True)].item()
        failing = [alpha for alpha, good in zip(grid.tolist(), passed, strict=True) if not good]
        # Near a tie rounding to 8 bits makes the scan pass and fail by turns.
        assert first - spacing <= end <= max(failing, default=start) + spacing + tolerance
        assert max(failing, default=start) - first < 0.02


def test_certified_that_is_not_reached_says_so(model, images):
    """p(q) stays below the confidence: another component lies almost on the target's."""
    with torch.no_grad():
        mu = model.mixture.component_means
        mu[2] = mu[1] + 1e-3 * torch.randn_like(mu[1])
    explainer = Explainer(model, confidence=0.9)
    chosen = images[LABELS == 0]
    for target in (1, 2):
        cf = explainer.explain(chosen, target, "certified", undefined="keep")
        reached = cf.defined
        if not reached.any():
            continue
        star = explainer.explain(chosen, target, "star", undefined="keep")
        torch.testing.assert_close(cf.alpha[reached], star.alpha[reached] + 3.2)
        assert (cf.inverse_evaluations[reached] == 8).all()
        certificate = cf.certificate
        assert not certificate.holds.any()
        for k in reached.nonzero().flatten().tolist():
            assert "asked for 0.9" in certificate.reason[k] or "third" in certificate.reason[k]
        return
    pytest.fail("one of two classes must be nearer")


def test_only_the_undecided_go_through_the_network(model, explainer, images):
    targets = torch.arange(K).expand(7, -1)
    explainer.explain(images, targets)
    sizes = {False: 0, True: 0}

    def count(flow, args, kwargs):
        sizes[kwargs.get("rev", False)] += len(args[0])

    explainer.inference.session().network.flow.register_forward_pre_hook(count, with_kwargs=True)
    cf = explainer.explain(images, targets, "certified")
    assert sizes[True] == int(cf.inverse_evaluations.sum())
    assert sizes[False] == 7 + int((cf.forward_evaluations - 1).sum())


def test_certified_among_other_steps_and_in_chunks(model, explainer, images):
    targets = torch.arange(K).expand(7, -1)
    names = ["tipping", "certified", 0.4, "certified", "star"]
    together = explainer.explain_steps(images, targets, names)
    chunked = Explainer(model, chunk_size=2)
    for name, cf in zip(names, together, strict=True):
        one = chunked.explain(images, targets, name)
        torch.testing.assert_close(cf.alpha, one.alpha)
        torch.testing.assert_close(cf.image, one.image)
        assert torch.equal(cf.inverse_evaluations, one.inverse_evaluations)


@pytest.mark.parametrize("psi", [0.0, 0.5, 0.9])
def test_truncation_keeps_part_of_the_distance_from_the_mean(model, images, psi):
    explainer = Explainer(model, truncation=psi)
    target = other_class(explainer, images)
    cf = explainer.explain(images, target, 1.0)
    z, _ = explainer.encode(images)
    mean = model.class_means
    expected = mean[target] + psi * (z - mean[cf.source])
    torch.testing.assert_close(cf.latent, expected)
    tipping, star = explainer.explain_steps(images, target, ["tipping", "star"])
    source = tipping.posterior.gather(1, cf.source.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(source, tipping.target_posterior, rtol=1e-9, atol=0)
    torch.testing.assert_close(star.target_posterior, star.posterior.amax(1), rtol=1e-9, atol=0)
    certified = Explainer(model, truncation=psi, confidence=0.6)
    assert certified.explain(images, target, "certified").certificate.holds.all()


def test_truncation_of_one_changes_no_bit(model, explainer, images):
    targets = torch.arange(K).expand(7, -1)
    for a, b in zip(
        explainer.explain_steps(images, targets),
        Explainer(model, truncation=1.0).explain_steps(images, targets),
        strict=True,
    ):
        direction = model.class_means[targets] - model.class_means[a.source]
        z = explainer.encode(images)[0].unsqueeze(1)
        assert torch.equal(a.image, b.image)
        assert torch.equal(a.latent, torch.addcmul(z, a.alpha.unsqueeze(-1), direction))


def test_with_truncation_each_image_has_its_own_direction(model, images):
    """Far behind its class mean an image's direction leads back, and not to the target."""
    explainer = Explainer(model, truncation=0.0)
    z, _ = explainer.encode(images)
    away = LABELS == 0
    with torch.no_grad():  # between the classes, beyond where images of class 0 lie
        w = model.mixture.component_means[1] - model.mixture.component_means[0]
        model.class_means[1] = z[0] - 0.1 * w
    kept = explainer.explain(images[away], 1, undefined="keep")
    expected = ((model.class_means[1] - z[away]) * w).sum(1) > 0
    assert torch.equal(kept.defined, expected)
    assert not expected[0]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"truncation": 1.1}, "truncation is 1.1; give a number from 0 to 1"),
        ({"truncation": -0.1}, "truncation is -0.1"),
        ({"truncation": math.nan}, "truncation is nan"),
        ({"confidence": 1.0}, "confidence is 1.0; give a number between 0 and 1"),
        ({"confidence": 0}, "confidence is 0"),
        ({"confidence": math.nan}, "confidence is nan"),
    ],
)
def test_settings_that_are_refused(model, settings, message):
    with pytest.raises(ValueError, match=message):
        Explainer(model, **settings)
