"""Plain characters: what a character is read as, whatever width, script, variant or disguise it comes in.

All of it holds character by character, so that a changed neighbour never changes how a character is read; a converter
of phrases would be better Chinese, and would make near-copies differ where nobody edited them.
"""

from __future__ import annotations

import re
import unicodedata
from functools import cache

import opencc

# Each line: the plain character, then those that stand in for it, by shape or by sound, in the words that spam is
# recognised by. They are read alike in every text, so a line costs nothing but the difference between its characters:
# none that tells two ordinary sentences apart stands here. Simplified only: variants are simplified before.
_DISGUISES = """
微 薇溦葳徽嶶威
信 伩訫芯
加 伽珈茄
群 裙羣
号 呺
q 扣叩抠
赌 堵睹
博 搏
彩 採采
票 漂嘌
贷 袋岱
款 欵
裸 祼
淫 婬
霉 莓
着 著
元 圆
a аαɑ
b вβ
c сϲ
d ԁ
e еε
g ɡ
h нһ
i іιı
j ј
k кκ
m м
n η
o оοσ
p рρ
q ԛ
s ѕ
t тτ
u υʋ
v ѵν
w ԝω
x хχ
y уγ
"""
_PLAIN = {stand_in: line[0] for line in _DISGUISES.split("\n") for stand_in in line[2:]}
_NAME_OF_A_LETTER = re.compile(  # 🅰 and ᴀ and ø: Unicode says what they are, and decomposes them not
    r"(?:NEGATIVE )?(?:SQUARED |CIRCLED )?LATIN (?:SMALL |CAPITAL )?LETTER (?:SMALL CAPITAL )?([A-Z])(?: WITH .*)?"
)
_UNASSIGNED = frozenset({"Cn", "Co", "Cs"})


class PlainCharacters(dict[int, str | None]):
    """A table for str.translate that is filled as characters come: code point to plain characters, None for none.

    Letters are without case, accents and width, Chinese ones simplified; digits of any script are 0 to 9; blanks,
    marks, punctuation, symbols and emoji have no plain character.
    """

    def __missing__(self, code: int) -> str | None:
        character = chr(code)
        plain = "".join(map(_plain, _decomposed(_decomposed(character).casefold()))) or None
        if unicodedata.category(character) not in _UNASSIGNED:  # a million of those would be kept for nothing
            self[code] = plain
        return plain


def _decomposed(text: str) -> str:
    return unicodedata.normalize("NFKD", text)


def _plain(part: str) -> str:
    """The plain character of one that is decomposed and without case."""
    if part.isdigit():
        return str(unicodedata.digit(part))
    if name := _NAME_OF_A_LETTER.fullmatch(unicodedata.name(part, "")):
        return name[1].lower()
    simple = _simplifier().convert(part) if part >= "\u2e80" else part
    return _PLAIN.get(simple, simple) if simple.isalnum() else ""


@cache
def _simplifier() -> opencc.OpenCC:
    return opencc.OpenCC("t2s")
