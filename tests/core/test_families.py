"""Near-copies: the form they are recognised by, which bands they share, and which family they belong to."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import TypeVar

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from core import families
from core.families import (
    MAX_LENGTH,
    MIN_JACCARD,
    Ids,
    Matched,
    NewTexts,
    Placed,
    Representatives,
    family_form,
    is_exact_only,
    jaccard,
    keys_of,
    marks_of,
    match,
)
from core.minhash import MIN_LENGTH, N_BANDS, bands_of
from core.text import ATTACHMENT, EMOTICON
from tests.core.near_copies import agreement, edit, templates, vary

T = TypeVar("T")

PLAIN = "加微信12345日结500元在家轻松做"
LONG = "我们公司诚信经营，需要兼职的朋友请" + PLAIN
NEAR = LONG.replace("轻松", "开心")

posts = st.text(alphabet="ab0一 微薇。贷款", max_size=24)
related = st.lists(
    posts, min_size=1, max_size=4
).flatmap(  # so that near-copies are among them
    lambda bases: st.lists(
        st.builds(
            lambda base, place, other: base[:place] + other + base[place + 1 :],
            st.sampled_from(bases),
            st.integers(0, 24),
            st.sampled_from(["", "c", "钱", "9"]),
        )
        | posts,
        max_size=16,
    )
)


def match_all(forms: Sequence[str], *, cuts: Sequence[int] = (), piece: int = 1_000) -> Ids:
    """Match block by block, as one file after another is imported; what is known comes in pieces."""
    blocks: list[Matched] = []
    for start, end in zip([0, *cuts], [*cuts, len(forms)], strict=True):
        so_far = np.concatenate([np.empty(0, np.int64), *(block.family_ids for block in blocks)])
        keys = keys_of(forms[:start])
        blocks.append(
            match(
                new_texts(forms[start:end], range(start, end)),
                placed=[Placed(keys[i : i + piece], so_far[i : i + piece]) for i in range(0, start, piece)],
                representatives=[pieces for block in blocks for pieces in _cut(block.founded, piece)],
                forms_of=lambda ids: [forms[identity] for identity in ids],
            )
        )
    return np.concatenate([block.family_ids for block in blocks])


def new_texts(forms: Sequence[str], ids: Sequence[int]) -> NewTexts:
    return NewTexts.of(zip(ids, marks_of(forms), strict=True))


def _cut(known: Representatives, piece: int) -> list[Representatives]:
    starts = range(0, len(known.ids), piece)
    return [Representatives(known.ids[i : i + piece], known.bands[i : i + piece]) for i in starts]


def families_of(texts: Sequence[str]) -> list[int]:
    return match_all([family_form(text) for text in texts]).tolist()


def nothing_alike(_ids: Sequence[int]) -> Sequence[str]:
    pytest.fail("no form is needed: nothing could be similar")


# The form


@pytest.mark.parametrize(
    "copy",
    [
        pytest.param("加微信１２３４５日结５００元在家轻松做", id="width"),
        pytest.param("加 微 信 1 2 3 4 5 日结500元在家轻松做", id="spaced out"),
        pytest.param("加微\u200b信12345日\u0336结500元\ufe0f在家轻松做", id="zero width and marks"),
        pytest.param("【加微信】：12345！！日结500元~在家*轻*松*做🔥", id="punctuation and emoji"),
        pytest.param(f"加微信12345日结500元{EMOTICON}在家轻松做{EMOTICON}", id="emoticons"),
        pytest.param("加微信13800000000日结9元在家轻松做", id="other digits, more or fewer"),
        pytest.param("加微信①②③④⑤日结❺元在家轻松做", id="circled digits"),
        pytest.param("加微信一二三四五日结500元在家轻松做", id="Chinese numerals in a run"),
        pytest.param("加微信138一二三四5678日结500元在家轻松做", id="numerals and digits mixed"),
        pytest.param("加微信1o2l345日结5o0元在家轻松做", id="letters for digits"),
        pytest.param("加微信12345日結500圓在家輕鬆做", id="traditional"),
        pytest.param("伽薇伩12345日结500元在家轻松做", id="look-alikes"),
    ],
)
def test_disguise_makes_no_difference_to_the_form(copy: str) -> None:
    assert family_form(copy) == family_form(PLAIN) == "加微信0日结0元在家轻松做"


@pytest.mark.parametrize(
    ("text", "plain"),
    [
        ("ＶＩＡＧＲＡ today", "viagratoday"),
        ("Vіаgrа tоdаy", "viagratoday"),  # Cyrillic
        ("ⓥⓘⓐⓖⓡⓐ 🅃🄾🅳🅰🅈", "viagratoday"),
        ("v1agra t0day", "viagratoday"),
        ("vïágrà tøday", "viagratoday"),
        ("ᴠɪᴀɢʀᴀ today", "viagratoday"),
        ("扣扣咨询办理证件", "qq咨询办理证件"),
        ("看 www.Example.com 就知道", "看wwwexamplecom就知道"),
        ("一个人在家，三天两头生病", "一个人在家三天两头生病"),
    ],
)
def test_letters_are_plain_and_hosts_and_words_stay(text: str, plain: str) -> None:
    assert family_form(text) == plain


def test_short_text_keeps_its_digits_and_is_for_exact_copies() -> None:
    assert family_form("13812345678") == "=13812345678"
    assert family_form("等 ３ 天") == "=等3天"
    assert family_form("等5天") != family_form("等3天")
    assert not is_exact_only(family_form("一二三甲乙丙丁戊"))


def test_text_of_nothing_but_symbols_stays_what_it_is() -> None:
    assert len({family_form(text) for text in ("！！！", "……", "😂", "🤮", EMOTICON, ATTACHMENT, "")}) == 7


def test_very_long_text_is_for_exact_copies() -> None:
    long = "".join(map(chr, range(0x4E00, 0x4E00 + MAX_LENGTH + 1)))
    assert is_exact_only(family_form(long))
    assert not is_exact_only(family_form(long[:MIN_LENGTH]))


@given(st.text())
def test_any_text_has_a_form(text: str) -> None:
    form = family_form(text)
    assert is_exact_only(form) or MIN_LENGTH <= len(form) <= MAX_LENGTH


@pytest.mark.parametrize("part", ["一", "1一", "一一一1", "a1", "1o", "é"])
def test_time_for_a_form_grows_in_proportion(part: str) -> None:
    once, thrice = (_seconds(lambda text: family_form(text), part * size) for size in (40_000, 120_000))
    assert thrice < 6 * once + 0.02


def _seconds(work: Callable[[T], object], on: T) -> float:
    """The shortest of three tries."""
    tries = []
    for _ in range(3):
        begun = time.perf_counter()
        work(on)
        tries.append(time.perf_counter() - begun)
    return min(tries)


# Bands


def test_bands_are_the_same_for_ever() -> None:
    """They are stored: where this fails, databases out there have bands that no new text will share."""
    bands = bands_of(["加微信0日结0元在家轻松做", "viagratoday"])
    assert bands[:, :3].tolist() == [[1352530445, 937634911, 2944771799], [2655168235, 491355230, 2652722127]]
    assert bands[:, -1].tolist() == [1096333902, 3499199178]
    assert keys_of(["加微信0日结0元在家轻松做"]).tolist() == [6865942218701018420]


def test_bands_do_not_depend_on_what_else_is_in_the_block() -> None:
    forms = [family_form(text) for text in templates(random.Random(1), count=5_000)] + [
        "长" * 9_000,
        "甲乙丙丁戊己庚辛",
    ]
    alone = np.concatenate([bands_of([form]) for form in forms[-100:]])
    assert (bands_of(forms)[-100:] == alone).all()
    assert bands_of([]).shape == (0, N_BANDS)


def test_form_without_enough_characters_has_no_bands() -> None:
    with pytest.raises(ValueError, match="a form of 7 characters has no bands; 8 are needed"):
        bands_of(["甲乙丙丁戊己庚辛", "甲乙丙丁戊己庚"])


def test_forms_share_as_many_bands_as_their_similarity_says() -> None:
    """Jaccard to the fourth, as four independent permutations would have it."""
    rng = random.Random(3)
    shared: dict[float, list[float]] = {}
    originals = [family_form(text) for text in templates(rng, count=2_000)]
    copies = [edit(form, rng, edits=rng.randrange(1, 8)) for form in originals]
    for original, copy, share in zip(
        originals, copies, (bands_of(originals) == bands_of(copies)).mean(axis=1).tolist(), strict=True
    ):
        similarity = jaccard(original, copy)
        shared.setdefault(round(similarity, 1), []).append(share - similarity**4)
    for similarity in (0.5, 0.6, 0.7, 0.8):
        assert np.mean(shared[similarity]) == pytest.approx(0, abs=0.02)


# Families


def test_similarity_counts_what_two_forms_share() -> None:
    assert jaccard("甲乙丙", "甲乙丙") == jaccard("", "") == 1.0
    assert jaccard("甲乙丙", "乙丙丁") == pytest.approx(1 / 3)
    assert jaccard("甲", "乙") == jaccard("甲乙", "丙丁") == 0.0


def test_near_copies_join_the_first_of_them() -> None:
    other = "今天的天气真好，我们一起去公园走走吧"
    assert families_of([other, LONG, LONG + "！", NEAR, other]) == [0, 1, 1, 1, 0]


def test_short_texts_join_only_exact_copies() -> None:
    assert families_of(["明天见，老地方", "明天见老地方！", "明天见，老地", "１２３", "123", "124"]) == [
        0,
        0,
        2,
        3,
        3,
        5,
    ]


def test_chain_is_cut_where_the_text_is_no_copy_of_the_representative_any_more() -> None:
    base = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉戌亥春夏秋冬东南西北"
    chain = [base[:-length] + "金木水火土日月年时分秒上下左右"[:length] if length else base for length in range(14)]
    assert all(jaccard(a, b) >= MIN_JACCARD for a, b in pairwise(chain))
    families = families_of(chain)
    assert families[0] == families[1] == 0
    assert families[-1] != 0
    assert all(jaccard(chain[family], form) >= MIN_JACCARD for family, form in zip(families, chain, strict=True))


def test_text_joins_the_most_similar_representative_and_of_equals_the_first() -> None:
    middle = "甲乙丙丁戊己庚辛壬癸子丑寅卯辰巳午未申酉"
    left, right = middle + "春夏秋冬东南", middle + "金木水火土日"
    assert jaccard(left, right) < MIN_JACCARD
    assert jaccard(middle, left) == jaccard(middle, right) >= MIN_JACCARD
    assert match_all([left, right, middle]).tolist() == [0, 1, 0]
    assert match_all([right, left, middle]).tolist() == [0, 1, 0]
    assert match_all([left, right, middle + "金"]).tolist() == [0, 1, 1]


def test_second_file_joins_the_families_of_the_first() -> None:
    form, copy = family_form(LONG), family_form(NEAR)
    known = Representatives(np.array([70]), bands_of([form]))
    forms = {70: form, 90: copy}
    matched = match(
        new_texts([copy], [90]), representatives=[known], forms_of=lambda ids: [forms[each] for each in ids]
    )
    assert matched.family_ids.tolist() == [70]
    assert len(matched.founded.ids) == 0


def test_equal_form_decides_whichever_representative_is_like_it() -> None:
    """A member that was split off has a family of its own; its copies go with it."""
    form, copy = family_form(LONG), family_form(NEAR)
    known = Representatives(np.array([70]), bands_of([form]))
    placed = [Placed(keys_of([form, copy]), np.array([70, 80])), Placed(keys_of([copy]), np.array([85]))]
    matched = match(new_texts([copy], [90]), placed=placed, representatives=[known], forms_of=nothing_alike)
    assert matched.family_ids.tolist() == [80]


def test_founders_are_handed_back_with_their_bands_unless_they_are_for_exact_copies_only() -> None:
    forms = [family_form(text) for text in (PLAIN, PLAIN + "！", "短", "今天的天气真好，我们一起去走走")]
    matched = match(new_texts(forms, [5, 6, 7, 8]), forms_of=nothing_alike)
    assert matched.family_ids.tolist() == [5, 5, 7, 8]
    assert matched.founded.ids.tolist() == [5, 8]
    assert (matched.founded.bands == bands_of([forms[0], forms[3]])).all()


def test_ids_that_do_not_ascend_are_refused() -> None:
    with pytest.raises(ValueError, match="do not ascend"):
        new_texts(["=a", "=b"], [2, 1])


@given(st.text(alphabet="0137一三〇幺甲aol ", max_size=20))
def test_numbers_and_letters_for_digits_are_read_by_their_plain_rules(plain: str) -> None:
    numerals = "〇零一二三四五六七八九壹贰叁肆伍陆柒捌玖幺"
    leet = "(?<=[a-z])[013457](?=[a-z])|(?<=[0-9])[oil](?=[0-9])"
    number = f"[0-9{numerals}]{{7,}}|(?:[0-9]|[{numerals}]{{4,}})+"
    assert families._LEET.findall(plain) == re.findall(leet, plain)
    assert families._NUMBER.sub("#", plain) == re.sub(number, "#", plain)


@given(related)
def test_every_text_is_in_one_family_and_like_its_representative(texts: list[str]) -> None:
    forms = [family_form(text) for text in texts]
    families = match_all(forms).tolist()
    for form, family in zip(forms, families, strict=True):
        assert families[family] == family
        assert form == forms[family] or jaccard(form, forms[family]) >= MIN_JACCARD
    assert len(set(zip(forms, families, strict=True))) == len(set(forms))


@given(related, st.lists(st.integers(0, 16), max_size=3), st.integers(1, 5))
def test_neither_blocks_nor_pieces_make_a_difference(texts: list[str], cuts: list[int], piece: int) -> None:
    forms = [family_form(text) for text in texts]
    cuts = sorted(min(cut, len(forms)) for cut in cuts)
    assert match_all(forms, cuts=cuts, piece=piece).tolist() == match_all(forms).tolist()


def test_blocks_make_no_difference_to_many_texts_either() -> None:
    rng = random.Random(5)
    forms = [family_form(edit(text, rng, edits=rng.randrange(9))) for text in templates(rng, count=40) * 60]
    rng.shuffle(forms)
    assert match_all(forms, cuts=[100, 101, 1_500], piece=37).tolist() == match_all(forms).tolist()


def test_templates_are_told_apart_and_their_copies_found() -> None:
    rng = random.Random(11)
    sent = [
        (vary(template, rng), number) for number, template in enumerate(templates(rng, count=150)) for _ in range(12)
    ]
    sent += [(vary(template, rng), 1_000 + number) for number, template in enumerate(templates(rng, count=3_000))]
    rng.shuffle(sent)
    precision, recall = agreement(families_of([text for text, _ in sent]), [number for _, number in sent])
    assert precision >= 0.99
    assert recall >= 0.95


@pytest.mark.alone
def test_thousands_of_near_copies_of_one_template_cost_no_more_than_so_many_others() -> None:
    rng = random.Random(7)
    form = family_form(vary(templates(rng, count=1)[0], rng))
    few, many = ([edit(form, rng, edits=2) for _ in range(count)] for count in (2_000, 8_000))
    few[0] = many[0] = form
    assert len(set(many)) > 7_000
    assert _seconds(match_all, many) < 8 * _seconds(match_all, few)  # 16 times if each was compared with each
    sizes = np.unique(match_all(many), return_counts=True)[1]
    assert sizes.max() > 0.8 * len(many)
