"""Reading exports: every row is either read as it was meant, or rejected with line, reason and raw line."""

from __future__ import annotations

import io
import re
from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.tsv import ExportRow, RejectedRow, find_columns, open_export, split_fields

HEADER = "pid\tauthor\tauthorid\tuseip\thit_word\tcontext"


def read(body: str | bytes, *, header: str = HEADER, encoding: str = "auto") -> list[ExportRow | RejectedRow]:
    raw = body if isinstance(body, bytes) else f"{header}\n{body}".encode()
    return list(open_export(io.BytesIO(raw), encoding=encoding))


def one(body: str | bytes, **options: str) -> ExportRow | RejectedRow:
    (row,) = read(body, **options)
    return row


def escape(value: str) -> str:
    """What MySQL writes for a value."""
    for character in "\\\t\n":
        value = value.replace(character, "\\" + character)
    return value


def test_row_has_its_fields_and_the_line_it_stood_on() -> None:
    row = one("12\t阿福\t7\t192.0.2.1\t贷款\t有人贷款吗\n")
    assert isinstance(row, ExportRow)
    assert (row.line, row.pid, row.author, row.author_id, row.ip, row.hit_word, row.text) == (
        2, "12", "阿福", "7", "192.0.2.1", "贷款", "有人贷款吗",
    )  # fmt: skip


def test_null_is_nothing_and_the_letter_n_is_a_letter() -> None:
    row = one("1\t\\N\t\\N\tN\tw\tt")
    assert isinstance(row, ExportRow)
    assert (row.author, row.author_id, row.ip) == (None, None, "N")


def test_escaped_newline_and_tab_stay_inside_the_field_and_lines_are_counted_on() -> None:
    rows = read("1\ta\t1\tip\tw\tone\\\ntwo\\\tthree\\nfour\n\n2\ta\t1\tip\tw\tlast\n")
    assert [row.line for row in rows] == [2, 5]
    assert isinstance(rows[0], ExportRow)
    assert rows[0].text == "one\ntwo\tthree\nfour"


def test_quotes_mean_nothing() -> None:
    row = one('1\ta\t1\tip\tw\t"open and " more')
    assert isinstance(row, ExportRow)
    assert row.text == '"open and " more'


@given(st.lists(st.text(alphabet=st.characters(exclude_characters="\r", exclude_categories=("Cs",))), min_size=1))
def test_what_mysql_escapes_is_read_back_as_it_was(values: list[str]) -> None:
    fields = split_fields("\t".join(map(escape, values)).replace("\\\n", "\\n"))
    assert fields == values


@given(st.binary(max_size=400))
def test_any_bytes_end_in_rows_rejects_or_a_clear_error(body: bytes) -> None:
    with suppress(BadInput):
        rows = read(HEADER.encode() + b"\n" + body)
        assert all(row.line >= 2 and isinstance(row, (ExportRow, RejectedRow)) for row in rows)


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("1\ta\t1\tip\tw", "5 fields where the header has 6"),
        ("1\ta\t1\tip\tw\tt\tx", "7 fields where the header has 6"),
        ("\ta\t1\tip\tw\tt", "no pid"),
        ("\\N\ta\t1\tip\tw\tt", "no pid"),
        ("x1\ta\t1\tip\tw\tt", "pid 'x1' is not a number"),
        ("1\ta\t1\tip\tw\t  ", "no text"),
        ("1\ta\t1\tip\tw\t[b][/b]", "no text"),
        ("1\ta\t1\tip\tw\tunfinished\\", "the file ends inside this row"),
    ],
)
def test_bad_row_is_rejected_with_line_reason_and_raw_line_and_the_rest_goes_on(body: str, reason: str) -> None:
    first = read("9\ta\t1\tip\tw\tgood\n" + body)
    assert isinstance(first[0], ExportRow)
    assert first[1] == RejectedRow(3, reason, body.removesuffix("\\") + ("\\n" if body.endswith("\\") else ""))


def test_undecodable_bytes_spoil_their_own_line_only() -> None:
    lines = [HEADER.encode(), *(f"{n}\ta\t1\tip\tw\t正文{n}".encode() for n in range(1, 40))]
    lines[20] = lines[20].replace("正".encode(), b"\xff\xfe")
    rows = read(b"\n".join(lines))
    (bad,) = [row for row in rows if isinstance(row, RejectedRow)]
    assert (bad.line, "UTF-8 at byte" in bad.reason) == (21, True)
    assert len(rows) == 39


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "utf-16-be"])
def test_encodings_are_recognised_with_and_without_a_mark(encoding: str) -> None:
    text = f"{HEADER}\n" + "".join(f"{n}\t阿福\t1\tip\t贷款\t有人知道银行贷款利率吗 {n}\n" for n in range(50))
    rows = read(text.encode(encoding))
    assert len(rows) == 50
    assert all(isinstance(row, ExportRow) and row.author == "阿福" for row in rows)


def test_header_is_matched_without_regard_to_case_order_or_extra_columns() -> None:
    row = one("hello\tx\t5\tmine", header="Content\tfid\tPID\tNote")
    assert isinstance(row, ExportRow)
    assert (row.pid, row.text, row.extra) == ("5", "hello", {"fid": "x", "Note": "mine"})


def test_missing_column_is_named_with_what_there_is_and_how_to_choose() -> None:
    with pytest.raises(BadInput, match=r"pid.*'id', 'body'.*--column pid=NAME"):
        read("1\tx", header="id\tbody")
    assert find_columns(["id", "body"], {"pid": "id", "text": "body"}).roles == {"pid": 0, "text": 1}
    with pytest.raises(BadInput, match="no column 'nowhere'"):
        find_columns(["id", "body"], {"pid": "nowhere"})


@pytest.mark.parametrize("head", [b"", b"PK\x03\x04 a spreadsheet", b"\x1f\x8b packed"])
def test_files_that_are_no_export_are_refused_with_a_sentence(head: bytes) -> None:
    with pytest.raises(BadInput):
        read(head)


def test_leading_zeros_do_not_make_another_post() -> None:
    assert [row.pid for row in read("007\ta\t1\tip\tw\tt\n7\ta\t1\tip\tw\tt\n") if isinstance(row, ExportRow)] == [
        "7",
        "7",
    ]


def test_header_without_pid_and_text_is_told_what_is_usual_for_each_and_both_options() -> None:
    says = (
        "no column for pid (usually pid) and none for text (usually context, text, content, message); "
        "the columns are 'a', 'b'. Choose them on the import page, or with --column pid=NAME --column text=NAME."
    )
    with pytest.raises(BadInput, match=re.escape(says)):
        find_columns(["a", "b"])


@pytest.mark.parametrize(
    "content",
    [b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\0\2\0\0\0\2\0\x08\2\0\0\0", bytes(range(256)) * 20],
    ids=["png", "bytes"],
)
def test_binary_file_is_called_no_text_file(content: bytes) -> None:
    with pytest.raises(BadInput, match="not a text file"):
        open_export(io.BytesIO(content))


def test_stray_control_characters_make_no_binary_file() -> None:
    rows = list(open_export(io.BytesIO(b"pid\ttext\n" + b"1\tsome\x00thing\x01\n" * 3)))
    assert [type(row) for row in rows] == [ExportRow] * 3
