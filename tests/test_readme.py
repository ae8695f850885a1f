"""What the READMEs promise is what the program has: commands, settings, keys, roles."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from core.domain import Role
from core.permissions import ROLES, Permission
from core.settings import PROJECT_DIR
from tests.benchmarks.__main__ import BENCHMARKS
from tests.ui.test_cli import commands

ENGLISH, CHINESE = PROJECT_DIR / "README.md", PROJECT_DIR / "README.zh-CN.md"
BOTH = pytest.mark.parametrize("readme", [ENGLISH, CHINESE], ids=["en", "zh"])


def table_after(readme: Path, heading: str) -> list[list[str]]:
    """Cells of the table under a heading."""
    section = re.split(r"^## ", readme.read_text(encoding="utf-8"), flags=re.MULTILINE)
    text = next(part for part in section if heading == part.partition("\n")[0].strip())
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [[cell.strip() for cell in line.strip("|").split("|")] for line in lines]


@BOTH
def test_every_command_is_in_the_table_and_no_other(readme: Path) -> None:
    heading = "Commands" if readme == ENGLISH else "命令"
    cells = [row[0] for row in table_after(readme, heading)[2:]]
    found = set()
    for cell in cells:
        words = re.fullmatch(r"`tiebreak (\S+)(?: (\S+))?.*`", cell)
        assert words, cell
        group = words[1] in ("models", "export", "report", "base", "runs", "users", "db")
        found.add((words[1], words[2]) if group else (words[1],))
    assert found == set(commands())


@BOTH
def test_every_setting_that_the_code_reads_is_in_the_table(readme: Path) -> None:
    heading = "Settings" if readme == ENGLISH else "设置"
    documented = {name for row in table_after(readme, heading)[2:] for name in re.findall(r"`(\w+)`", row[0])}
    read = set()
    for path in [*(PROJECT_DIR / "core").rglob("*.py"), *(PROJECT_DIR / "ui").rglob("*.py")]:
        read |= set(re.findall(r'environ(?:\.get\(|\[)"([A-Z_]+)"(?!\] =)', path.read_text(encoding="utf-8")))
    assert read <= documented
    assert documented == {
        "TIEBREAK_HOME", "TIEBREAK_DATABASE_URL", "TIEBREAK_OIDC_ISSUER", "TIEBREAK_OIDC_CLIENT_ID",
        "TIEBREAK_OIDC_CLIENT_SECRET_FILE", "TIEBREAK_OIDC_LABEL", "TIEBREAK_OIDC_HOSTS",
        "HF_HOME", "HF_HUB_CACHE", "HF_ENDPOINT", "PIP_INDEX_URL",
        "PIP_EXTRA_INDEX_URL", "PYTHON", "ARGS",
    }  # fmt: skip


def test_table_of_roles_is_the_table_that_the_services_check() -> None:
    header, _, *lines = table_after(ENGLISH, "Who may do what")
    roles = [Role(name) for name in header[1:]]
    said = {line[0]: {role for role, cell in zip(roles, line[1:], strict=True) if cell == "yes"} for line in lines}
    assert said == {p.value: {role for role in Role if p in ROLES[role]} for p in Permission}


def test_chinese_table_of_roles_says_the_same() -> None:
    english = [line[1:] for line in table_after(ENGLISH, "Who may do what")[2:]]
    chinese = [line[1:] for line in table_after(CHINESE, "权限")[2:]]
    assert [[{"是": "yes", "否": "no"}[cell] for cell in line] for line in chinese] == english


@BOTH
def test_keys_are_those_of_the_label_page(readme: Path) -> None:
    heading = "Keys" if readme == ENGLISH else "按键"
    named = [re.findall(r"`([^`]+)`", row[0]) for row in table_after(readme, heading)[2:]]
    assert named == [
        ["1", "2", "3"], ["0", "S"], ["O"], ["X"], ["U", "Backspace"], ["4", "9", "-", "="], ["N"], ["F"], ["M"], ["A"],
        ["H"], ["Q"], ["G"], ["T"], ["L"], ["Z"], ["D"], ["?"],
    ]  # fmt: skip
    script = (PROJECT_DIR / "ui" / "components" / "label" / "label.js").read_text(encoding="utf-8")
    for key in (
        "s:",
        "o:",
        "x:",
        "u:",
        "n:",
        "f:",
        '"4"',
        '"9"',
        '"-"',
        '"="',
        "m:",
        "a:",
        "h:",
        "q:",
        "t:",
        "g:",
        "l:",
        "z:",
        "d:",
        "1:",
        "2:",
        "3:",
        "0:",
        "Backspace:",
        '"?":',
    ):
        assert key in script


@BOTH
def test_make_targets_and_linked_files_exist(readme: Path) -> None:
    text = readme.read_text(encoding="utf-8")
    makefile = (PROJECT_DIR / "Makefile").read_text(encoding="utf-8")
    for target in set(re.findall(r"\bmake (run|test|quick|lint|bench-import|bench|setup)\b", text)):
        assert re.search(rf"^{target}:", makefile, flags=re.MULTILINE), target
    for link in re.findall(r"\]\(([^)#]+)\)", text):
        assert link.startswith("https://") or (PROJECT_DIR / link).exists(), link


def test_both_readmes_give_the_same_commands_to_copy() -> None:
    texts = [path.read_text(encoding="utf-8") for path in (ENGLISH, CHINESE)]
    blocks = [re.findall(r"```sh\n(.*?)```", text, flags=re.DOTALL) for text in texts]
    bare = [[re.sub(r"\s+#.*", "", line) for block in found for line in block.splitlines()] for found in blocks]
    assert bare[0] == bare[1]


def test_every_benchmark_is_described() -> None:
    readme = PROJECT_DIR / "tests" / "benchmarks" / "README.md"
    named = [row[0].strip("`") for row in table_after(readme, "What they measure")[2:]]
    assert named == list(BENCHMARKS)
