"""Made-up Chinese in any amount: words of common characters, drawn as unevenly as a language draws its own."""

from __future__ import annotations

import random
from functools import cache
from itertools import accumulate

WORDS = 12_000
WORDS_PER_REFILL = 20_000
URN = 200_000  # so large that the rarest word is in it three times
MARKS = "，。！？、"
MARK_SHARE = 0.1  # of what prose is put together from

# The commonest characters first; the rest of GB 2312's first level follows them.
COMMON = (
    "的一是不了在人有我他这个们中来上大为和国地到以说时要就出会可也你对生能而子那得于着下自之年过发后作里用道行所然家种事"
    "成方多经么去法学如都同现当没动面起看定天分还进好小部其些主样理心她本前开但因只从想实日军者意无力它与长把机十民第公此"
    "已工使情明性知全三又关点正业外将两高间由问很最重并物手应战向头文体政美相见被利什二等产或新己制身果加西斯月话合回特代"
    "内信表化老给世位次度门任常先海通教儿原东声提立及比员解水名真论处走义各入几口认条平系气题活尔更别打女变四神总何电数安"
    "少报才结反受目太量再感建务做接必场件计管期市直德资命山金指克许统区保至队形社便空决治展马科司五基眼书非则听白却界达光"
    "放强即像难且权思王象完设式色路记南品住告类求据程北边死张该交规万取拉格望觉术领共确传师观清今切院让识候带导争运"
)


def characters() -> str:
    """The 3,755 characters of GB 2312's first level, each once, common ones first."""
    level = "".join(bytes((0xB0 + n // 94, 0xA1 + n % 94)).decode("gb2312") for n in range(3_755))
    return "".join(dict.fromkeys(COMMON + level))


def zipf(count: int, *, offset: int) -> list[float]:
    """Cumulative weights of so many ranks, 1 / (rank + offset) each; a larger offset is more even."""
    return list(accumulate(1 / (rank + offset) for rank in range(count)))


@cache
def vocabulary() -> tuple[str, ...]:
    """Words of one to four characters, the same in each run, so that two exports speak one language."""
    rng = random.Random("words")
    inventory = characters()
    drawn = rng.choices(inventory, cum_weights=zipf(len(inventory), offset=60), k=4 * WORDS)
    lengths = rng.choices((1, 2, 3, 4), (2, 12, 3, 2), k=WORDS)
    return tuple("".join(drawn[4 * n : 4 * n + length]) for n, length in enumerate(lengths))


@cache
def _urn() -> tuple[str, ...]:
    """Words and marks, each as often as its weight says: to draw from it evenly is the quick way to draw unevenly."""
    words, weights = vocabulary(), [1 / (rank + 80) for rank in range(WORDS)]
    unit = URN * (1 - MARK_SHARE) / sum(weights)
    marks = tuple(MARKS) * int(URN * MARK_SHARE / len(MARKS))
    return (*marks, *(word for word, weight in zip(words, weights, strict=True) for _ in range(round(unit * weight))))


class Prose:
    """An endless text; each stretch of it is given out once."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._text = ""
        self._place = 0

    def take(self, length: int) -> str:
        """Return the next so many characters."""
        if self._place + length > len(self._text):
            fresh = self._rng.choices(_urn(), k=WORDS_PER_REFILL)
            self._text, self._place = self._text[self._place :] + "".join(fresh), 0
        self._place += length
        return self._text[self._place - length : self._place]
