"""The dependency arrows: the maths knows no trainer, and nothing points back."""

import ast
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
PACKAGES = ("lightning_ecinn", "datamodules", "callbacks")
GUARD = "lightning_ecinn.torchvision_guard"

# What may import what: a name may import its own level and those before it. The longest name
# that fits counts.
LEVELS = [
    {GUARD, "experiments", "lightning_ecinn.archives"},
    {"lightning_ecinn.flows", "lightning_ecinn.mixture", "lightning_ecinn.preprocessing"},
    {"lightning_ecinn.classifier", "lightning_ecinn.networks"},
    {"lightning_ecinn.checkpoints"},
    {
        "lightning_ecinn.losses",
        "lightning_ecinn.certificates",
        "lightning_ecinn.class_means",
        "lightning_ecinn.counterfactuals",
        "lightning_ecinn.explainer",
        "lightning_ecinn.attribution",
        "lightning_ecinn.metrics",
        "lightning_ecinn.autoencoders",
    },
    {"lightning_ecinn"},  # the public face, and any module without a line of its own
    {
        "lightning_ecinn.figures",
        "lightning_ecinn.comparison",
        "lightning_ecinn.runs",
        "datamodules",
    },
    {"lightning_ecinn.modules"},
    {"callbacks"},
    {"lightning_ecinn.trainer", "lightning_ecinn.parsing"},
    {"lightning_ecinn.cli", "lightning_ecinn.__main__"},
]
MAY_IMPORT = {
    "pytorch_lightning": (
        "lightning_ecinn.modules",
        "lightning_ecinn.cli",
        "lightning_ecinn.trainer",
        "callbacks",
        "datamodules",
    ),
    "wandb": ("lightning_ecinn.cli", "callbacks.media"),
}


def within(name, parent):
    return name == parent or name.startswith(parent + ".")


def level(name):
    fits = [(len(k), n) for n, keys in enumerate(LEVELS) for k in keys if within(name, k)]
    return max(fits)[1]


def module_name(path):
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


MODULES = {
    module_name(path): path for package in PACKAGES for path in (ROOT / package).rglob("*.py")
}


def imports(name):
    """Every module a file imports, anywhere in it, submodules resolved."""
    found = set()
    for node in ast.walk(ast.parse(MODULES[name].read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} uses a relative import: write the full name"
            for alias in node.names:
                full = f"{node.module}.{alias.name}"
                found.add(full if full in MODULES else node.module)
    return found


def ours(name):
    return {other for other in imports(name) if other in MODULES or other == "experiments"}


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_one_way(name):
    wrong = sorted(other for other in ours(name) if level(other) > level(name))
    assert not wrong, f"{name} must not import {', '.join(wrong)}"


def test_there_is_no_circle():
    graph = {name: ours(name) - {name} for name in MODULES}
    list(TopologicalSorter(graph).static_order())


@pytest.mark.parametrize("name", sorted(MODULES))
@pytest.mark.parametrize("library", MAY_IMPORT)
def test_libraries_stay_in_their_layer(name, library):
    if any(within(other, library) for other in imports(name)):
        assert any(within(name, layer) for layer in MAY_IMPORT[library]), (
            f"{name} must not import {library}"
        )


def test_flows_know_only_themselves():
    for name in MODULES:
        if within(name, "lightning_ecinn.flows"):
            assert all(within(other, "lightning_ecinn.flows") for other in ours(name)), name


@pytest.mark.parametrize("name", ["mixture", "preprocessing", "losses", "metrics", "class_means"])
def test_plain_maths_stands_alone(name):
    whole = f"lightning_ecinn.{name}"
    for module in (module for module in MODULES if within(module, whole)):
        assert all(within(other, whole) for other in ours(module)), module


def test_data_modules_know_nothing_of_models():
    for name in MODULES:
        if within(name, "datamodules"):
            foreign = {other for other in ours(name) if not within(other, "datamodules")}
            assert foreign <= {GUARD}, f"{name} imports {foreign}"
