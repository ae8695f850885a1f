"""BBCode as Discuz! writes it: what is shown, what the model reads, and that no input takes long."""

from __future__ import annotations

import gc
import re
import time
from collections.abc import Callable

import pytest

from core import differences, exchange, families, json_arrays, labelled, markup, text, tsv
from core.markup import ATTACHMENT, host_of, read_markup
from core.text import EMOTICON, has_text, join_excerpts, model_text, normalised, reading_text
from core.tsv import split_fields

LINK = "forum.php?mod=redirect&goto=findpost&pid=1"
HEADER = f"[size=2][url={LINK}][color=#999999]甲 发表于 2026-1-1 12:00[/color][/url][/size]"


def kinds(original: str) -> list[tuple[str, str]]:
    return [(segment.kind, segment.text) for segment in read_markup(original)]


# --- quotations and what the forum wrote ------------------------------------------------------------------------------


def test_nested_quotations_are_one_quotation_on_lines_of_their_own() -> None:
    original = f"[quote]{HEADER}\n外[quote]内[/quote]再外[/quote]\n我的"
    assert kinds(original) == [("quote", "甲 发表于 2026-1-1 12:00\n外\n内\n再外"), ("text", "\n我的")]
    assert model_text(read_markup(original)) == "我的"


def test_two_quotations_in_a_row_are_two() -> None:
    assert kinds("[quote]一[/quote][quote]二[/quote]我的") == [("quote", "一"), ("quote", "二"), ("text", "我的")]


def test_quotation_whose_beginning_is_cut_off_holds_its_picture_as_a_token() -> None:
    assert kinds("看[attach]1[/attach]后[/quote]我的") == [("quote", f"看{ATTACHMENT}后"), ("text", "我的")]


def test_policy_lets_the_model_read_quotations_but_never_what_the_forum_wrote() -> None:
    segments = read_markup("[quote]别人的[/quote][i=s] 本帖最后由 甲 于 2012-3-4 12:34 编辑 [/i]我的")
    assert model_text(segments) == "我的"
    assert model_text(segments, quotes=True) == "别人的我的"
    assert "本帖最后由 甲" in reading_text(segments)


@pytest.mark.parametrize(
    ("original", "note"),
    [
        ("[i=s] 本帖最后由 甲 于 2012-3-4 12:34 编辑 [/i]\n\n正文", "本帖最后由 甲 于 2012-3-4 12:34 编辑"),
        ("[i]This post was last edited by A at 2012-3-4[/i]正文", "This post was last edited by A at 2012-3-4"),
        ("=s] 本帖最后由 甲 于 2012-3-4 12:34 编辑 [/i]正文", "本帖最后由 甲 于 2012-3-4 12:34 编辑"),
        ("2-3-4 12:34 编辑 [/i]\n正文", "2-3-4 12:34 编辑"),
        ("编辑 [/i]正文", "编辑"),
        ("正文[i=s] 本帖最后由 甲 于 20", "本帖最后由 甲 于 20"),
    ],
)
def test_edit_note_is_the_forums_not_the_authors_also_when_cut(original: str, note: str) -> None:
    segments = read_markup(original)
    assert [segment.text.strip() for segment in segments if segment.kind == "note"] == [note]
    assert model_text(segments) == "正文"


@pytest.mark.parametrize("original", ["[i=s]加微信 vx123[/i]好", "[i]我找编辑[/i]好", "找编辑[/i]好"])
def test_other_words_in_italics_are_the_authors(original: str) -> None:
    assert [segment.kind for segment in read_markup(original)] == ["text"]


