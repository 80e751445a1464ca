"""Training in 16 bits leaves what is inverted, and what is reported, in full precision."""

import copy

import pytest
import pytorch_lightning as pl
import torch

from lightning_ecinn import Explainer, GenerativeClassifier
from lightning_ecinn.datamodules import InMemoryDataModule
from lightning_ecinn.training import IBINN

IMAGES = torch.randint(0, 256, (24, 1, 8, 8), generator=torch.Generator().manual_seed(0)).byte()
NETWORK = {"blocks": [2, 2], "widths": [8, 8], "dropouts": [0.0, 0.1], "fc_width": 16}


class Data(InMemoryDataModule):
    """Noise in two classes."""

    def __init__(self):
        super().__init__((1, 8, 8), ["a", "b"], val_size=4, batch_size=10)

    def load(self, train):
        return IMAGES, torch.arange(24) % 2


@pytest.fixture
def classifier():
    torch.manual_seed(0)
    model = GenerativeClassifier((1, 8, 8), 2, **NETWORK)
    model.flow(torch.randn(32, 1, 8, 8))
    model.class_means.copy_(model.mixture.component_means)
    model.class_counts.fill_(1)
    return model.eval()


def autocast():
    return torch.autocast("cpu", dtype=torch.bfloat16)


def test_autocast_reaches_the_subnets_only(classifier):
    v = torch.randn(5, 1, 8, 8)
    with autocast():
        z, log_det = classifier.flow(v)
    assert z.dtype == log_det.dtype == torch.float32
    assert not torch.equal(z, classifier.flow(v)[0])
    with torch.no_grad():
        for name, parameter in classifier.flow.named_parameters():
            if "subnet" in name:
                parameter.zero_()
    exact = classifier.flow(v)
    with autocast():
        torch.testing.assert_close(classifier.flow(v), exact, rtol=0, atol=0)
        torch.testing.assert_close(classifier.flow(exact[0], rev=True)[0], v)


def test_flow_under_autocast_is_close_and_invertible(classifier):
    v = torch.randn(5, 1, 8, 8)
    exact, _ = classifier.flow(v)
    with autocast():
        z, _ = classifier.flow(v)
        back, _ = classifier.flow(z, rev=True)
    assert (z - exact).abs().max() < 0.05 * exact.abs().max()
    assert (back - v).abs().max() < 0.01


def test_mixture_and_explanations_ignore_autocast(classifier):
    images = torch.rand(5, 1, 8, 8)
    explainer = Explainer(classifier)
    z, _ = explainer.encode(images)
    expected = explainer.explain(images, 1)
    logits, log_prob = classifier.mixture.logits(z), explainer.log_prob(images)
    with autocast():
        folded_here = Explainer(classifier).explain(images, 1)
        torch.testing.assert_close(folded_here.image, expected.image, rtol=0, atol=0)
        torch.testing.assert_close(classifier.mixture.logits(z), logits, rtol=0, atol=0)
        torch.testing.assert_close(explainer.log_prob(images), log_prob, rtol=0, atol=0)
        given = explainer.explain(images, 1)
    tensors = {name: v for name, v in vars(expected).items() if isinstance(v, torch.Tensor)}
    assert {"image", "alpha", "latent"} <= tensors.keys()
    for name, value in tensors.items():
        torch.testing.assert_close(getattr(given, name), value, rtol=0, atol=0)


def trainer(tmp_path, precision="32-true", **settings):
    quiet = {"logger": False, "enable_progress_bar": False, "enable_model_summary": False}
    return pl.Trainer(
        accelerator="cpu",
        max_epochs=1,
        precision=precision,
        gradient_clip_val=1.0,
        default_root_dir=tmp_path,
        enable_checkpointing=False,
        **quiet | settings,
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_bf16_mixed_trains_float32_weights_and_evaluates_exactly(tmp_path, optimizer):
    pl.seed_everything(0)
    model, data = IBINN((1, 8, 8), 2, optimizer=optimizer, lr=1e-3, **NETWORK), Data()
    before = copy.deepcopy(model.state_dict())
    mixed = trainer(tmp_path, "bf16-mixed")
    mixed.fit(model, data)
    changed = [key for key, v in model.state_dict().items() if not torch.equal(v, before[key])]
    assert any("subnet" in key for key in changed)
    assert all(p.dtype == torch.float32 and p.isfinite().all() for p in model.parameters())
    results = [
        trainer(tmp_path, precision).validate(model, data, verbose=False)[0]
        for precision in ("bf16-mixed", "32-true")
    ]
    assert results[0] == results[1]


@pytest.mark.parametrize("precision", ["bf16-true", "16-true"])
def test_16_bit_weights_are_refused(tmp_path, precision):
    with pytest.raises(ValueError, match=f"can't be computed in {precision}.*bf16-mixed"):
        trainer(tmp_path, precision).fit(IBINN((1, 8, 8), 2, **NETWORK), Data())


def test_compiling_leaves_names_and_values(tmp_path, monkeypatch):
    compiled = []
    real = torch.nn.Module.compile

    def eagerly(self):
        compiled.append(type(self).__name__)
        real(self, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", eagerly)
    results = []
    for compile in (False, True):
        pl.seed_everything(0)
        model = IBINN((1, 8, 8), 2, lr=1e-3, compile=compile, **NETWORK)
        trainer(tmp_path, max_steps=1).fit(model, Data())
        results.append(model.state_dict())
    assert compiled.count("CouplingBlock") == 4
    assert compiled.count("DownsamplingCoupling") == 1
    assert list(results[0]) == list(results[1])
    torch.testing.assert_close(results[0], results[1])
