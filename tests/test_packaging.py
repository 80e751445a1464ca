"""Installed, as a wheel and in place: one name is installed, and its user's folders win."""

import os
import re
import shutil
import subprocess
import sys
import tarfile
import zipfile
from configparser import ConfigParser
from pathlib import Path
from types import SimpleNamespace

import pytest
import setuptools

ROOT = Path(__file__).parents[1]
NAME = "lightning_ecinn"
NOT_INSTALLED = (".ci", ".github", "benchmarks", "docs", "tests", "tools")

# What somebody has in a folder of their own, under names that are folders of the checkout too.
THEIRS = {
    "callbacks/__init__.py": """
        import os

        import pytorch_lightning as pl

        class Mine(pl.Callback):
            def on_fit_end(self, trainer, pl_module):
                line = f"my callback, on {type(trainer.datamodule).__module__}\\n"
                os.write(1, line.encode())  # at once: another process may write too
    """,
    "datamodules.py": """
        import lightning_ecinn

        class Mine(lightning_ecinn.MNIST):
            def setup(self, stage):
                print("my data")
                super().setup(stage)
    """,
    "experiments/smoke.yaml": "nothing: that the command line knows\n",
}
USED = ["--trainer.callbacks", "callbacks.Mine", "--data", "datamodules.Mine"]
TINY = ["--trainer.limit_train_batches", "1", "--trainer.limit_val_batches", "1"]
TINY += ["--trainer.limit_test_batches", "1", "--data.batch_size", "10"]
TINY += ["--data.val_size", "29980", "--data.eval_batch_size", "10"]  # 20 to train on
TINY += ["--model.blocks", "[1,1]", "--model.widths", "[4,4]"]
TINY += ["--model.fc_width", "8", "--trainer.enable_progress_bar", "false"]
TINY += ["--trainer.logger", "false"]
SMOKE = ["--config", "smoke.yaml", *USED, *TINY]


def run(*command, cwd, **variables):
    """Run a command, on one core and with nothing of this process's own path; what it prints."""
    environment = {k: v for k, v in os.environ.items() if k not in ("PYTHONPATH", "PYTHONSAFEPATH")}
    environment |= {"OMP_NUM_THREADS": "1", "WANDB_MODE": "offline", **variables}
    done = subprocess.run(
        list(map(str, command)), cwd=cwd, env=environment, capture_output=True, text=True
    )
    shown = done.stdout + done.stderr
    assert done.returncode == 0, shown[-3000:]
    return shown


def files(folder):
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*") if path.is_file()}


def package_folders():
    """The folders of the checkout, by the package that each is installed as."""
    config = ConfigParser()
    config.read(ROOT / "setup.cfg")
    pairs = config["options"]["package_dir"].strip().splitlines()
    return dict(map(str.strip, pair.split("=")) for pair in pairs)


