"""What a shell completes: commands, options, choices."""

import builtins
import re
import subprocess

import pytest
from answered_ahead import answered_ahead

from lightning_ecinn.cli.main import main

shtab = pytest.importorskip("shtab", reason="shtab is not installed")


@answered_ahead
def test_bash_understands_the_script_and_knows_commands_options_and_choices(capsys, tmp_path):
    main(["--print_shtab", "bash"])
    script = capsys.readouterr().out
    for known in ("explain", "import-ibinn", "--model.beta", "--trainer.max_epochs", "onecycle"):
        assert known in script
    (tmp_path / "complete.bash").write_text(script)
    asked = (
        "source complete.bash; COMP_WORDS=(lightning-ecinn fit --trainer.max_e); COMP_CWORD=2;"
        " _shtab_lightning_ecinn; echo ${COMPREPLY[@]}"
    )
    said = subprocess.run(["bash", "-c", asked], cwd=tmp_path, capture_output=True, text=True)
    assert said.stdout.split() == ["--trainer.max_epochs"]
    offered = dict(re.findall(r"_shtab_lightning_ecinn_(\w+)_option_strings=\((.*)\)", script))
    assert {"--out", "--model.beta"} <= {*offered["sweep"].split()}
    assert {"--figure", "--out", "--sweep"} <= {*offered["figures"].split()}


def test_another_shell_is_refused(capsys):
    with pytest.raises(SystemExit) as stop:
        main(["--print_shtab=fish"])
    assert stop.value.code == 2
    assert "give a shell, one of bash, zsh, tcsh" in capsys.readouterr().err


def test_without_shtab_it_says_what_to_install(monkeypatch, capsys):
    original = builtins.__import__

    def refusing(name, *args, **kwargs):
        if name == "shtab":
            raise ImportError
        return original(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", refusing)
    with pytest.raises(SystemExit):
        main(["--print_shtab", "bash"])
    assert "pip install 'lightning_ecinn[completion]'" in capsys.readouterr().err
