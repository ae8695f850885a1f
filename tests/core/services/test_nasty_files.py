"""A corpus of nasty files: what each import reports, row by row.

Small ones lie as bytes in tests/nasty, large ones are made here.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from sqlalchemy import Engine

from core.domain import Actor, Run
from core.errors import BadInput
from core.services.importing import ImportRequest, list_rejects
from core.services.previewing import preview
from db.engine import open_engine
from db.tables import decision, distinct_text, hit, post
from tests.any_bytes import spoiled_files
from tests.conftest import rows
from tests.core.services.conftest import OPERATOR, import_file

NASTY = Path(__file__).parents[2] / "nasty"
HEADER = "pid\tauthor\tauthorid\tuseip\thit_word\tcontext\n"
THREE = {"1": "有人知道银行贷款利率吗", "2": "中间这一条也要读到", "3": "最后一条"}
TWO = {pid: THREE[pid] for pid in ("1", "2")}


@dataclass(frozen=True)
class Reported:
    """posts: pid to the post as it came. rejects: line to a part of the reason. The other rows are hits or repeats."""

    posts: dict[str, str] = field(default_factory=dict)
    rejects: dict[int, str] = field(default_factory=dict)
    hits: int = 0


REPORTED = {
    "unclosed_quote.tsv": Reported({"1": '他说"好的，从此不再', "2": "第二条", "3": "第三条"}),
    "cut_in_a_character.tsv": Reported(TWO, {4: "not UTF-8 at byte 38"}),
    "cut_in_an_escape.tsv": Reported(TWO, {4: "ends inside this row"}),
    "utf16_le_bom.tsv": Reported(THREE),
    "utf16_be_bom.tsv": Reported(THREE),
    "utf16_le.tsv": Reported(THREE),
    "utf16_be.tsv": Reported(THREE),
    "utf16_le_long.tsv": Reported({str(n): "全是汉字没有几个零的长帖子" * 40 for n in (1, 2, 3)}),
    "utf16_cut.tsv": Reported(TWO, {4: "ends inside a character"}),
    "utf16_half.tsv": Reported({"2": "有替换符 \ufffd 的好行"}, {2: "half a character"}),
    "gb18030.tsv": Reported(THREE),
    "gb18030_four_bytes.tsv": Reported({"1": "生僻字㐀𠀀和表情😀", "2": "誠的第二个字节是反斜线"}),
    "gb18030_broken_line.tsv": Reported({"1": "好的一行内容", "3": "后面的一行"}, {3: "not GB18030 at byte 13"}),
    "nul.tsv": Reported({"1": "前后", "2": "转义的", "3": "编号里"}),
    "wide.tsv": Reported({"1": "正文"}, {3: "2 fields where the header has 200"}),
    "header_only.tsv": Reported(),
    "nested_quotes.tsv": Reported(
        {
            "1": "[quote]" * 500 + "里面的话" + "[/quote]" * 500 + "自己的话",
            "2": "[b]" * 500 + "粗",
            "3": "[quote]" * 500 + "没有关上",
        }
    ),
    "cut_tags.tsv": Reported(
        {
            "1": "ze=2]有人贷款吗[/si",
            "2": "forum.php?mod=redirect&amp;goto=findpost][color=#999]乙 发表于[/color]\n引文[/quote]\n回答[attach]12",
            "3": "quot;开头&quo",
        },
        {7: "no text"},
    ),
    "letters_for_pid.tsv": Reported(
        {"7": "七", "8": "有方向符的编号", "9": "空格"},
        {n: "is not a number" for n in range(2, 8)} | {8: "no pid", 9: "no pid"},
    ),
    "right_to_left.tsv": Reported({"1": "\u202e倒着写的\u202c正文\u200b零宽"}),
    "surrogates.tsv": Reported({"2": "好的一行", "3": "&#55357; by number"}, {2: "(ed a0 bd 20)"}),
    "formula.tsv": Reported({"1": "=1+1 正文", "2": "+86 电话"}),
    "windows.tsv": Reported(THREE),
    "mixed_line_ends.tsv": Reported({"1": "一", "2": "二", "3": "里面有\n回车\n和换行"}),
    "backslash_before_the_end.tsv": Reported({"1": "最后是反斜线\\", "4": "之后的一行"}, {3: "11 fields"}),
    "same_names.tsv": Reported({"1": "第一个"}),
    "mark_in_the_middle.tsv": Reported(THREE | {"4": "第二个文件的行"}, {5: "pid 'pid' is not a number"}),
    "unicode_line_ends.tsv": Reported({"1": "一\u2028二\u2029三\x85四五六", "2": "下一行"}),
    "overlong.tsv": Reported(THREE, {5: "(c0 af e0 80)"}),
    "mojibake.tsv": Reported({"1": "有人知道".encode().decode("latin-1")}),
    "one_bad_byte_first.tsv": Reported(
        {str(n): f"后面都是正常的中文内容第{n}条" for n in range(2, 6)}, {2: "not UTF-8 at byte 6"}
    ),
    "escapes.tsv": Reported({"1": "一\n二\t三\\四五'六", "3": "N"}, {4: "no text"}),
    "too_many_fields.tsv": Reported({"2": "好"}, {2: "7 fields", 4: "no pid", 5: "1 field"}),
}
REFUSED = {
    "empty.tsv": "The file is empty",
    "only_a_mark.tsv": "The file is empty",
    "blank.tsv": "The file is empty",
    "no_header.tsv": "looks like a row, not like a header",
    "comma.tsv": "looks like CSV",
    "semicolon.tsv": "looks like CSV",
    "workbook.tsv": "Excel workbook",
    "packed.tsv": "gzip",
    "old_mac.tsv": "carriage returns",
    "nothing_but_nul.tsv": "not a text file",
}


def adding_up(run: Run) -> dict[str, int]:
    """The counts of an import, whose rows are all accounted for."""
    counts = {name: int(str(count)) for name, count in run.result.items()}
    assert counts["rows"] == sum(counts[name] for name in ("posts_added", "hits_added", "repeats", "rejected"))
    return counts


def check_report(engine: Engine, path: Path, expected: Reported) -> None:
    run = import_file(engine, path)
    counts = adding_up(run)
    assert {found["pid"]: found["original"] for found in rows(engine, post)} == expected.posts
    rejected = {line: reason for line, reason, _ in list_rejects(engine, OPERATOR, run.id)}
    assert list(rejected) == list(expected.rejects)
    assert all(part in rejected[line] for line, part in expected.rejects.items())
    assert (counts["posts_added"], counts["hits_added"], counts["rejected"]) == (
        len(expected.posts), expected.hits, len(expected.rejects),
    )  # fmt: skip
    again = import_file(engine, path).result
    assert (again["posts_added"], again["hits_added"], again["posts_changed"]) == (0, 0, 0)


def test_every_file_of_the_corpus_is_expected_to_do_something() -> None:
    assert {path.name for path in NASTY.iterdir()} == set(REPORTED) | set(REFUSED)


@pytest.mark.parametrize("name", REPORTED)
def test_nasty_file_is_reported_row_by_row_and_adds_nothing_a_second_time(engine: Engine, name: str) -> None:
    check_report(engine, NASTY / name, REPORTED[name])


@pytest.mark.parametrize("name", REFUSED)
def test_file_that_is_no_export_is_refused_in_one_sentence_and_leaves_nothing(engine: Engine, name: str) -> None:
    with pytest.raises(BadInput, match=REFUSED[name]) as refused:
        import_file(engine, NASTY / name)
    assert "\n" not in str(refused.value)
    assert rows(engine, post) == []


def test_file_without_a_header_is_not_quoted_in_the_message(engine: Engine) -> None:
    """It would carry names and addresses into the run and the log."""
    with pytest.raises(BadInput) as refused:
        import_file(engine, NASTY / "no_header.tsv")
    assert "192.0.2" not in str(refused.value)
    assert "pid, context" in str(refused.value)


@pytest.mark.parametrize("name", [*REPORTED, *REFUSED])
def test_preview_shows_what_the_import_would_do(lead: Actor, name: str) -> None:
    shown = preview(lead, ImportRequest(str(NASTY / name), name))
    if name in REFUSED:
        assert shown.problem is not None
        assert REFUSED[name] in shown.problem
        assert shown.looked_at == 0
        return
    expected = REPORTED[name]
    assert shown.problem is None
    assert [card.pid for card in shown.cards] == list(expected.posts)
    assert [reject.line for reject in shown.rejects] == list(expected.rejects)
    assert shown.looked_at == sum(len(card.lines) for card in shown.cards) + len(shown.rejects)


def test_half_tags_and_quotations_do_not_reach_the_model(engine: Engine) -> None:
    import_file(engine, NASTY / "cut_tags.tsv")
    assert [text["body"] for text in rows(engine, distinct_text)] == ["有人贷款吗", "回答[附件]", "开头"]


def test_five_hundred_nested_quotations_are_one_and_not_the_authors(engine: Engine) -> None:
    import_file(engine, NASTY / "nested_quotes.tsv")
    assert [text["body"] for text in rows(engine, distinct_text)] == ["自己的话", "粗", "没有关上"]


def test_columns_of_one_name_or_none_are_all_kept(engine: Engine) -> None:
    import_file(engine, NASTY / "same_names.tsv")
    extra = {"note": "a", "note column 4": "b", "context": "第二个", "column 6": "c", "column 7": "d"}
    assert rows(engine, post)[0]["extra"] == extra


def test_what_a_spreadsheet_would_run_is_kept_as_it_came(engine: Engine) -> None:
    import_file(engine, NASTY / "formula.tsv")
    assert [found["author"] for found in rows(engine, post)] == ["=cmd|' /C calc'!A0", "@SUM(A1)"]


# --- too large for the repository -------------------------------------------------------------------------------------


def line(pid: object, text: str) -> bytes:
    return f"{pid}\t阿福\t7\t192.0.2.1\t贷款\t{text}\n".encode()


def ascii_rows(count: int) -> bytes:
    return b"".join(
        f"{n}\ta\t7\t192.0.2.1\tw\tan ASCII excerpt, number {n}\n".encode() for n in range(100, 100 + count)
    )


def ascii_posts(count: int) -> dict[str, str]:
    return {str(n): f"an ASCII excerpt, number {n}" for n in range(100, 100 + count)}


def field_of_three_megabytes() -> tuple[bytes, Reported]:
    huge = "很长的一段话[b]粗[/b]，" * 75_000
    return HEADER.encode() + line(1, huge) + line(2, "后面的一行"), Reported({"1": huge, "2": "后面的一行"})


def line_of_twenty_megabytes() -> tuple[bytes, Reported]:
    body = line(1, "前面的一行") + b"2\ta\t7\tip\tw\t" + b"x" * 20_000_000 + b"\n" + line(3, "后面的一行")
    return HEADER.encode() + body, Reported({"1": "前面的一行", "3": "后面的一行"}, {3: "longer than 16 MB"})


def row_of_twenty_megabytes_in_escaped_lines() -> tuple[bytes, Reported]:
    body = b"2\ta\t7\tip\tw\t" + (b"x" * 999 + b"\\\n") * 20_000 + b"end\n" + line(3, "后面的一行")
    return HEADER.encode() + body, Reported({"3": "后面的一行"}, {2: "longer than 16 MB"})


def gb18030_whose_head_is_ascii() -> tuple[bytes, Reported]:
    body = HEADER.encode() + ascii_rows(1_500) + "9\t阿福\t7\tip\tw\t中文到后面才有\n".encode("gb18030")
    return body, Reported(ascii_posts(1_500) | {"9": "中文到后面才有"})


def utf8_whose_head_is_ascii_with_one_bad_byte() -> tuple[bytes, Reported]:
    bad = b"8\tcaf\xe9\t7\tip\tw\tbad\n"
    chinese = line(9, "中文到后面才有")
    expected = Reported(ascii_posts(1_500) | {"9": "中文到后面才有"}, {2: "not UTF-8"})
    return HEADER.encode() + bad + ascii_rows(1_500) + chinese, expected


def rows_of_one_pid_far_apart() -> tuple[bytes, Reported]:
    body = line(1, "第一个片段") + ascii_rows(2_500) + line(1, "隔得很远的片段")
    posts = {"1": "第一个片段\n……\n隔得很远的片段"} | ascii_posts(2_500)
    return HEADER.encode() + body, Reported(posts, hits=1)


def escaped_line_breaks_without_end() -> tuple[bytes, Reported]:
    body = line(1, "好的一行") + b"2\ta\t7\tip\tw\t" + b"x\\\n" * 50_000
    return HEADER.encode() + body, Reported({"1": "好的一行"}, {3: "the file ends inside this row"})


@pytest.mark.slow
@pytest.mark.parametrize(
    "make",
    [
        field_of_three_megabytes, line_of_twenty_megabytes, row_of_twenty_megabytes_in_escaped_lines,
        gb18030_whose_head_is_ascii, utf8_whose_head_is_ascii_with_one_bad_byte, rows_of_one_pid_far_apart,
        escaped_line_breaks_without_end,
    ],
)  # fmt: skip
def test_large_nasty_file_is_reported_row_by_row(
    engine: Engine, tmp_path: Path, make: Callable[[], tuple[bytes, Reported]]
) -> None:
    body, expected = make()
    path = tmp_path / "large.tsv"
    path.write_bytes(body)
    check_report(engine, path, expected)


def test_old_mac_line_ends_in_a_large_file_are_still_named(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "old.tsv"
    path.write_bytes((HEADER.encode() + ascii_rows(40_000)).replace(b"\n", b"\r"))
    with pytest.raises(BadInput, match="carriage returns"):
        import_file(engine, path)


# --- any bytes --------------------------------------------------------------------------------------------------------


@given(spoiled_files, st.sampled_from(["x.tsv", "x.csv", "x.jsonl"]))
@hypothesis_settings(
    max_examples=25, deadline=timedelta(seconds=5), suppress_health_check=[HealthCheck.function_scoped_fixture]
)
def test_any_bytes_are_reported_so_that_it_adds_up_and_add_nothing_a_second_time(
    migrated: Path, tmp_path: Path, raw: bytes, name: str
) -> None:
    shutil.copy(migrated, tmp_path / "one.db")
    engine = open_engine(f"sqlite:///{tmp_path / 'one.db'}")
    path = tmp_path / name
    path.write_bytes(raw)
    with suppress(BadInput):
        first = adding_up(import_file(engine, path))
        before = [rows(engine, table) for table in (post, hit, distinct_text, decision)]
        assert (len(before[0]), len(before[1])) == (first["posts_added"], first["posts_added"] + first["hits_added"])
        second = adding_up(import_file(engine, path))
        assert [rows(engine, table) for table in (post, hit, distinct_text, decision)] == before
        assert (second["rows"], second["rejected"]) == (first["rows"], first["rejected"])
    engine.dispose()
    for left in tmp_path.glob("one.db*"):
        left.unlink()