@pytest.fixture(scope="module")
def checkout(tmp_path_factory):
    """A copy of the checkout: building writes into it."""
    copy = tmp_path_factory.mktemp("checkout")
    for folder in (*package_folders().values(), *NOT_INSTALLED):
        shutil.copytree(ROOT / folder, copy / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for path in filter(Path.is_file, ROOT.iterdir()):
        shutil.copy(path, copy)
    return copy


def only_setuptools(folder):
    """A folder for PYTHONPATH with what an installation in place is built by, and no more."""
    library = Path(setuptools.__file__).parents[1]
    for path in (*library.glob("setuptools*"), library / "_distutils_hack"):
        (folder / path.name).symlink_to(path)
    return folder


@pytest.fixture(scope="module")
def built(checkout, tmp_path_factory):
    """The sdist, the wheel that is built from it, and what was said."""
    folder = tmp_path_factory.mktemp("built")
    build = [sys.executable, "-m", "build", "--no-isolation", "--outdir", folder, checkout]
    said = run(*build, cwd=folder)
    (sdist,), (wheel,) = folder.glob("*.tar.gz"), folder.glob("*.whl")
    return SimpleNamespace(sdist=sdist, wheel=wheel, said=said)


def install(kind, python, checkout, wheel, folder):
    """Install for an interpreter, without the network: of the dependencies it sees none yet."""
    pip = [sys.executable, "-m", "pip", "--python", python, "--disable-pip-version-check"]
    pip += ["install", "--no-deps", "--no-index"]
    if kind == "wheel":
        run(*pip, wheel, cwd=folder)
    else:
        path = str(only_setuptools(folder))
        run(*pip, "--no-build-isolation", "--editable", checkout, cwd=folder, PYTHONPATH=path)


@pytest.fixture(scope="module", params=["wheel", "editable"])
def installed(request, checkout, built, tmp_path_factory):
    """An environment of its own with the project in it, beside the dependencies of this one.

    Those come by a line in a .pth file. The .pth files in the folder that it names are not read,
    so that an installation in place in this environment stays out; a test looks.
    """
    place = tmp_path_factory.mktemp("venv")
    run(sys.executable, "-m", "venv", "--without-pip", place, cwd=place)
    binaries, (site,) = place / "bin", place.glob("lib/python*/site-packages")
    before = files(place)
    folder = tmp_path_factory.mktemp("install")
    install(request.param, binaries / "python", checkout, built.wheel, folder)
    new = files(place) - before
    libraries = [path for path in sys.path if Path(path).name in ("site-packages", "dist-packages")]
    (site / "dependencies.pth").write_text("\n".join(libraries))
    home = site / NAME if request.param == "wheel" else checkout
    return SimpleNamespace(
        kind=request.param, python=binaries / "python", site=site, home=home, new=new, place=place
    )


@pytest.fixture(scope="module")
def user(tmp_path_factory):
    """A folder of somebody's own."""
    folder = tmp_path_factory.mktemp("user")
    for name, text in THEIRS.items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_text(re.sub(r"^ {8}", "", text, flags=re.MULTILINE))
    return folder


@pytest.fixture(scope="module")
def fitted(installed, user):
    """A run in the user's folder: where it lies, and what was printed."""
    folder = user / f"run-{installed.kind}"
    command = [installed.python, "-m", NAME, "fit", *SMOKE]
    shown = run(*command, "--trainer.default_root_dir", folder, cwd=user)
    return SimpleNamespace(folder=folder, shown=shown)


def test_the_sdist_is_the_repository(built):
    """What builds it, tests it and tells about it; the wheel was built from it."""
    assert built.sdist.stat().st_size < 25 * 2**20
    with tarfile.open(built.sdist) as archive:
        inside = {name.partition("/")[2] for name in archive.getnames()}
    git = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True)
    if git.returncode:
        pytest.skip("no git here to say what the repository has")
    assert {name for name in git.stdout.splitlines() if (ROOT / name).exists()} <= inside


def test_the_wheel_is_small_and_only_what_is_used(built):
    assert built.wheel.stat().st_size < 15e6
    with zipfile.ZipFile(built.wheel) as archive:
        inside = {Path(name).parts for name in archive.namelist()}
    assert {parts[0].split("-")[0] for parts in inside} == {NAME}
    assert not {part for parts in inside for part in parts} & {*NOT_INSTALLED}


def test_nothing_is_deprecated_in_how_it_is_built(built):
    assert not [line for line in built.said.splitlines() if "deprecat" in line.lower()]
    assert "no files found matching" not in built.said  # a line of MANIFEST.in without a file


def test_nothing_else_is_installed(installed):
    assert {path for path in installed.new if path.startswith("bin/")} == {"bin/lightning-ecinn"}
    site = installed.site.relative_to(installed.place).as_posix()
    names = {path.removeprefix(site).split("/")[1] for path in installed.new if site in path}
    (metadata,) = (name for name in names if name.endswith(".dist-info"))
    assert metadata.startswith(f"{NAME}-")
    if installed.kind == "wheel":
        assert names == {NAME, metadata}
    else:
        finder = {name for name in names if name.startswith("__editable__")}
        assert names == {*finder, "__pycache__", metadata}


def test_every_file_is_there(installed, checkout, tmp_path):
    """Experiments, models and samples of data too, under the installed names; not the notebook."""
    code = "import sys; from importlib.util import find_spec\n"
    code += "for name in sys.argv[1:]: print(*find_spec(name).submodule_search_locations)"
    folders = package_folders()
    places = run(installed.python, "-c", code, *folders, cwd=tmp_path).split()
    seen = set()
    for folder, place in zip(folders.values(), places, strict=True):
        assert Path(place).is_relative_to(installed.home)
        wanted = {path for path in files(checkout / folder) if "__pycache__" not in path}
        notebooks = {path for path in wanted if path.endswith(".ipynb")}
        assert wanted - notebooks <= files(Path(place))
        assert installed.kind == "editable" or not notebooks & files(Path(place))
        seen |= {Path(path).suffix or path for path in wanted}
    assert seen >= {".yaml", ".ckpt", ".npz", ".json", ".md", ".pyi", ".typed"}


