"""Ordinary networks: equal to torchvision's, fit for DeepLift, whole again from a checkpoint."""

import warnings

import pytest
import torch
from torch import nn

from lightning_ecinn import GenerativeClassifier, load_classifier, load_model, load_network
from lightning_ecinn.models.checkpoints import read_checkpoint
from lightning_ecinn.models.networks import ConvNetwork, InceptionNetwork, build_network
from lightning_ecinn.training import InceptionV3, SmallCNN

NAMES = ("ant", "bee")


@pytest.fixture(scope="module")
def inception():
    torch.manual_seed(0)
    return InceptionNetwork((1, 20, 20), 2, NAMES).eval()


@pytest.fixture
def conv():
    torch.manual_seed(0)
    return ConvNetwork((3, 12, 12), 2, NAMES, widths=[4, 6], dropout=0.3).eval()


def saved(entry, model, path):
    state = {f"{entry}.{key}": value for key, value in model.state_dict().items()}
    torch.save({entry: model.config, "state_dict": state}, path)
    return path


def copied(network, **changed):
    copy = build_network(network.config | changed).eval()
    copy.load_state_dict(network.state_dict())
    return copy


@pytest.mark.parametrize("side", [224, 80])
def test_inception_is_torchvisions(inception, side):
    """Same names, same outputs, after torchvision's own normalisation for ImageNet."""
    from torchvision.models import inception_v3
    from torchvision.transforms.functional import InterpolationMode, normalize, resize

    theirs = inception_v3(
        weights=None, num_classes=2, aux_logits=False, transform_input=True, init_weights=False
    )
    assert theirs.state_dict().keys() == inception.inception.state_dict().keys()
    theirs.load_state_dict(inception.inception.state_dict())
    images = torch.rand(1, 1, 20, 20)
    if side != 224:
        inception = copied(inception, side=side)
    x = resize(images, [side, side], InterpolationMode.BILINEAR, antialias=True)
    x = normalize(x.expand(-1, 3, -1, -1), (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
    with torch.no_grad():
        torch.testing.assert_close(inception(images), theirs.eval()(x), rtol=1e-4, atol=1e-4)


def test_inception_learns_from_one_batch():
    torch.manual_seed(0)
    network = InceptionNetwork((3, 16, 16), 3)
    images = torch.rand(2, 3, 16, 16, requires_grad=True)
    logits = network.train()(images)
    assert logits.shape == (2, 3)
    logits.sum().backward()
    assert images.grad.abs().sum() > 0
    assert all(p.grad is not None for p in network.parameters())


def calls_of(network, images):
    counts, hooks = {}, []
    for name, module in network.named_modules():
        if isinstance(module, nn.ReLU | nn.MaxPool2d):
            counts[name] = 0
            count = lambda *_, name=name: counts.update({name: counts[name] + 1})  # noqa: E731
            hooks.append(module.register_forward_hook(count))
    with torch.no_grad():
        network(images)
    for hook in hooks:
        hook.remove()
    return counts


def test_every_relu_is_a_module_called_once(inception, conv):
    counts = calls_of(inception, torch.rand(1, 1, 20, 20))
    assert set(counts.values()) == {1}
    norms = sum(isinstance(m, nn.BatchNorm2d) for m in inception.modules())
    assert sum("relu" in name for name in counts) == norms == 94
    counts = calls_of(conv, torch.rand(1, 3, 12, 12))
    assert list(counts.values()) == [1] * 5  # four ReLUs and the pooling between the stages


@pytest.mark.filterwarnings("ignore")
def test_deep_lift_is_complete_on_the_small_network():
    """Captum's rules see every non-linearity: what is left is its rule for max pooling."""
    from captum.attr import DeepLift

    torch.manual_seed(0)
    network = ConvNetwork((1, 8, 8), 2, widths=[6]).double().eval()
    images = torch.rand(3, 1, 8, 8, dtype=torch.float64)
    baselines = torch.zeros_like(images)
    heatmap = DeepLift(network).attribute(images, baselines, target=1)
    with torch.no_grad():
        difference = (network(images) - network(baselines))[:, 1]
    torch.testing.assert_close(heatmap.sum((1, 2, 3)), difference)


def test_features_and_posterior(inception, conv):
    for network, num_features in ((inception, 2048), (conv, 6)):
        images = torch.rand(1, *network.image_shape)
        with torch.no_grad():
            features = network.features(images)
            last = network.head if network is conv else network.inception.fc
            assert features.shape == (1, num_features)
            torch.testing.assert_close(network.posterior(images), last(features).softmax(1))


def test_uint8_and_float_images_are_the_same(conv):
    images = torch.randint(0, 256, (4, 3, 12, 12), dtype=torch.uint8)
    conv = conv.double()
    torch.testing.assert_close(conv(images), conv(images.double() / 255))


@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 9, 13), (1, 28, 28), (3, 64, 64)])
def test_any_side(shape):
    assert ConvNetwork(shape, 5)(torch.rand(2, *shape)).shape == (2, 5)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: ConvNetwork((2, 8, 8), 2), "1 or 3 channels, got image_shape"),
        (lambda: ConvNetwork((1, 3, 8), 2), "widths is .16, 32, 64.: give one or more"),
        (lambda: ConvNetwork((1, 8, 8), 2, widths=[]), "widths is "),
        (lambda: ConvNetwork((1, 8, 8), 2, dropout=1.0), "dropout is 1.0; give"),
        (lambda: ConvNetwork((1, 8, 8), 2, ["a"]), "one name for each of 2 classes"),
        (lambda: ConvNetwork((1, 8, 8), 2)(torch.rand(2, 1, 9, 8)), "must be .B, 1, 8, 8."),
        (lambda: ConvNetwork((1, 8, 8), 2)(torch.ones(2, 1, 8, 8).long()), "must be uint8"),
        (lambda: InceptionNetwork((1, 8, 8), 2, weights="mine"), 'weights must be "imagenet"'),
        (lambda: InceptionNetwork((1, 8, 8), 2, side=74), "side is 74: Inception-v3 needs"),
        (lambda: build_network({"kind": "vgg"}), "no network of kind 'vgg', only conv, inc"),
        (lambda: SmallCNN(None, None), "The data module must say what its images are"),
        (lambda: SmallCNN((1, 8, 8), 2, lr=0.0), "lr is 0.0; give a positive number"),
        (lambda: SmallCNN((1, 8, 8), 2, weight_decay=-1), "weight_decay is -1; give"),
        (lambda: SmallCNN((1, 8, 8), 2, label_smoothing=1.0), "label_smoothing is 1.0; give"),
    ],
)
def test_what_is_wrong_is_said(make, message):
    with pytest.raises(ValueError, match=message):
        make()


