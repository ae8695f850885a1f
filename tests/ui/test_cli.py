"""The command line as its users meet it: results on stdout, messages on stderr, exit codes that mean something."""

from __future__ import annotations

import io
import json
import shutil
import subprocess
import sys
from contextlib import redirect_stderr, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import Engine
from typer.testing import CliRunner

from core.domain import Role
from core.settings import PROJECT_DIR, Settings
from db.engine import open_engine
from db.tables import audit_log, decision, post, user
from tests.conftest import add_user, rows
from ui.cli import app, main
from ui.server.address import forget_address, record_address

pytestmark = pytest.mark.slow

SAMPLES = PROJECT_DIR / "data" / "samples"
NASTY = PROJECT_DIR / "tests" / "nasty"


@dataclass
class Done:
    returncode: int
    stdout: str
    stderr: str


class Terminal:
    """Runs `tiebreak` on one installation, in this process: a hundred times in the time of ten processes."""

    def __init__(self, home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self._monkeypatch = monkeypatch
        monkeypatch.setenv("TIEBREAK_HOME", str(home))
        monkeypatch.setenv("HF_HOME", str(home / "hf"))

    def __call__(self, *args: str, code: int = 0, given: str = "") -> Done:
        out, err = io.StringIO(), io.StringIO()
        with self._monkeypatch.context() as patch:
            patch.setattr(sys, "argv", ["tiebreak", *args])
            patch.setattr(sys, "stdin", io.StringIO(given))
            patch.setenv("COLUMNS", "200")
            with redirect_stdout(out), redirect_stderr(err), pytest.raises(SystemExit) as ended:
                main()
        done = Done(int(ended.value.code or 0), out.getvalue(), err.getvalue())
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done

    def json(self, *args: str, **options: Any) -> Any:
        return json.loads(self(*args, "--json", **options).stdout)


@pytest.fixture
def tiebreak(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Terminal:
    return Terminal(settings.home, monkeypatch)


def test_import_is_taken_back_after_a_question_and_says_what_stays(tiebreak: Terminal, settings: Settings) -> None:
    tiebreak("import", str(SAMPLES / "forum.tsv"))
    add_user(open_engine(settings.database_url), "mo", Role.moderator)
    tiebreak("decide", "5", "normal", "--as", "mo")
    assert "Nothing was changed" in tiebreak("runs", "take-back", "1", code=1, given="n\n").stderr
    assert tiebreak.json("status")["posts"] == 1200
    done = tiebreak.json("runs", "take-back", "1", "--yes")
    assert (done["import"], done["posts_gone"], done["posts_decided"]) == (1, 1199, 1)
    assert [post["post_id"] for post in done["staying"]] == [5]
    assert tiebreak.json("status")["posts"] == 1
    assert tiebreak.json("queue") == []
    assert "already" in tiebreak("runs", "take-back", "1", "--yes", code=1).stderr


def test_import_status_queue_and_decide_say_what_they_did(tiebreak: Terminal, settings: Settings) -> None:
    counts = tiebreak.json("import", str(SAMPLES / "forum.tsv"), str(SAMPLES / "labelled.jsonl"))
    assert counts["rows"] == counts["posts_added"] + counts["hits_added"] + counts["repeats"] + counts["rejected"]
    assert (counts["posts_added"], counts["rejected"], counts["decisions_added"]) == (1200, 0, 400)
    assert [found["file"] for found in counts["files"]] == ["forum.tsv", "labelled.jsonl"]
    assert counts["seconds"] == pytest.approx(sum(found["seconds"] for found in counts["files"]), abs=0.01)
    status = tiebreak.json("status")
    assert (status["posts"], status["pool"], status["decided"], status["active_model"]) == (1200, 800, 400, None)
    head = tiebreak.json("queue", "--limit", "3")
    assert [set(post) for post in head] == [{"post_id", "pid", "text", "reason", "score"}] * 3
    add_user(open_engine(settings.database_url), "mo", Role.moderator)
    made = tiebreak.json("decide", str(head[0]["post_id"]), "违规", "--as", "mo")
    assert (made["post_id"], made["label"]) == (head[0]["post_id"], "violation")
    assert tiebreak.json("status")["decided"] == 401
    assert tiebreak.json("queue", "--limit", "1")[0]["post_id"] == head[1]["post_id"]


def test_families_are_listed_with_their_members_by_pid(tiebreak: Terminal, tmp_path: Path) -> None:
    assert "no near-copies yet" in tiebreak("families").stdout
    assert tiebreak.json("families") == []
    spam, loan = "我们公司诚信经营，需要兼职的朋友请加微信{}，日结", "无需抵押当天到账，正规平台办理快速贷款，电话{}"
    path = tmp_path / "spam.tsv"
    texts = [spam.format(11), loan.format(21), loan.format(22), loan.format(23), "今天的天气真好啊"]
    path.write_text("pid\tcontext\n" + "".join(f"{n}\t{text}\n" for n, text in enumerate(texts, 101)))
    labelled = tmp_path / "labelled.jsonl"
    labelled.write_text(json.dumps({"text": spam.format(12), "label": "violation"}, ensure_ascii=False) + "\n")
    tiebreak("import", str(path), str(labelled))
    assert tiebreak.json("families") == [
        {"family": 2, "size": 3, "representative": "102", "members": ["102", "103", "104"]},
        {"family": 1, "size": 2, "representative": "101", "members": ["101", "post 6"]},
    ]
    assert [found["family"] for found in tiebreak.json("families", "--limit", "1")] == [2]
    header, first, _ = tiebreak("families").stdout.splitlines()
    assert header.split() == ["family", "size", "representative", "text"]
    assert first.split() == ["2", "3", "102", loan.format(21)]


def test_labelled_file_of_a_model_with_integers_is_imported_as_suggestions(tiebreak: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "model.csv"
    path.write_text("split,text,label\ntrain,one,1\ntest,one,2\ntest,two,0\n")
    assert "3 rejected" in tiebreak("import", str(path)).stdout
    options = ("--source", "a model", "--trust", "suggestion", "--label-order", "normal,violation,suspicious")
    counts = tiebreak.json("import", str(path), *options)
    assert (counts["decisions_added"], counts["split_overlaps"]) == (2, 1)
    assert counts["files"][0]["split_overlap_lines"] == [[2, 3]]
    said = tiebreak("import", str(path), *options).stdout
    assert "1 text stands both in its training and its evaluation split (lines 2 and 3)" in said
    assert "1 label is not what an earlier line says of the same post (lines 3); the last one counts" in said
    status = tiebreak.json("status")
    assert (status["pool"], status["decided"]) == (2, 0)
    assert "known as suggestion" in tiebreak("import", str(path), *options[:3], "human", code=1).stderr
    assert "unknown label 'bad'" in tiebreak("import", str(path), "--label-order", "bad", code=2).stderr
    tiebreak("import", str(path), "--trust", "somewhat", code=2)


def test_rejected_rows_are_reported_and_are_no_failure(tiebreak: Terminal, tmp_path: Path) -> None:
    path = tmp_path / "bad.tsv"
    path.write_text("pid\ttext\n1\tgood\nbroken\n")
    counts = tiebreak.json("import", str(path))
    assert (counts["posts_added"], counts["rejected"]) == (1, 1)
    assert "1 rejected" in tiebreak("import", str(path)).stdout
    shown = tiebreak.json("runs", "show", str(counts["files"][0]["run"]))
    assert shown["rejects"] == [{"line": 3, "reason": "1 field where the header has 2", "raw": "broken"}]
    assert [run["kind"] for run in tiebreak.json("runs", "list")] == ["import", "import"]


@pytest.mark.parametrize(
    ("name", "posts", "rejected"),
    [
        ("gb18030_broken_line.tsv", 2, 1),
        ("utf16_cut.tsv", 2, 1),
        ("letters_for_pid.tsv", 3, 8),
        ("header_only.tsv", 0, 0),
    ],
)
def test_nasty_file_is_counted_row_by_row(tiebreak: Terminal, name: str, posts: int, rejected: int) -> None:
    counts = tiebreak.json("import", str(NASTY / name))
    assert (counts["posts_added"], counts["rejected"]) == (posts, rejected)
    assert counts["rows"] == counts["posts_added"] + counts["hits_added"] + counts["repeats"] + counts["rejected"]
    again = tiebreak.json("import", str(NASTY / name))
    assert (again["posts_added"], again["repeats"], again["rejected"]) == (0, posts, rejected)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("no_header.tsv", "looks like a row"), ("workbook.tsv", "Excel"), ("empty.tsv", "empty"),
        ("comma.tsv", "CSV"), ("old_mac.tsv", "carriage returns"),
    ],
)  # fmt: skip
def test_file_that_is_no_export_fails_with_one_line(tiebreak: Terminal, name: str, says: str) -> None:
    done = tiebreak("import", str(NASTY / name), code=1)
    *progress, error = done.stderr.splitlines()
    assert (progress[-1], error.startswith("tiebreak: "), says in error) == ("import 1: failed", True, True)
    assert "192.0.2" not in done.stderr
    assert done.stdout == ""


@pytest.mark.parametrize(
    ("args", "code", "says"),
    [
        (("import", "/nowhere.tsv"), 1, "is not a file"),
        (("decide", "1", "normal", "--as", "nobody"), 1, "no user 'nobody'"),
        (("decide", "1", "sometimes", "--as", "mo"), 2, "unknown label"),
        (("import", str(SAMPLES / "forum.tsv"), "--encoding", "klingon"), 2, "'klingon' is not one of"),
        (("import", str(SAMPLES / "forum.tsv"), "--column", "text"), 2, "ROLE=NAME"),
        (("import", str(SAMPLES / "forum.tsv"), "--column", "words=text"), 2, "no role 'words'"),
        (("import", str(SAMPLES / "forum.tsv"), "--label-order", "normal"), 2, "two or three labels"),
        (("models", "promote", "v9"), 1, "no model version 'v9'"),
        (("runs", "show", "9"), 1, "no run 9"),
        (("runs", "cancel", "9"), 1, "no run 9"),
        (("retrain", "--quick"), 1, "at least two classes"),
        (("score",), 1, "No model version is active"),
        (("predict", "--model", "v9", "--text", "x"), 1, "no model version 'v9'"),
        (("users", "disable", "nobody"), 1, "no user 'nobody'"),
        (("db", "restore", "/nowhere.db", "--yes"), 1, "is not a file"),
        (("serve", "--host", "0.0.0.0"), 1, "--force"),
        (("serve", "--certificate", "x.pem"), 2, "--key"),
        (("predict", "--model", "v9"), 2, "exactly one"),
        (("predict", "--model", "v9", "--batch", "/nowhere"), 1, "is not a file"),
        (("users", "role", "nobody", "lead"), 1, "no user 'nobody'"),
        (("users", "role", "mo", "king"), 2, "king"),
        (("users", "invite"), 2, "either --role or --name"),
        (("nonsense",), 2, "No such command"),
        (("import",), 2, "Missing argument"),
        (("queue", "--limit", "0"), 2, "limit"),
    ],
)
def test_each_error_is_one_sentence_with_the_right_exit_code(
    tiebreak: Terminal, args: tuple[str, ...], code: int, says: str
) -> None:
    done = tiebreak(*args, code=code)
    assert says in done.stderr
    assert done.stdout == ""
    assert len(done.stderr.strip().splitlines()) == 1
    assert tiebreak.json("runs", "list") == []


@pytest.mark.parametrize("args", [(), ("users",)], ids=["tiebreak", "group"])
def test_command_without_anything_to_do_shows_its_help_and_is_wrong_use(
    tiebreak: Terminal, args: tuple[str, ...]
) -> None:
    done = tiebreak(*args, code=2)
    assert "Usage:" in done.stdout + done.stderr
    assert "--help tells how" not in done.stderr


def test_database_other_than_sqlite_is_refused_in_a_sentence(
    tiebreak: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TIEBREAK_DATABASE_URL", "postgresql://me:secret@host/db")
    done = tiebreak("status", code=1)
    assert "only a SQLite file" in done.stderr
    assert "secret" not in done.stderr


def test_users_are_invited_listed_disabled_and_given_passwords_by_standard_input(
    tiebreak: Terminal, engine: Engine
) -> None:
    link = tiebreak.json("users", "invite", "--role", "moderator", "--address", "https://forum.example/")["link"]
    assert link.startswith("https://forum.example/invite/")
    add_user(engine, "mo", Role.moderator)
    tiebreak("users", "password", "mo", given="a very long password\n")
    assert str(rows(engine, user)[0]["password_hash"]).startswith("$argon2id$")
    assert "15 to 200" in tiebreak("users", "password", "mo", given="short\n", code=1).stderr
    assert "signed in nowhere" in tiebreak("users", "sessions", "mo").stdout
    assert tiebreak.json("users", "sign-out", "mo") == {"user": "mo", "sessions_ended": 0}
    assert [(found["name"], found["role"]) for found in tiebreak.json("users", "list")] == [("mo", "moderator")]
    assert tiebreak.json("users", "role", "mo", "analyst")["role"] == "analyst"
    tiebreak("users", "disable", "mo")
    assert tiebreak.json("users", "list")[0]["disabled_at"] is not None
    tiebreak("users", "disable", "mo", "--undo")
    assert "--password" not in tiebreak("users", "password", "--help").stdout


def test_backup_and_restore_bring_back_what_was(tiebreak: Terminal, tmp_path: Path, settings: Settings) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("pid\ttext\n1\tgood\n")
    saved = tiebreak.json("db", "backup")["backup"]
    tiebreak("import", str(path))
    assert tiebreak.json("status")["posts"] == 1
    tiebreak("db", "restore", saved, "--yes")
    assert tiebreak.json("status")["posts"] == 0
    assert tiebreak.json("db", "migrate")["database"] == str(settings.database_path)


def commands() -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for command in app.registered_commands:
        found.append((command.name,))  # type: ignore[union-attr]
    for group in app.registered_groups:
        for command in group.typer_instance.registered_commands:  # type: ignore[union-attr]
            found.append((str(group.name), str(command.name)))
    return found


def test_every_command_of_the_manual_exists_and_takes_json() -> None:
    names = {" ".join(command) for command in commands()}
    assert names >= {
        "serve", "import", "status", "queue", "decide", "retrain", "score", "predict", "pretrain", "models list",
        "models promote", "base list", "base pull", "runs list", "runs show", "runs cancel", "users invite",
        "users list", "users role", "users disable", "users password", "db migrate", "db backup", "db restore",
    }  # fmt: skip


def test_help_of_every_command_reads_like_a_manual_and_offers_json() -> None:
    for command in commands():
        shown = CliRunner().invoke(app, [*command, "--help"], env={"COLUMNS": "200"}).output
        assert "Usage:" in shown
        assert command == ("serve",) or "--json" in shown, command


def test_decisions_by_the_operator_are_logged_as_the_operator(
    tiebreak: Terminal, engine: Engine, tmp_path: Path
) -> None:
    path = tmp_path / "x.tsv"
    path.write_text("pid\ttext\n1\tgood\n")
    tiebreak("import", str(path))
    add_user(engine, "mo", Role.moderator)
    tiebreak("decide", "1", "normal", "--as", "mo")
    assert [entry["action"] for entry in rows(engine, audit_log)] == ["import", "decide"]
    assert all(str(entry["actor"]).startswith("cli:") for entry in rows(engine, audit_log))
    assert len(rows(engine, decision)) == 1


def test_installed_command_answers_and_starts_no_model_library() -> None:
    command = "import sys; sys.argv = ['tiebreak', '--help']; from ui.cli import main; main()"
    check = "import atexit, sys; atexit.register(lambda: print('torch' in sys.modules, 'pandas' in sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", f"{check}; {command}"], capture_output=True, text=True, cwd=PROJECT_DIR, check=True
    )
    assert "people break the ties" in done.stdout
    assert done.stdout.strip().endswith("False False")


