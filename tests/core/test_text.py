"""From forum markup to what people read and what the model reads."""

from __future__ import annotations

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.markup import ATTACHMENT, read_markup
from core.text import (
    EMOTICON,
    clean_unicode,
    join_excerpts,
    model_text,
    normalised,
    reading_text,
    text_hash,
)

markup = st.text(alphabet="ab[]/=:&;{}\n \t<>\"'quotesizurlfat 你好0123.-") | st.text()


def test_quotation_is_readable_apart_and_not_the_authors_words() -> None:
    header = "[size=2][url=forum.php?pid=1][color=#999]阿福 发表于 2026-1-1[/color][/url][/size]"
    segments = read_markup(f"[quote]{header}\n原来的话[/quote]\n我的回答")
    assert [segment.kind for segment in segments] == ["quote", "text"]
    assert "原来的话" in segments[0].text
    assert model_text(segments) == "我的回答"


def test_post_of_nothing_but_a_quotation_keeps_it_for_the_model() -> None:
    assert model_text(read_markup("[quote]全是引用[/quote]")) == "全是引用"


@pytest.mark.parametrize(
    ("original", "for_model"),
    [
        ("[color=red]红[/color]色", "红色"),
        ("[font=宋体][size=3]大[/size][/font]", "大"),
        ("看图[attach]12345[/attach]", f"看图{ATTACHMENT}"),
        ("好:curse:坏{:4_112:}", f"好{EMOTICON}坏{EMOTICON}"),
        ("&quot;引&quot; &amp;amp; &lt;b&gt;", '"引" & <b>'),
        ("[i=s] 本帖最后由 甲 编辑 [/i]正文", "正文"),
        ("[unknown]留着[/unknown]", "[unknown]留着[/unknown]"),
        ("见 https://user@Example.com:80/a?b=c 吧", "见 example.com 吧"),
        ("[url=http://example.com/x]点这里[/url]", "点这里 example.com"),
        ("ze=2]被切断的标签[/co", "被切断的标签"),
        ("后半[/quote]自己的话", "自己的话"),
        ("size]\n别人说的话[/quot\n……\note]\n我的话", "…… 我的话"),
        ("e]\n只剩一个字母的标签", "只剩一个字母的标签"),
        ("quot;半个引号&quo", "半个引号"),
        ("a\n\n  b\tc", "a b c"),
    ],
)
def test_markup_becomes_what_the_model_reads(original: str, for_model: str) -> None:
    assert model_text(read_markup(original)) == for_model


@given(markup)
def test_any_text_is_read_without_an_error_and_twice_the_same(original: str) -> None:
    cleaned = clean_unicode(original)
    segments = read_markup(cleaned)
    assert segments == read_markup(cleaned)
    text_hash(model_text(segments)).encode("ascii")
    reading_text(segments).encode("utf-8")


@given(st.text(alphabet=st.characters(exclude_characters="[]&:{}", categories=("L", "N")), min_size=1))
def test_plain_words_lose_nothing(original: str) -> None:
    assert reading_text(read_markup(original)) == original.strip()


@given(st.text())
def test_cleaned_text_has_no_surrogate_no_nul_and_no_carriage_return(value: str) -> None:
    cleaned = clean_unicode(value + "\ud800\x00\r\n\x1b")
    cleaned.encode("utf-8")
    assert not set("\x00\r\x1b") & set(cleaned)


@given(st.text(), st.sampled_from([" ", "　", "，", "!", "\n"]))
def test_copies_that_differ_in_width_case_and_punctuation_are_recognised(value: str, filler: str) -> None:
    if normalised(value) and any(character.isalnum() for character in normalised(value)):
        assert normalised(filler + value.upper().lower() + filler) == normalised(value.upper().lower())


def test_texts_of_punctuation_alone_stay_different() -> None:
    assert normalised("！！！") != normalised("……")


def test_overlapping_excerpts_are_joined_and_others_kept_in_order() -> None:
    whole = "一二三四五六七八九十甲乙丙丁戊己庚辛壬癸子丑寅卯"
    assert join_excerpts([whole[:14], whole[5:]]) == [whole]
    assert join_excerpts([whole[5:], whole[:14]]) == [whole]
    assert join_excerpts(["另外一段话", whole[:14], whole[5:]]) == ["另外一段话", whole]
    assert join_excerpts([whole, whole[3:9], whole]) == [whole]


def test_short_overlap_is_chance() -> None:
    assert join_excerpts(["abcdefg1234567", "1234567hijklmn"]) == ["abcdefg1234567", "1234567hijklmn"]


@given(st.text(alphabet="abcdefghij", min_size=12, max_size=60), st.data())
def test_every_excerpt_is_found_again_in_what_was_joined(whole: str, data: st.DataObject) -> None:
    places = data.draw(st.lists(st.integers(0, len(whole) - 1), min_size=1, max_size=6))
    excerpts = [whole[place : place + 10] for place in places]
    joined = join_excerpts(excerpts)
    assert all(any(excerpt in part for part in joined) for excerpt in excerpts)


@given(
    st.text(
        alphabet=st.sampled_from("，。！？、：（）…—《》,.!? \n一二abＡ１①㈱™é\u0301\u0338\u0323<=") | st.characters(),
        max_size=12,
    )
)
def test_copies_are_recognised_by_the_compatibility_form_without_case_and_punctuation(text: str) -> None:
    folded = unicodedata.normalize("NFKC", text).casefold()
    assert normalised(text) == (re.sub(r"[\W_]+", "", folded) or re.sub(r"\s+", "", folded))
