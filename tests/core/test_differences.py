"""What to mark beside a card, and what to point out first."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.differences import differences, telling_differences

texts = st.text(alphabet="甲乙丙1a ", max_size=20)


def marked(a: str, b: str) -> list[tuple[str, str]]:
    return [(a[d.a_start : d.a_end], b[d.b_start : d.b_end]) for d in differences(a, b)]


def test_changed_added_and_dropped_stretches_are_marked() -> None:
    assert marked("今天天气很好", "今天天气很好") == []
    assert marked("今天天气很好", "昨天天气好啊") == [("今", "昨"), ("很", ""), ("", "啊")]
    assert marked("", "新") == [("", "新")]


def test_number_or_latin_word_differs_as_a_whole() -> None:
    assert marked("电话13812345678，快来", "电话13912345670，快来") == [("13812345678", "13912345670")]
    assert marked("加abc12", "加abd12吧") == [("abc12", "abd12吧")]
    assert marked("共3个", "共30个") == [("3", "30")]


@given(texts, texts)
def test_replacing_what_is_marked_turns_one_text_into_the_other(a: str, b: str) -> None:
    rebuilt, end = "", 0
    for found in differences(a, b):
        rebuilt += a[end : found.a_start] + b[found.b_start : found.b_end]
        end = found.a_end
    assert rebuilt + a[end:] == b


def test_long_texts_without_anything_in_common_are_one_difference() -> None:
    begun = time.process_time()
    assert marked("开" + "甲乙" * 50_000, "开" + "丙丁" * 50_000) == [("甲乙" * 50_000, "丙丁" * 50_000)]
    assert time.process_time() - begun < 2


@pytest.mark.parametrize(
    ("a", "b", "told"),
    [
        ("电话13812345678", "电话13812345679", ("13812345678", "13812345679")),
        ("电话138 1234-5678", "电话１３８１２３４５６７８", ()),
        ("电话一三八一二三四五六七八", "电话13812345678", ()),
        ("只要3.5元", "只要35元", ("3.5", "35")),
        ("点开 https://www.a.com/x 看", "点开a.com/x看", ()),
        ("看 abc.example.com", "看 abd.example.com", ("abc.example.com", "abd.example.com")),
        ("@小明 你好", "@小红 你好", ("@小明", "@小红")),
        ("微信：ab12 快来", "微信:ＡＢ１２快来", ()),
        ("微信：ab12 快来", "微信:ab13快来", ("ab12", "ab13")),
        ("昵称：小明", "昵称：小红", ("小明", "小红")),
        ("找 lucky_star88 办", "找lucky_star99办", ("lucky_star88", "lucky_star99")),
        ("有事请联系张三办理", "有事请联系李四办理", ("张三", "李四")),
        ("张小明是骗子", "张晓明是骗子", ("张小", "张晓")),
        ("找王医生看病", "找李医生看病", ("王医生", "李医生")),
        ("欧阳锋说好", "上官云说好", ("欧阳锋", "上官云")),
        ("老王卖瓜", "老李卖瓜", ("老王", "老李")),
        ("马上来，很方便", "很快来，很容易", ()),
        ("今天天气很好", "今天天气不好", ()),
        ("一共 3 个", "一共 3 个，和 4 个", ("4",)),
    ],
)
def test_numbers_links_and_names_that_only_one_has_are_told(a: str, b: str, told: tuple[str, ...]) -> None:
    assert telling_differences(a, b) == told


@pytest.mark.parametrize("part", ["a.", "1 ", "a-", "@a", "www.", "一", "1a_"])
def test_time_to_tell_grows_in_proportion(part: str) -> None:
    def seconds(size: int) -> float:
        begun = time.process_time()
        telling_differences(part * size, "")
        return time.process_time() - begun

    once, thrice = min(seconds(10_000) for _ in range(3)), min(seconds(30_000) for _ in range(3))
    assert thrice < 6 * once + 0.02
