"""A critic beside the training: who learns what, from exact counterfactuals."""

import pytest
import torch
from tiny import IMAGES, LABELS, Data, StopAfter, ibinn, trainer

from lightning_ecinn import Explainer
from lightning_ecinn.training.realism import HEAD_START, Realism, RealismSettings, _dithered

SETTINGS = {"realism": 1.0, "critic_width": 4, "optimizer": "adamw"}


def module(**settings):
    return ibinn(**{**SETTINGS, **settings})


def losses(module, listened=True, penalised=False, count=24):
    torch.manual_seed(1)
    step = module.hparams["convincing_step"]
    return module.realism(
        module.classifier, IMAGES, LABELS, step, count=count, listened=listened, penalised=penalised
    )


def gradients(loss, parameters):
    parameters = [p for p in parameters if p.requires_grad]
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return [g for g in found if g is not None and g.abs().max() > 0]


def test_the_network_learns_from_the_critic_and_the_critic_from_pictures():
    one = module()
    network, critic, distance = losses(one)
    assert gradients(network, one.classifier.parameters())
    assert gradients(distance, one.classifier.parameters())
    assert not gradients(losses(one).network, one.realism.critic.parameters())
    assert gradients(critic, one.realism.critic.parameters())
    assert not gradients(losses(one).critic, one.classifier.parameters())


def test_nobody_listens_in_the_head_start():
    one = module()
    found = losses(one, listened=False)
    assert not found.network.requires_grad
    assert gradients(found.critic, one.realism.critic.parameters())


def test_gradients_through_the_closed_form_are_those_of_finite_differences():
    one = module().double().eval()
    losses(one)  # the first batch sets the class means
    block = one.classifier.flow.module_list[1].offset
    (slope,) = torch.autograd.grad(losses(one).distance, block)
    kept, means = block.detach().clone(), one.realism.class_means.clone()
    values = []
    for change in (1e-6, -1e-6):
        with torch.no_grad():
            block.copy_(kept)
            block[0, 1] += change
            one.realism.class_means.copy_(means)
            one.realism.batches.fill_(10**9)  # almost no step away from these means
            values.append(float(losses(one).distance))
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(float(slope[0, 1]), rel=0.05)


def test_its_counterfactuals_are_those_of_the_explainer():
    one = module().double().eval()
    made, target, distance = one.realism._counterfactuals(one.classifier, IMAGES, (0.8, 0.5))
    one.classifier.class_means.copy_(one.realism.class_means)
    one.classifier.class_counts.fill_(1)
    cf = Explainer(one.classifier).explain(IMAGES, target)
    torch.testing.assert_close(made, cf.image, rtol=0, atol=1e-9)
    assert (cf.target != cf.source).all()
    assert distance >= (made - IMAGES / 255).abs().mean() - 1e-12  # of what lies outside, too


def test_class_means_are_those_of_the_first_batch_and_then_follow():
    one = module().double().eval()
    z, _ = one.classifier.encode(IMAGES)
    source = one.classifier.mixture.log_posterior(z).argmax(1)
    one.realism._follow(z.detach(), source)
    for k in source.unique():
        torch.testing.assert_close(one.realism.class_means[k], z[source == k].mean(0).detach())
    before = one.realism.class_means.clone()
    one.realism._follow(z.detach() + 1, source)
    torch.testing.assert_close(one.realism.class_means[source[0]], before[source[0]] + 0.5)


def test_batch_norm_and_dropout_are_as_they_were():
    one = module(dropouts=[0.5])
    one.train()
    stats = [b.clone() for b in one.classifier.flow.buffers()]
    losses(one)
    assert all(m.training for m in one.classifier.flow.modules())
    for before, after in zip(stats, one.classifier.flow.buffers(), strict=True):
        assert torch.equal(before, after)


def test_dither_stays_within_half_a_grey_level():
    grey = torch.rand(2, 1, 8, 8, dtype=torch.float64)
    assert (_dithered(grey) - grey).abs().max() <= 0.5 / 255


def test_it_trains_goes_on_and_explains(tmp_path):
    path = tmp_path / "a.ckpt"
    whole = module(realism_from=0.25)
    settings = {"max_epochs": 2, "gradient_clip_val": 8.0}
    trainer(tmp_path, **settings).fit(whole, Data())
    trainer(tmp_path, StopAfter(6, path), **settings).fit(module(realism_from=0.25), Data())
    again = module(realism_from=0.25)
    trainer(tmp_path, **settings).fit(again, Data(), ckpt_path=path)
    for name, value in whole.state_dict().items():
        torch.testing.assert_close(again.state_dict()[name], value, rtol=1e-5, atol=1e-6, msg=name)
    assert not torch.equal(whole.realism.critic.head.weight, module().realism.critic.head.weight)
    assert Explainer.from_checkpoint(path).image_shape == (1, 8, 8)


def test_before_it_begins_the_training_is_the_papers(tmp_path):
    without = ibinn(optimizer="adamw")
    late = module(realism_from=0.99)
    late.realism.batches.zero_()
    for layer in late.modules():
        if isinstance(layer, torch.nn.BatchNorm2d):
            layer.momentum = 0.1
    for one in (without, late):
        trainer(tmp_path, max_epochs=1).fit(one, Data())
    for name, value in without.classifier.state_dict().items():
        torch.testing.assert_close(value, late.classifier.state_dict()[name], msg=name)


def test_no_critic_is_there_by_default():
    one = ibinn()
    assert one.realism is None
    assert not [name for name in one.state_dict() if "critic" in name]


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"realism": -1}, "realism"),
        ({"realism_from": 1.0}, "realism_from"),
        ({"realism_share": 1.5}, "realism_share is 1.5; give a number up to 1"),
        ({"critic_width": 0}, "critic_width is 0"),
        ({"realism": 0.0, "closeness": 1.0}, "without realism no counterfactuals are made"),
        ({"optimizer": "sgd"}, "set optimizer to adam or adamw"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        module(**settings)


def test_a_training_without_end_has_no_shares(tmp_path):
    with pytest.raises(ValueError, match="realism_from is a share of the training"):
        trainer(tmp_path, max_epochs=-1, max_time="00:00:00:05").fit(module(), Data())


def test_the_head_start_is_a_share():
    assert 0 < HEAD_START < 1
    assert isinstance(module().realism, Realism)
    assert RealismSettings().realism == 0