def test_importing_it_costs_nothing(installed, user):
    """The least of several times: the machine may be busy."""
    code = f"import sys, time; start = time.perf_counter(); import {NAME}\n"
    code += "print(time.perf_counter() - start, {name.split('.')[0] for name in sys.modules})"
    shown = [run(installed.python, "-c", code, cwd=user).split(" ", 1) for _ in range(5)]
    assert min(float(seconds) for seconds, _ in shown) < 0.2
    loaded = set(re.findall(r"\w+", shown[0][1]))
    assert NAME in loaded
    assert not loaded & {"torch", "torchvision", "pytorch_lightning", "lightning_fabric"}
    assert not loaded & {"callbacks", "datamodules", "experiments"}


def test_a_model_explains_from_python(installed, user):
    code = f"""
import callbacks, datamodules, {NAME}
explainer = {NAME}.Explainer.from_checkpoint("pretrained:mnist")
print(explainer.class_names, callbacks.__file__, datamodules.__file__, {NAME}.__file__)
"""
    shown = run(installed.python, "-c", code, cwd=user)
    assert str(tuple("0123456789")) in shown
    for path in (user / "callbacks" / "__init__.py", user / "datamodules.py"):
        assert str(path) in shown
    assert f"{installed.home}/" in shown


def test_fit_uses_what_is_theirs(fitted):
    """Their callback and data; the experiment is the shipped one, in spite of their folder."""
    assert fitted.shown.count("my callback, on datamodules\n") == 1
    assert "my data" in fitted.shown
    config = (fitted.folder / "config.yaml").read_text()
    assert "class_path: callbacks.Mine" in config
    assert "class_path: datamodules.Mine" in config
    assert f"class_path: {NAME}." in config
    assert (fitted.folder / "checkpoints" / "best.ckpt").is_file()


def test_test_finds_the_run(installed, fitted, user):
    checkpoint = fitted.folder / "checkpoints" / "best.ckpt"
    options = ["--ckpt_path", checkpoint, "--trainer.default_root_dir", user / "test"]
    command = [installed.python, "-m", NAME, "test", *SMOKE, *options]
    shown = run(*command, cwd=user)
    assert "my data" in shown
    assert "test/accuracy" in shown


only_the_wheel = pytest.mark.parametrize("installed", ["wheel"], indirect=True)


@only_the_wheel
def test_a_checkout_runs_its_own_code_whatever_is_installed(installed, checkout):
    """As after `pip install .`, in the same folder: Python looks there first."""
    code = f"from {NAME} import MNIST, CounterfactualGrid, shipped\nimport sys\n"
    code += "for c in (MNIST, CounterfactualGrid): print(sys.modules[c.__module__].__file__)\n"
    shown = run(installed.python, "-c", code + "print(shipped.FOLDER)", cwd=checkout).split()
    paths = ("datamodules/mnist.py", "callbacks/counterfactual_grid.py", "experiments")
    assert shown == [str(checkout / path) for path in paths]


@pytest.mark.slow
@only_the_wheel
def test_the_command_is_the_same_as_the_module(installed, user):
    command = installed.python.with_name("lightning-ecinn")
    asked = ["fit", *SMOKE, "--print_config"]
    shown = run(command, *asked, cwd=user)
    assert "class_path: callbacks.Mine" in shown
    assert shown == run(installed.python, "-m", NAME, *asked, cwd=user)


@pytest.mark.slow
@only_the_wheel
def test_the_command_is_started_again_for_a_second_process(installed, user):
    command = installed.python.with_name("lightning-ecinn")
    two = ["--trainer.devices", "2", "--trainer.strategy", "ddp"]
    two += ["--trainer.default_root_dir", user / "two", "--test_after_fit", "false"]
    shown = run(command, "fit", *SMOKE, *two, cwd=user)
    assert shown.count("my callback, on datamodules\n") == 2


@only_the_wheel
def test_type_checkers_know_the_public_names(installed, tmp_path):
    """Without the dependencies, which take long and change nothing here."""
    (tmp_path / "theirs.py").write_text(
        f"from {NAME} import MNIST, Explainer\n"
        "reveal_type(Explainer.from_checkpoint('pretrained:mnist'))\n"
        "reveal_type(MNIST())\n"
    )
    mypy = [sys.executable, "-m", "mypy", "--no-site-packages", "--ignore-missing-imports"]
    mypy += ["--follow-imports", "silent", "--cache-dir", tmp_path / "cache"]
    shown = run(*mypy, "theirs.py", cwd=tmp_path, MYPYPATH=str(installed.site))
    for found in ("ecinn.explainer.Explainer", "datamodules.mnist.MNIST"):
        assert f'Revealed type is "{NAME}.{found}"' in shown
