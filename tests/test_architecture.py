"""The dependency arrows: the maths knows no trainer, and nothing points back."""

import ast
from configparser import ConfigParser
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Folders of the repository and the packages that they are installed as.
FOLDERS = {
    "lightning_ecinn": "lightning_ecinn",
    "lightning_ecinn.datamodules": "datamodules",
    "lightning_ecinn.callbacks": "callbacks",
    "lightning_ecinn.experiments": "experiments",
}

# What may import what: a name may import its own level and those before it. The longest name
# that fits counts.
LEVELS = [
    {
        "lightning_ecinn",
        "lightning_ecinn.torchvision_guard",
        "lightning_ecinn.experiments",
        "lightning_ecinn.shipped",
        "lightning_ecinn.allocator",
        "lightning_ecinn.interruption",
        "lightning_ecinn.runs",
        "lightning_ecinn.whole_files",
        "lightning_ecinn.plain_text",
        "lightning_ecinn.progress",
        "lightning_ecinn.usage",
    },
    {"lightning_ecinn.pictures"},
    {"lightning_ecinn.flows"},
    {"lightning_ecinn.models"},
    {"lightning_ecinn.metrics", "lightning_ecinn.ecinn"},
    {"lightning_ecinn.attribution", "lightning_ecinn.blackbox", "lightning_ecinn.exported"},
    {"lightning_ecinn.figures", "lightning_ecinn.datamodules"},
    {
        "lightning_ecinn.comparison",
        "lightning_ecinn.evaluation",
        "lightning_ecinn.explanations",
        "lightning_ecinn.latent",
        "lightning_ecinn.page",
    },
    {"lightning_ecinn.training"},
    {"lightning_ecinn.callbacks"},
    {"lightning_ecinn.commands"},
    {"lightning_ecinn.cli"},
    {"lightning_ecinn.__main__"},
]
MAY_IMPORT = {
    "pytorch_lightning": (
        "lightning_ecinn.training",
        "lightning_ecinn.commands",
        "lightning_ecinn.cli",
        "lightning_ecinn.callbacks",
        "lightning_ecinn.datamodules",
    ),
    "wandb": ("lightning_ecinn.cli", "lightning_ecinn.callbacks.weights_and_biases"),
}


def within(name, parent):
    return name == parent or name.startswith(parent + ".")


def level(name):
    fits = [(len(k), n) for n, keys in enumerate(LEVELS) for k in keys if within(name, k)]
    length, number = max(fits)
    assert length > len("lightning_ecinn") or name == "lightning_ecinn", f"{name} has no level"
    return number


def module_name(package, path):
    parts = path.relative_to(ROOT / FOLDERS[package]).with_suffix("").parts
    return ".".join((package, *(parts[:-1] if parts[-1] == "__init__" else parts)))


MODULES = {
    module_name(package, path): path
    for package, folder in FOLDERS.items()
    for path in (ROOT / folder).rglob("*.py")
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
    return {other for other in imports(name) if other in MODULES}


def package(name):
    """The room that a module is in, or itself."""
    parts = name.split(".")
    return ".".join(parts[:2])


@pytest.mark.parametrize("name", sorted(MODULES))
def test_imports_point_one_way(name):
    wrong = sorted(other for other in ours(name) if level(other) > level(name))
    assert not wrong, f"{name} must not import {', '.join(wrong)}"


def test_there_is_no_circle():
    graph = {name: ours(name) - {name} for name in MODULES}
    list(TopologicalSorter(graph).static_order())


def test_there_is_no_circle_of_packages():
    graph = {}
    for name in MODULES:
        graph.setdefault(package(name), set()).update(map(package, ours(name)))
    list(TopologicalSorter({room: doors - {room} for room, doors in graph.items()}).static_order())


@pytest.mark.parametrize("name", sorted(MODULES))
def test_everything_is_imported_by_its_installed_name(name):
    loose = {"datamodules", "callbacks", "experiments"}
    assert not loose & {other.split(".")[0] for other in imports(name)}


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


@pytest.mark.parametrize(
    "name",
    ["models.mixture", "models.preprocessing", "training.losses", "metrics", "ecinn.class_means"],
)
def test_plain_maths_stands_alone(name):
    whole = f"lightning_ecinn.{name}"
    for module in (module for module in MODULES if within(module, whole)):
        assert all(within(other, whole) for other in ours(module)), module


def test_data_modules_know_nothing_of_models():
    of_all = LEVELS[0] - {"lightning_ecinn"}
    for name in MODULES:
        if within(name, "lightning_ecinn.datamodules"):
            known = ("lightning_ecinn.datamodules", "lightning_ecinn.pictures")
            foreign = {o for o in ours(name) if not any(within(o, room) for room in known)}
            assert not foreign - of_all, f"{name} imports {foreign}"


def test_every_package_is_installed():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    listed = config["options"]["packages"].split()
    assert listed == sorted(listed)
    assert set(listed) == {n for n, path in MODULES.items() if path.stem == "__init__"}
    pairs = config["options"]["package_dir"].strip().splitlines()
    assert dict(map(str.strip, pair.split("=")) for pair in pairs) == FOLDERS