@pytest.mark.training
def test_the_loop_from_the_command_line(
    tiebreak: Terminal, settings: Settings, tiny_base: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_base, settings.models_dir / "base" / "tiny")
    tiebreak("import", str(SAMPLES / "forum.tsv"), str(SAMPLES / "labelled.jsonl"))
    made = tiebreak.json("retrain", "--quick", "--base", "tiny")
    assert (made["version"], made["status"]) == ("v1", "succeeded")
    assert set(made) >= {"run", "version", "status", "metrics"}
    assert made["metrics"]["total"] > 50
    manifest = json.loads((settings.versions_dir / "v1" / "manifest.json").read_text())
    assert manifest["hyper_parameters"]["max_tokens"] == 64  # the tiny encoder has no more positions
    assert tiebreak.json("status")["active_model"] is None
    tiebreak.json("models", "promote", "v1")
    status = tiebreak.json("status")
    assert (status["active_model"], status["scored"]) == ("v1", 1200)
    assert "uncertain" in {post["reason"] for post in tiebreak.json("queue", "--limit", "50")}
    assert [(row["name"], row["active"]) for row in tiebreak.json("models", "list")] == [
        ("v1", True),
        ("v1-tfidf", False),
    ]
    assert tiebreak.json("score")["scored"] == 0

    one = tiebreak.json("predict", "--model", "v1", "--text", "加微领红包")
    assert set(one) == {"label", "confidence", "probabilities"}
    assert list(one["probabilities"]) == ["normal", "suspicious", "violation"]
    assert one["confidence"] == one["probabilities"][one["label"]] == max(one["probabilities"].values())
    batch = tmp_path / "texts.txt"
    batch.write_text("加微领红包\n\n今天天气不错\n", encoding="utf-8")
    several = tiebreak.json("predict", "--model", str(settings.versions_dir / "v1"), "--batch", str(batch))
    assert [found["text"] for found in several] == ["加微领红包", "今天天气不错"]
    assert several[0]["p_violation"] == pytest.approx(one["probabilities"]["violation"], abs=0.02)
    typed = tiebreak("predict", "--model", "v1", "--interactive", given="你好\n再见\n\n")
    assert "Base encoder: tiny (in models/base)" in typed.stderr
    assert [line.split()[:2] for line in typed.stdout.splitlines()] == [
        ["合规", "normal"], ["疑似", "suspicious"], ["违规", "violation"],
    ] * 2  # fmt: skip
    assert "is not a file" in tiebreak("predict", "--model", "v1", "--batch", "/nowhere", code=1).stderr
    assert "is empty" in tiebreak("predict", "--model", "v1", "--text", " ", code=1).stderr