# --- shapes -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("original", "for_model"),
    [
        # looks vanish
        ("[IMG]http://a.cn/b.jpg[/IMG][B]粗[/B]", f"{ATTACHMENT}粗"),
        ("[ b ]粗[ /b ][backcolor=Red][u]线[/u][/backcolor]", "粗线"),
        ('[color="red"]红[/color][p=30, 2, left]段[/p]', "红 段"),
        ("[b]没有关上", "没有关上"),
        ("x[sup]2[/sup]", "x2"),
        # words stay
        ("[hide=100]要[/hide][free]的[/free]", "要的"),
        ("[code]x[0] = 1[/code]", "x[0] = 1"),
        ("[@]小明[/@] [@=12]小红[/@]", "小明 小红"),
        ("[url=home.php?mod=space&amp;uid=1]@小明[/url] 你好", "@小明 你好"),
        # lists and tables keep their parts apart
        (
            "[table=98%,#fff][tr][td]价格[/td][td]100[/td][/tr][tr][td]数量[/td][td]2[/td][/tr][/table]",
            "价格 100 数量 2",
        ),
        ("[list=1][*]一[*]二[/list]", "一 二"),
        # files and emoticons are tokens
        ("[img=100,200]http://a.cn/图.jpg[/img]字", f"{ATTACHMENT}字"),
        ("[attachimg]123[/attachimg]字", f"{ATTACHMENT}字"),
        ("[media=mp4,500,375]http://v.cn/a.mp4[/media]看", f"{ATTACHMENT}看"),
        ("[audio]http://a.cn/b.mp3[/audio][flash]http://a.cn/b.swf[/flash]", ATTACHMENT * 2),
        ("{:4_112:}{:soso_e113:}:lol:", EMOTICON * 3),
        ("看[attach]12345[/att", f"看{ATTACHMENT}"),
        # what only pretends to be a file
        ("[img]加微信 vx123 谢谢", f"{ATTACHMENT}加微信 vx123 谢谢"),
        ("[img]加微信vx[/img]", f"{ATTACHMENT}加微信vx"),
        ("[attach]123加微信", f"{ATTACHMENT}加微信"),
        # links keep label and host
        ('[url="http://a.cn/x"]标[/url]', "标 a.cn"),
        ("[url = http://A.cn:80/x ]标[/url]", "标 a.cn"),
        ("[url]http://a.cn/b[/url]", "a.cn"),
        ("[url]a.cn/b[/url]", "a.cn/b a.cn"),
        ("[url=http://spam.cn][img]http://p.cn/1.jpg[/img][/url]", f"{ATTACHMENT} spam.cn"),
        ("[url=http://evil.cn]http://good.cn[/url]", "good.cn evil.cn"),
        ("[url=http://evil.cn\\@good.cn]标[/url]", "标 evil.cn"),
        ("[email=x@a.cn]写信[/email]", "写信 a.cn"),
        ("[email]x@a.cn[/email]", "x@a.cn"),
        ("http://localhost 见", "http://localhost 见"),
        # cut inside a tag
        ("forum.php?mod=x&amp;pid=1][color=#999]乙 发表于[/color]\n引[/quote]\n我的", "我的"),
        ("999999]小舟", "小舟"),
        ("http://spam.cn] 正文", "spam.cn ] 正文"),
        ("正文[url=http://a.cn/很长的", "正文"),
        # HTML left-overs
        ("行<br />二&nbsp;三<font color=red>红</font>", "行 二 三红"),
        ("<script>alert(1)</script>", "alert(1)"),
        ('<a href="http://spam.cn/x">点</a><img src=x.jpg>', f"点 spam.cn {ATTACHMENT}"),
        ("a < b 且 c > d", "a < b 且 c > d"),
        ("&lt;br&gt;", "<br>"),
    ],
)
def test_shape_becomes_what_the_model_reads(original: str, for_model: str) -> None:
    assert model_text(read_markup(original)) == for_model


@pytest.mark.parametrize(
    ("address", "host"),
    [
        ("http://user:word@Sub.Example.com:8080/a?b#c", "sub.example.com"), ("www.a.cn", "www.a.cn"),
        ("a.cn/x", "a.cn"), ("forum.php?tid=1", None), ("thread-1-1-1.html", None), ("", None), ("http://", None),
        ("javascript:alert(1)", None), ("mailto:x@a.cn", "a.cn"), ("//a.cn/x", "a.cn"),
    ],
)  # fmt: skip
def test_host_is_that_of_the_address_and_a_page_of_the_forum_has_none(address: str, host: str | None) -> None:
    assert host_of(address) == host


# --- no input takes long ----------------------------------------------------------------------------------------------

