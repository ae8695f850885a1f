"""Any bytes whatever end in rows and rejects or in a sentence, and what MySQL wrote is read back as it was."""

from __future__ import annotations

import io
import re
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from core.errors import BadInput
from core.labelled import header_of, read_file
from core.markup import read_markup
from core.text import clean_unicode, has_text, model_text, normalised, reading_text
from core.tsv import ENCODINGS, ExportRow, RejectedRow, open_export, split_fields
from tests.any_bytes import spoiled_files

NAMES = ("x.tsv", "x.csv", "x.jsonl", "x")
quickly = settings(deadline=timedelta(seconds=2), max_examples=150, suppress_health_check=[HealthCheck.too_slow])


# --- any bytes --------------------------------------------------------------------------------------------------------


def read_or_refusal(raw: bytes, *, name: str, encoding: str) -> list[ExportRow | RejectedRow] | str:
    try:
        return list(read_file(io.BytesIO(raw), name=name, encoding=encoding))
    except BadInput as err:
        return str(err)


def names_or_refusal(raw: bytes, *, name: str, encoding: str) -> tuple[str, ...] | str:
    try:
        return header_of(io.BytesIO(raw), name=name, encoding=encoding).names
    except BadInput as err:
        return str(err)


@given(spoiled_files, st.sampled_from(NAMES), st.sampled_from(ENCODINGS))
@quickly
def test_any_bytes_end_in_storable_rows_and_rejects_or_in_a_sentence(raw: bytes, name: str, encoding: str) -> None:
    found = read_or_refusal(raw, name=name, encoding=encoding)
    if isinstance(found, str):
        assert re.fullmatch(r"[^\n]+\.", found)
        return
    for row in found:
        values = (row.reason, row.raw) if isinstance(row, RejectedRow) else (row.text, *row.extra, *row.extra.values())
        assert all(value == clean_unicode(value) for value in values)
        assert isinstance(row, RejectedRow) or has_text(row.text)
    lines = [row.line for row in found]
    assert lines == sorted(lines)


@given(spoiled_files, st.sampled_from(NAMES), st.sampled_from(ENCODINGS))
@quickly
def test_names_of_the_columns_can_be_shown_or_a_sentence_says_why_not(raw: bytes, name: str, encoding: str) -> None:
    found = names_or_refusal(raw, name=name, encoding=encoding)
    if isinstance(found, str):
        assert re.fullmatch(r"[^\n]+\.", found)
    "".join(found).encode()


ASCII_HEAD = "pid\tcontext\n" + "".join(f"{n}\tplain\n" for n in range(8_000))  # longer than the first look
chinese = st.text(alphabet="的一是不了人我在有他这中大来上个国到说们贷款，。！abc 12", min_size=20, max_size=60)


@given(st.lists(chinese, min_size=3, max_size=12), st.sampled_from(["utf-8", "gb18030", "utf-16-le", "utf-16-be"]))
@settings(deadline=None, max_examples=15)
def test_encoding_is_found_wherever_the_first_chinese_stands(texts: list[str], encoding: str) -> None:
    assume(sum(not character.isascii() for text in texts for character in text) >= 20)
    whole = ASCII_HEAD + "".join(f"{n}\t正文{text}\n" for n, text in enumerate(texts))
    found = list(open_export(io.BytesIO(whole.encode(encoding))))[8_000:]
    assert [row.text for row in found if isinstance(row, ExportRow)] == ["正文" + text for text in texts]


# --- MySQL's escapes --------------------------------------------------------------------------------------------------

WRITTEN = {"\\": "\\\\", "\t": "\\\t", "\n": "\\\n", "\0": "\\0"}
READ = {"\0": "", "\x1a": "", "\b": ""}  # no text holds them
value = st.none() | st.text(
    alphabet=st.sampled_from("\\\t\n\0N0tnrbZ'\" 字a") | st.characters(codec="utf-8"), max_size=12
)