def test_link_of_an_invitation_leads_to_where_the_app_is_served(tiebreak: Terminal, settings: Settings) -> None:
    asked = ("users", "invite", "--role", "moderator")
    assert tiebreak.json(*asked)["link"].startswith("http://127.0.0.1:8501/invite/")
    record_address(settings, "https://forum.example:9000")
    assert tiebreak.json(*asked)["link"].startswith("https://forum.example:9000/invite/")
    forget_address(settings, "http://another.example")
    assert settings.address_file.is_file()
    forget_address(settings, "https://forum.example:9000")
    assert tiebreak.json(*asked)["link"].startswith("http://127.0.0.1:8501/invite/")


def test_finished_or_unfinished_encoder_is_not_overwritten_without_a_word(tiebreak: Terminal, tmp_path: Path) -> None:
    texts = tmp_path / "texts.txt"
    texts.write_text("good\n")
    (tmp_path / "done").mkdir()
    (tmp_path / "done" / "model.safetensors").touch()
    (tmp_path / "half" / "checkpoint").mkdir(parents=True)
    (tmp_path / "half" / "checkpoint" / "state.pt").touch()
    for folder, says in (("done", "holds an encoder already"), ("half", "--resume goes on")):
        done = tiebreak("pretrain", "--texts", str(texts), "--out", str(tmp_path / folder), code=1)
        assert says in done.stderr