def test_weights_that_can_not_be_downloaded(monkeypatch):
    def fail(*args, **kwargs):
        raise OSError("no route to host")

    monkeypatch.setattr("torchvision._internally_replaced_utils.load_state_dict_from_url", fail)
    monkeypatch.setattr("torchvision.models._api.load_state_dict_from_url", fail)
    with pytest.raises(ValueError, match=r"can't be downloaded .*no route to host.*null"):
        InceptionNetwork((3, 16, 16), 2, weights="imagenet")


def test_weights_of_imagenet_but_for_the_heads(monkeypatch):
    from torchvision.models import inception_v3

    torch.manual_seed(1)
    theirs = inception_v3(weights=None, init_weights=False)  # with both heads, 1000 classes
    state = theirs.state_dict()
    monkeypatch.setattr(
        "torchvision.models._api.load_state_dict_from_url", lambda *args, **kwargs: state
    )
    network = InceptionNetwork((3, 16, 16), 2, weights="imagenet")
    ours = network.inception.state_dict()
    body = [key for key in ours if not key.startswith("fc.")]
    assert len(body) == len(ours) - 2
    assert all(torch.equal(ours[key], state[key]) for key in body)
    assert ours["fc.weight"].shape == (2, 2048)
    assert "weights" not in network.config  # a checkpoint needs no download


@pytest.mark.parametrize("load", [load_network, load_model])
def test_round_trip(conv, tmp_path, load):
    path = saved("network", conv, tmp_path / "best.ckpt")
    loaded = load(path)
    assert type(loaded) is ConvNetwork
    assert not loaded.training
    assert loaded.config == conv.config == read_checkpoint(path, "network").config
    assert loaded.class_names == NAMES
    images = torch.rand(2, 3, 12, 12)
    assert torch.equal(loaded(images), conv(images))


