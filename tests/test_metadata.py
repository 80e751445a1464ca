"""What is said more than once about the package is said the same: version, dependencies, bounds."""

import re
from configparser import ConfigParser
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from packaging.version import Version

import lightning_ecinn

ROOT = Path(__file__).parents[1]
CONDA_NAMES = {"torch": "pytorch", "build": "python-build"}


def setup_cfg():
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    return config


def requirements(text):
    """Name to requirement, of lines of setup.cfg."""
    found = [Requirement(line) for line in text.splitlines() if line and line[0] != "#"]
    return {canonicalize_name(one.name): one for one in found}


def promised(*extras):
    """Name to requirement: what is always needed, and the extras."""
    config = setup_cfg()
    always = requirements(config["options"]["install_requires"])
    for extra in extras:
        always |= requirements(config["options.extras_require"][extra])
    return always


def by_conda():
    """Name to requirement of environment.yml: conda's, then pip's."""
    content = yaml.safe_load((ROOT / "environment.yml").read_text())["dependencies"]
    (pip,) = (one["pip"] for one in content if isinstance(one, dict))
    lines = [one for one in content if isinstance(one, str)]
    lines += [line for line in pip if not line.startswith("--editable")]
    assert "--editable ." in pip
    return requirements("\n".join(lines))


def workflow():
    return yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())


def test_the_workflow_runs_what_the_makefile_has():
    (targets,) = re.findall(r"^\.PHONY: (.*)$", (ROOT / "Makefile").read_text(), re.M)
    ran = [
        step["run"] for job in workflow()["jobs"].values() for step in job["steps"] if "run" in step
    ]
    assert {f"make {target}" for target in targets.split()} >= {*ran}
    assert {*ran} >= {"make test", "make test-lowest", "make lint", "make try-wheel", "make dist"}


def test_the_version_is_the_same_everywhere():
    version = setup_cfg()["metadata"]["version"]
    citation = yaml.safe_load((ROOT / "CITATION.cff").read_text())
    assert lightning_ecinn.__version__ == citation["version"] == version
    assert str(Version(version)) == version


def test_the_licence_is_the_same_everywhere():
    licence = setup_cfg()["metadata"]["license_expression"]
    assert yaml.safe_load((ROOT / "CITATION.cff").read_text())["license"] == licence
    assert (ROOT / "LICENSE").read_text().startswith(f"{licence} License")


def test_every_python_that_is_let_in_is_named_and_tested():
    config = setup_cfg()
    (python,) = requirements(f"python{config['options']['python_requires']}").values()
    let_in = {f"3.{minor}" for minor in range(30) if f"3.{minor}" in python.specifier}
    assert set(re.findall(r":: (3\.\d+)$", config["metadata"]["classifiers"], re.M)) == let_in
    for job in ("test", "wheel"):
        assert set(workflow()["jobs"][job]["strategy"]["matrix"]["python"]) == let_in
    assert by_conda()["python"].specifier == python.specifier


def test_conda_is_asked_for_the_same():
    wanted = {CONDA_NAMES.get(name, name): one for name, one in promised("dev").items()}
    asked = by_conda()
    assert set(asked) == {*wanted, "python", "pip"}
    for name, one in wanted.items():
        assert asked[name].specifier == one.specifier, name


def test_the_lowest_versions_are_those_promised():
    tested = requirements((ROOT / "tests/constraints-lowest.txt").read_text())
    lowest = {}
    for name, one in promised("dev", "onnx", "completion", "workspace").items():
        bounds = [part.version for part in one.specifier if part.operator in (">=", "==")]
        assert len(bounds) == bool(one.specifier), one
        lowest[name] = "".join(bounds)
    said = {name: str(one.specifier).removeprefix("==") for name, one in tested.items()}
    assert said == {name: bound for name, bound in lowest.items() if bound}


def test_an_extra_asks_for_what_development_does():
    """So that what its users have is what was tested."""
    dev, extras = promised("dev"), setup_cfg()["options.extras_require"]
    for extra in ("onnx", "completion", "workspace"):
        for name, one in requirements(extras[extra]).items():
            assert dev[name].specifier == one.specifier, extra


@pytest.mark.parametrize("version", ["2.6.2", "2.6.3"])
def test_releases_of_lightning_with_malware_are_refused(version):
    for asked in (promised(), by_conda()):
        specifier = asked["pytorch-lightning"].specifier
        assert version not in specifier
        assert "2.6.4" in specifier
