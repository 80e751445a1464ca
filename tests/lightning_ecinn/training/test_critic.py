"""A critic beside the training: who learns what, from exact counterfactuals."""

import pytest
import pytorch_lightning as pl
import torch
from tiny import IMAGES, LABELS, Data, StopAfter, ibinn, trainer
from torch.nn import BatchNorm2d

from lightning_ecinn import Explainer
from lightning_ecinn.ecinn.settings import PathSettings
from lightning_ecinn.training.criticism import dithered, partners
from lightning_ecinn.training.witness import running_statistics

SETTINGS = {"realism": 1.0, "recognition": 1.0, "critic_width": 4, "optimizer": "adamw"}


def module(**settings):
    return ibinn(**{**SETTINGS, **settings})


def latents(module):
    with running_statistics(module.classifier.flow):
        return module.classifier.flow(module.classifier.preprocessing(IMAGES))[0]


def losses(module, listened=True, penalised=False, count=24):
    z = latents(module)
    torch.manual_seed(1)
    return module.realism(
        module.classifier,
        IMAGES,
        LABELS,
        z,
        PathSettings(),
        count=count,
        listened=listened,
        penalised=penalised,
    )


def gradients(loss, parameters):
    parameters = [p for p in parameters if p.requires_grad]
    found = torch.autograd.grad(loss, parameters, allow_unused=True, retain_graph=True)
    return [g for g in found if g is not None and g.abs().max() > 0]


def test_the_network_learns_from_critic_and_witness_and_these_from_pictures():
    one = module()
    network, recognition, critic, distance = losses(one)
    for loss in (network, recognition, distance):
        assert gradients(loss, one.classifier.parameters())
    for loss in (losses(one).network, losses(one).recognition):
        assert not gradients(loss, one.realism.critic.parameters())
        assert not gradients(loss, one.realism.witness.parameters())
    assert gradients(critic, one.realism.critic.parameters())
    assert not gradients(losses(one).critic, one.classifier.parameters())
    taught = one.realism.witness.teach(IMAGES, LABELS)
    assert gradients(taught, one.realism.witness.parameters())


def test_nobody_listens_in_the_head_start():
    one = module()
    found = losses(one, listened=False)
    assert not found.network.requires_grad
    assert gradients(found.critic, one.realism.critic.parameters())


@pytest.mark.parametrize("loss", ["distance", "recognition", "network"])
def test_gradients_through_encoder_class_means_and_decoder_are_finite_differences(loss):
    one = module().double().eval()
    block = one.classifier.flow.module_list[1].offset

    def value():
        one.realism.seen.zero_()  # so that the class means are this batch's alone
        return getattr(losses(one), loss)

    (slope,) = torch.autograd.grad(value(), block)
    values = []
    for change in (1e-6, -2e-6):
        with torch.no_grad():
            block[0, 1] += change
        values.append(float(value().detach()))
    assert abs(slope[0, 1]) > 1e-5
    assert (values[0] - values[1]) / 2e-6 == pytest.approx(float(slope[0, 1]), rel=1e-5)


@pytest.mark.parametrize("truncation", [1.0, 0.7])
def test_its_counterfactuals_are_those_of_the_explainer(truncation):
    one, path = module().double().eval(), {"truncation": truncation, "convincing_step": (0.9, 0.4)}
    means = one.realism._follow(one.classifier, latents(one))
    made, target, distance = one.realism._counterfactuals(
        one.classifier, IMAGES, means, PathSettings(**path)
    )
    one.classifier.class_means.copy_(one.realism.class_means)
    one.classifier.class_counts.fill_(1)
    cf = Explainer(one.classifier, **path).explain(IMAGES, target)
    torch.testing.assert_close(made, cf.image, rtol=0, atol=1e-9)
    assert (cf.target != cf.source).all()
    assert distance >= (made - IMAGES / 255).abs().mean() - 1e-12  # of what lies outside, too


