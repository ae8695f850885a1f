"""The guide for a rented GPU: each of its commands, in order, between two homes."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.domain import LABEL_NAMES
from core.settings import PROJECT_DIR
from tests.conftest import marked_text
from tests.core.learning.test_hub import Hub

ENGLISH, CHINESE = PROJECT_DIR / "docs" / "gpu-server.md", PROJECT_DIR / "docs" / "gpu-server.zh-CN.md"
HERE, THERE, BOTH = "# here", "# on the GPU server, in tiebreak", "# on both"
REFERENCE = "hfl/chinese-roberta-wwm-ext"

# What stands between two machines, and what the other one brings: ssh, scp, a driver, and an installation.
STAND_INS = {
    "ssh": """#!/bin/sh
test "$1" = gpu && shift && cd "$SERVER" && exec sh -c "$*"
""",
    "scp": """#!/bin/sh
test "$1" = -r && exec cp -r "$(echo "$2" | sed "s|^gpu:|$SERVER/|")" "$(echo "$3" | sed "s|^gpu:|$SERVER/|")"
""",
    "nvidia-smi": "#!/bin/sh\necho a GPU\n",
    "make": """#!/bin/sh
grep -q "^$1:" Makefile && mkdir -p .venv/bin && cp "$INSTALLED"/* .venv/bin/
""",
}
INSTALLED = {
    "tiebreak": '#!/bin/sh\nTIEBREAK_HOME="$PWD" exec {python} -m ui.cli "$@"\n',
    "python": '#!/bin/sh\nexec {python} "$@"\n',
}


def blocks(guide: Path) -> list[tuple[str, str]]:
    """(where, commands) of each block of commands, in order."""
    found = re.findall(r"```sh\n(.*?)```", guide.read_text(encoding="utf-8"), flags=re.DOTALL)
    return [(block.partition("\n")[0], block.partition("\n")[2]) for block in found]


def test_both_languages_have_the_same_commands_and_say_where_each_is_run() -> None:
    assert blocks(ENGLISH) == blocks(CHINESE)
    assert {where for where, _commands in blocks(ENGLISH)} == {HERE, THERE, BOTH}


def test_words_for_shell_outside_the_blocks_are_no_commands_of_tiebreak_that_do_not_exist() -> None:
    from tests.ui.test_cli import commands

    known = {" ".join(command) for command in commands()}
    for guide in (ENGLISH, CHINESE):
        said = re.findall(r"`tiebreak ([a-z]+(?: [a-z]+)?)", guide.read_text(encoding="utf-8"))
        assert {words for words in said if words not in known and words.split()[0] not in known} == set()


@pytest.fixture
def machines(tmp_path: Path, tiny_base: Path) -> Iterator[tuple[Path, Path, dict[str, str]]]:
    """(folder of Tiebreak here, home directory there, environment), and a hub that has the reference encoder."""
    here, there, stand_ins, installed = (tmp_path / name for name in ("here", "there", "bin", "installed"))
    for folder in (here, there, stand_ins, installed):
        folder.mkdir()
    for folder, scripts in ((stand_ins, STAND_INS), (installed, INSTALLED)):
        for name, script in scripts.items():
            (folder / name).write_text(script.format(python=sys.executable) if folder is installed else script)
            (folder / name).chmod(0o755)
    hub = Hub(tiny_base, REFERENCE)
    environ = os.environ | {
        "PATH": f"{stand_ins}:{os.environ['PATH']}",
        "PYTHONPATH": str(PROJECT_DIR),
        "SERVER": str(there),
        "INSTALLED": str(installed),
        "HF_HOME": str(tmp_path / "hf"),
        "HF_ENDPOINT": hub.endpoint,
        "HF_HUB_OFFLINE": "",  # which earlier tests of this process may have set
        "GIT_CONFIG_GLOBAL": "/dev/null",
    }
    environ.pop("TIEBREAK_HOME", None)
    (here / "Makefile").write_text((PROJECT_DIR / "Makefile").read_text())
    for command in (
        "git init -q .", "git add Makefile", "git -c user.name=x -c user.email=x@x commit -q -m x", "make setup",
    ):  # fmt: skip
        run(command, here, environ)
    yield here, there, environ
    hub.close()


def run(commands: str, folder: Path, environ: dict[str, str]) -> str:
    done = subprocess.run(
        ["bash", "-e", "-o", "pipefail", "-c", commands],
        cwd=folder, env=environ, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, f"{commands}\n{done.stdout}\n{done.stderr}"
    return done.stdout


@pytest.mark.slow
@pytest.mark.training
def test_commands_of_the_guide_bring_a_version_from_there_and_make_it_the_active_one(
    machines: tuple[Path, Path, dict[str, str]], tmp_path: Path
) -> None:
    here, there, environ = machines
    texts = {n: marked_text(n % 3, n) for n in range(1, 241)}
    labelled = tmp_path / "labelled.jsonl"
    known = [{"text": text, "label": LABEL_NAMES[n % 3]} for n, text in texts.items()]
    labelled.write_text("".join(json.dumps(record) + "\n" for record in known))
    run(f".venv/bin/tiebreak import {labelled}", here, environ)
    said = []
    for where, commands in blocks(ENGLISH):
        ready = commands.replace("https://hub.mirror.example", environ["HF_ENDPOINT"])
        for machine in {HERE: [here], THERE: [there / "tiebreak"], BOTH: [here, there / "tiebreak"]}[where]:
            said.append(run(ready, machine, environ))
            assert not (there / "tiebreak" / "data").exists(), "the database stays here"
    assert any("violation" in text for text in said)
    listed = json.loads(run(".venv/bin/tiebreak models list --json", here, environ))
    assert [(row["name"], row["base"], row["active"]) for row in listed] == [("gpu-1", REFERENCE, True)]
    assert json.loads(run(".venv/bin/tiebreak status --json", here, environ))["scored"] == len(texts)
    assert list(there.iterdir()) == []
    assert not (here / "snapshot").exists()