def as_mysql_writes(value: str | None) -> str:
    """SELECT … INTO OUTFILE with FIELDS ESCAPED BY '\\\\', as is the default."""
    return "\\N" if value is None else "".join(WRITTEN.get(character, character) for character in value)


@given(st.lists(value, min_size=2, max_size=6))
def test_fields_that_mysql_wrote_are_split_into_what_they_were(values: list[str | None]) -> None:
    line = "\t".join(map(as_mysql_writes, values))
    assert split_fields(line) == values


@given(st.lists(st.lists(value, min_size=3, max_size=3), min_size=1, max_size=5), st.sampled_from(["utf-8", "gb18030"]))
@settings(deadline=None)
def test_rows_that_mysql_wrote_are_read_back_as_they_were(rows: list[list[str | None]], encoding: str) -> None:
    body = "".join("\t".join([str(n), "正文", *map(as_mysql_writes, row), "."]) + "\n" for n, row in enumerate(rows))
    raw = ("pid\tcontext\ta\tb\tc\tend\n" + body).encode(encoding)
    assume(sum(byte < 32 and byte not in b"\t\n\r" for byte in raw) <= 8)  # more in so few bytes is no text file
    found = list(open_export(io.BytesIO(raw), encoding=encoding))
    expected = [[None if v is None else clean_unicode(v) for v in row] for row in rows]
    assert [[row.extra.get(name) for name in "abc"] for row in found if isinstance(row, ExportRow)] == expected


# --- text or none -----------------------------------------------------------------------------------------------------

PIECES = (
    "[ ] / = : & ; { } < > quote size url i b img attach * td tr br a 你好 12 . - @ x.com www. http:// href= script "
    "&nbsp; &NonBreakingSpace; &AMP; nbsp; &#91; &#93; &#32; &amp; &amp;#91; &lt; &lbrack; &rsqb; &Tab; uot; quot; "
    "本帖最后由 [i=s] [/i] [quote] [/quote] [url= [/url] [img] [/img] [attach] [/attach] [hide] <br/> </a> "
    "编辑 font :abc: {:4_112:} color=red 99 ! …"
).split()
markup = st.lists(
    st.sampled_from(
        [*PIECES, " ", "\n", "\n……\n", "\u200b", "\u3000", "\xa0", "\x1c", "\u202e", "\ud800", "&#x00000020;"]
    )
    | st.text(max_size=3),
    max_size=10,
).map("".join)


@given(markup)
@settings(deadline=None, max_examples=600)
def test_there_is_text_exactly_where_the_model_has_something_to_read(original: str) -> None:
    assert has_text(original) == bool(model_text(read_markup(original)))


@pytest.mark.parametrize(
    "original",
    [
        "&NonBreakingSpace;", "&AMP;nbsp;", "&#38;nbsp;", "&#91;b&#93;", "&amp;#91;b&amp;#93;", "[b]&nbsp;[/b]",
        "size=" + "&nbsp;" * 90 + "]", "<b\n>size]", "<b>uot;", "<br  />[/attach]", ":abc:99!href=<brquote&rsqb;",
        "http://localhost", "[url]http://[/url]", "\u3000", "[quote]\n[/quote]", "[i=s] 本帖最后由 甲 编辑 [/i]",
    ],
)  # fmt: skip
def test_there_is_text_exactly_where_the_model_has_something_to_read_though_it_looks_otherwise(original: str) -> None:
    assert has_text(original) == bool(model_text(read_markup(original)))


@given(markup)
@settings(deadline=None)
def test_segments_are_never_empty_and_hold_no_markup_of_ours(original: str) -> None:
    segments = read_markup(clean_unicode(original))
    assert all(segment.text for segment in segments)
    assert not any(tag in reading_text(segments).lower() for tag in ("[quote]", "[/quote]", "[i=s]", "[/url]", "[td]"))
    normalised(model_text(segments, quotes=True)).encode()