@pytest.mark.training
def test_encoder_is_adapted_to_the_pool_from_the_command_line(
    tiebreak: Terminal, settings: Settings, tiny_base: Path, tmp_path: Path
) -> None:
    shutil.copytree(tiny_base, settings.models_dir / "base" / "tiny")
    asked = ("pretrain", "--pool", "--base", "tiny", "--epochs", "1")
    assert "Import posts" in tiebreak(*asked, code=1).stderr
    tiebreak("import", str(SAMPLES / "forum.tsv"))
    half = settings.models_dir / "base" / "tiny-forum.partial"
    (half / "checkpoint").mkdir(parents=True)
    (half / "checkpoint" / "state.pt").touch()
    (half / "begun-from").write_text("tiny")
    assert "tiny-forum is unfinished; --resume goes on" in tiebreak(*asked, code=1).stderr
    made = tiebreak.json(*asked, "--force")
    assert (made["encoder"], made["status"]) == ("tiny-forum", "succeeded")
    assert made["held_out_loss"] > 0
    assert "tiny-forum" in [base["name"] for base in tiebreak.json("base", "list")]
    assert "There is an encoder 'tiny-forum' already" in tiebreak(*asked, "--force", code=1).stderr
    texts = tmp_path / "texts.txt"
    texts.write_text("今天我们去公园看花\n" * 40)
    out = tmp_path / "out"
    made = tiebreak.json("pretrain", "--texts", str(texts), "--out", str(out), "--base", "tiny", "--epochs", "1")
    assert made["steps"] == 1
    assert (out / "vocab.txt").read_bytes() == (tiny_base / "vocab.txt").read_bytes()