def test_class_means_are_those_of_the_first_batch_and_then_follow():
    one = module().double().eval()
    z = latents(one).detach().requires_grad_()
    source = one.classifier.mixture.log_posterior(z).argmax(1)
    means = one.realism._follow(one.classifier, z)
    for k in source.unique():
        torch.testing.assert_close(means[k], z[source == k].mean(0))
    (slope,) = torch.autograd.grad(means[source[0]].sum(), z)
    share = 1 / float((source == source[0]).sum())
    torch.testing.assert_close(slope[0], torch.full_like(slope[0], share))
    before = one.realism.class_means[source[0]].clone()
    half = z.detach() + 0.01
    assert torch.equal(one.classifier.mixture.scores(half).argmax(1), source)
    after = one.realism._follow(one.classifier, half)
    torch.testing.assert_close(after[source[0]], before + 0.005)


def test_a_partner_is_an_image_of_the_target():
    labels, target = torch.tensor([0, 1, 1, 2, 2, 2]), torch.tensor([2, 0, 1, 3, 1])
    for seed in range(20):
        torch.manual_seed(seed)
        partner, paired = partners(labels, target)
        assert paired.tolist() == [True, True, True, False, True]
        assert torch.equal(labels[partner][paired], target[paired])


def test_batch_norm_keeps_what_it_knows_once_the_critic_begins(tmp_path):
    class Watch(pl.Callback):
        def __init__(self):
            self.modes, self.means = [], []

        def on_train_batch_end(self, trainer, pl_module, *_):
            norms = [m for m in pl_module.classifier.modules() if isinstance(m, BatchNorm2d)]
            self.modes.append(norms[0].training)
            self.means.append(norms[0].running_mean.clone())

    watch, one = Watch(), module(realism_from=0.5)
    trainer(tmp_path, watch, max_epochs=2).fit(one, Data())
    count = len(watch.modes)
    assert watch.modes == [True] * (count // 2) + [False] * (count // 2)
    assert not torch.equal(watch.means[0], watch.means[count // 2 - 1])
    assert torch.equal(watch.means[count // 2 - 1], watch.means[-1])


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
    assert (dithered(grey) - grey).abs().max() <= 0.5 / 255


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
    late.realism.seen.zero_()
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
        ({"realism": 0.0, "recognition": 0.0, "closeness": 1.0}, "closeness is 1.0, but without"),
        ({"realism": 0.0}, "recognition is 1.0, but without realism no counterfactuals are made"),
        ({"recognition": -1}, "recognition"),
        ({"optimizer": "sgd"}, "set optimizer to adam or adamw"),
    ],
)
def test_what_cannot_be_trained_with_is_refused(settings, sentence):
    with pytest.raises(ValueError, match=sentence):
        module(**settings)


def test_a_training_without_end_has_no_shares(tmp_path):
    with pytest.raises(ValueError, match="realism_from is a share of the training"):
        trainer(tmp_path, max_epochs=-1, max_time="00:00:00:05").fit(module(), Data())


def test_attention_rises_after_the_head_start():
    realism = module(realism_from=0.5).realism
    realism._steps = 200  # the critic begins in step 100, and is heard from step 120 on
    heard = [realism.attention(step) for step in (0, 100, 120, 125, 130, 200)]
    assert heard == pytest.approx([0, 0, 0, 0.5, 1, 1])
    realism.from_the_start()
    assert realism.attention(0) == 1


def test_reversible_training_is_the_same_to_rounding(tmp_path):
    found = []
    for reversible in (False, True):
        one = module(realism_from=0.0, reversible=reversible)
        trainer(tmp_path, max_epochs=1, gradient_clip_val=8.0).fit(one, Data())
        assert float(one.realism.balance.ratio) > 0
        found.append(one.classifier.state_dict())
    for name, value in found[0].items():
        torch.testing.assert_close(found[1][name], value, rtol=1e-3, atol=1e-3, msg=name)