UNITS = [
    "[", "]", "[[", "[quote]", "[/quote]", "x[/quote]", "[quote]a[/quote]", "[url=", "[url=http://a.cn]x", "[url]",
    "[/url]", "[img]", "[attach]1", "[i=s]", "[/i]", "a[b]", "[ ", "[*]", "[td]", "&", "&#", "&amp;", "&#x41", "&#9",
    ":", ":a", ":abc", "{:", "{:1_2:}", "http://", "www.", "www.a]", "\\", "\\\t", "\\\n", "\t", " ", "　", "x ", "<",
    "<br>", "<font ", "<a href=", "本帖最后由", "编辑", "a]", "\n……\n", "e\u0301", "ﷺ", "'", "\0", "\ud800",
]  # fmt: skip
READERS: dict[str, Callable[[str], object]] = {
    "read_markup": read_markup,
    "model_text": lambda original: model_text(read_markup(original)),
    "normalised": normalised,
    "has_text": has_text,
    "split_fields": lambda line: split_fields("\\\t" + line),  # without an escape it is str.split
}
EXPRESSIONS = {
    f"{module.__name__}.{name}": expression
    for module in (text, markup, tsv, labelled, families, differences, json_arrays, exchange)
    for name, expression in vars(module).items()
    if isinstance(expression, re.Pattern)
}


ANCHORED = {"_FILE", "_CUT_FILE", "_EDITED", "_END_OF_EDITED", "_HALF_TAG_AT_START", "_HALF_VALUE", "_DOMAIN"}


def seconds(read: Callable[[str], object], hostile: str, *, runs: int) -> float:
    """Processor time of the fastest of some runs."""
    best = 60.0
    for _ in range(runs):
        begun = time.thread_time()
        read(hostile)
        best = min(best, time.thread_time() - begun)
    return best


def growth(read: Callable[[str], object], unit: str, size: int) -> float:
    """How much longer twice the input takes, on the average of six doublings.

    So many, because a longer input leaves the processor's caches, which costs the same once however long it is. The
    least of several tries: other processes only ever add.
    """
    times = size // len(unit)
    least = 9.0
    gc.disable()
    try:
        for _ in range(8):
            longer = seconds(read, unit * (64 * times), runs=2) / seconds(read, unit * times, runs=12)
            least = min(least, longer ** (1 / 6))
            if least <= 2.2:
                break
    finally:
        gc.enable()
    return least


@pytest.mark.alone
@pytest.mark.parametrize("unit", UNITS)
def test_twice_any_hostile_text_takes_twice_the_time_in_every_reader(unit: str) -> None:
    for name, read in READERS.items():
        assert growth(read, unit, 3_000) <= 2.2, name


@pytest.mark.alone
@pytest.mark.parametrize("unit", ["a[b]x[/b]", "x[/quote]", "[quote]a[/quote]", "[url=http://a.cn]x[b]"])
def test_post_of_a_megabyte_is_put_together_once_and_not_piece_by_piece(unit: str) -> None:
    assert seconds(read_markup, unit * (1_000_000 // len(unit)), runs=1) < 4


@pytest.mark.parametrize("name", EXPRESSIONS)
def test_no_expression_blows_up(name: str) -> None:
    """A quadratic one would need minutes for these."""
    expression = EXPRESSIONS[name]
    for unit in UNITS:
        hostile = unit * (20_000 // len(unit))
        as_bytes = hostile.encode("utf-8", "surrogatepass")
        text, nothing = (as_bytes, b"") if isinstance(expression.pattern, bytes) else (hostile, "")
        begun = time.process_time()
        expression.match(text)
        if name.rpartition(".")[2] not in ANCHORED:
            expression.sub(nothing, text)
        assert time.process_time() - begun < 0.5, unit


def test_huge_excerpts_that_nearly_overlap_everywhere_are_compared_a_limited_number_of_times(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compared = 0

    def overlap(left: str, right: str) -> int:
        nonlocal compared
        compared += 1
        return find_overlap(left, right)

    find_overlap = text._overlap
    monkeypatch.setattr(text, "_overlap", overlap)
    counted = []
    for count in (400, 800):
        compared = 0
        join_excerpts(["a" * 300 + f"b{n:04d}" for n in range(count)])
        counted.append(compared)
    assert counted[0] == counted[1] <= text.MAX_JOINED**2


def test_run_of_equal_characters_is_not_searched_for_an_overlap_at_each_of_them() -> None:
    excerpts = ["a" * 4_000 + f"b{n}" for n in range(60)]
    begun = time.process_time()
    join_excerpts(excerpts)
    assert time.process_time() - begun < 1