@pytest.mark.parametrize(
    ("args", "says"),
    [
        ((), "either --texts or --pool"),
        (("--pool", "--texts", "a.txt"), "either --texts or --pool"),
        (("--pool", "--out", "x"), "models/base/NAME"),
        (("--texts", "a.txt"), "--texts goes with --out"),
        (("--texts", "a.txt", "--out", "x", "--name", "y"), "--texts goes with --out"),
    ],
)
def test_ways_of_pretraining_are_not_mixed(tiebreak: Terminal, args: tuple[str, ...], says: str) -> None:
    assert says in tiebreak("pretrain", *args, code=2).stderr


def test_author_is_forgotten_after_a_question_that_says_what_goes(tiebreak: Terminal, settings: Settings) -> None:
    tiebreak("import", str(SAMPLES / "forum.tsv"))
    engine = open_engine(settings.database_url)
    author = next(row["author"] for row in rows(engine, post) if row["author"])
    theirs = [row["id"] for row in rows(engine, post) if row["author"] == author]
    tiebreak("db", "backup")
    asked = tiebreak("forget", "--author", author, code=1, given="n\n").stderr
    assert "Nothing was changed" in asked
    assert "out of reach: data/backups/tiebreak-" in asked
    done = tiebreak.json("forget", "--author", author, "--yes")
    assert (done["counts"]["posts"], done["is_clean"]) == (len(theirs), True)
    assert tiebreak.json("status")["posts"] == 1200 - len(theirs)
    assert "no post by" in tiebreak("forget", "--author", author, "--yes", code=1).stderr
    assert "either" in tiebreak("forget", code=2).stderr


def test_audit_log_is_listed_and_exported_on_record(tiebreak: Terminal, settings: Settings) -> None:
    tiebreak("users", "invite", "--role", "moderator")
    tiebreak("users", "invite", "--role", "analyst", "--email", "mo@forum.example")
    tiebreak("db", "backup")
    lines = tiebreak("audit").stdout.splitlines()
    assert [line.split()[3] for line in lines] == ["back", "invite", "invite"]
    assert [entry["details"]["role"] for entry in tiebreak.json("audit", "--action", "invite")] == ["moderator"]
    assert tiebreak.json("audit", "--since", "2999-01-01") == []
    assert [entry["action"] for entry in tiebreak.json("audit", "--limit", "2")] == ["export", "export"]
    assert "Nothing of that kind" in tiebreak("audit", "--actor", "nobody").stdout