def test_inception_round_trip(inception, tmp_path):
    loaded = load_network(saved("network", inception, tmp_path / "best.ckpt"))
    state = inception.state_dict()
    assert all(torch.equal(state[key], value) for key, value in loaded.state_dict().items())
    assert loaded.config == inception.config


def test_each_kind_of_model_is_refused_where_the_other_is_needed(conv, tmp_path):
    network = saved("network", conv, tmp_path / "network.ckpt")
    flow = GenerativeClassifier((1, 4, 4), 2, blocks=(1,), widths=(4,), dropouts=(0,), fc_width=8)
    classifier = saved("classifier", flow, tmp_path / "classifier.ckpt")
    assert isinstance(load_model(classifier), GenerativeClassifier)
    with pytest.raises(ValueError, match="an ordinary network, and counterfactuals need an inv"):
        load_classifier(network)
    with pytest.raises(ValueError, match="a generative classifier, where an ordinary network"):
        load_network(classifier)
    with pytest.raises(ValueError, match="an ordinary network, and"):
        read_checkpoint(network, "classifier")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ({"state_dict": {}}, "neither an entry 'classifier' nor 'network'"),
        ([1], "neither an entry"),
        ({"network": {"kind": "conv"}}, "has no entry 'state_dict'"),
        ({"network": {"kind": "vgg"}, "state_dict": {}}, "no network of kind 'vgg'"),
        ({"network": {"kind": "conv", "a": 1}, "state_dict": {}}, "does not fit this version"),
    ],
)
def test_files_that_hold_no_model(tmp_path, content, message):
    torch.save(content, tmp_path / "file.ckpt")
    with pytest.raises(ValueError, match=message):
        load_model(tmp_path / "file.ckpt")
    with pytest.raises(FileNotFoundError, match="No checkpoint at"):
        load_model(tmp_path / "none.ckpt")


def test_a_few_steps_lower_the_loss():
    torch.manual_seed(0)
    module = SmallCNN((1, 8, 8), 2, widths=[4, 8], lr=0.01)
    labels = torch.arange(32) % 2
    images = torch.rand(32, 1, 8, 8) * 0.3
    images[labels == 1, :, 2:4] += 0.6
    module.log_dict = lambda *args, **kwargs: None
    optimizer = module.configure_optimizers()
    losses = []
    for _ in range(20):
        optimizer.zero_grad()
        loss = module.training_step((images, labels), 0)
        loss.backward()
        optimizer.step()
        losses.append(loss.item())
    assert losses[-1] < 0.3 * losses[0]


def test_the_modules_network_survives_a_checkpoint(tmp_path):
    module = SmallCNN((1, 8, 8), 2, NAMES, widths=[4])
    checkpoint = {"state_dict": module.state_dict(), "hyper_parameters": dict(module.hparams)}
    module.on_save_checkpoint(checkpoint)
    torch.save({**checkpoint, "pytorch-lightning_version": "2.6.0"}, tmp_path / "best.ckpt")
    assert load_network(tmp_path / "best.ckpt").config == module.network.config
    loaded = SmallCNN.load_from_checkpoint(tmp_path / "best.ckpt", map_location="cpu")
    images = torch.rand(2, 1, 8, 8)
    assert torch.equal(loaded.eval()(images), module.eval()(images))
    other = SmallCNN((1, 9, 9), 2, NAMES, widths=[4])
    with pytest.raises(ValueError, match=r"image_shape \[1, 8, 8\], but the data's is \[1, 9, 9\]"):
        other.on_load_checkpoint(checkpoint)
    other = SmallCNN((1, 8, 8), 2, ["cat", "dog"], widths=[4])
    with pytest.raises(ValueError, match=r"class_names .*ant.*but the data's is .*cat"):
        other.on_load_checkpoint(checkpoint)


def test_the_inception_module_has_the_papers_settings():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        module = InceptionV3((3, 16, 16), 2)
    optimizer = module.configure_optimizers()
    assert optimizer.defaults["lr"] == 0.001
    assert optimizer.defaults["weight_decay"] == 0  # AdamW without it is Adam
    assert "weights" not in module.hparams
    assert sum(p.numel() for p in module.parameters()) == 21_789_666
