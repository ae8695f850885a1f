"""Spam: a few hundred templates, and the disguises under which a forum meets each of them again and again."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from typing import Literal

from tests.benchmarks.wording import Prose

TEMPLATES = 300
SIBLING_EACH = 10  # of so many templates one begins as the one before it does, and goes on as none
HITS = "贷款 兼职 刷单 发票 代办 套现 证件 返利 棋牌 彩票 日结 押金 高薪 代开 信用卡 黑户 提现 充值 官网 招聘".split()
CONTACTS = "联系 私聊 咨询 电话 客服 扣扣号".split()
CALLS = "加微信 进群领 微信同号 加我 找群主 加群".split()
ENDINGS = ("com", "cn", "top", "net", "cc")

PUNCTUATION = ("，", ",", "！", "!", "~", " ", "。", "…", "")
SEPARATORS = (" ", ".", "·", "-", "_", "*", "/", "　", "\u200b")
CIRCLED = str.maketrans("0123456789", "⓪①②③④⑤⑥⑦⑧⑨")
WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}
CYRILLIC = str.maketrans("aceopxy", "асеорху")
LOOK_ALIKES = {"微": "薇徽", "信": "伩", "加": "咖伽", "群": "裙", "领": "翎", "号": "呺", "主": "炷", "同": "哃"}
TRADITIONAL = (  # simplified and traditional form
    "贷貸 钱錢 无無 证證 发發 万萬 来來 们們 个個 为為 国國 说說 时時 会會 对對 过過 后後 种種 经經 学學 现現 当當 "
    "没沒 动動 还還 进進 样樣 开開 从從 实實 军軍 与與 长長 机機 问問 间間 业業 将將 两兩 关關 点點 应應 战戰 头頭 "
    "体體 见見 产產 话話 给給 门門 东東 声聲 员員 论論 处處 义義 几幾 认認 条條 气氣 题題 尔爾 变變 总總 电電 数數 "
    "报報 结結 务務 场場 计計 资資 许許 统統 区區 队隊 决決 马馬 书書 听聽 达達 强強 难難 权權 张張 该該 规規 类類 "
    "据據 边邊 设設 记記 术術 领領 确確 传傳 师師 观觀 让讓 识識 导導 争爭 运運 带帶 买買 卖賣 货貨 联聯 网網 录錄 "
    "号號 单單 费費 价價 优優 奖獎 赢贏 赚賺 银銀 车車 办辦 灵靈 际際 组組 织織 线線 级級 约約 红紅 纪紀 纯純 终終 "
    "细細 绍紹 继繼 续續 维維 绩績 绿綠 编編 缘緣 词詞 试試 诗詩 诚誠 详詳 语語 误誤 请請 读讀 调調 谈談 谁誰 课課 "
    "谢謝 议議 讲講 访訪 评評 诉訴"
).split()
TO_TRADITIONAL = str.maketrans(dict(TRADITIONAL))

Kind = Literal["words", "hit", "call", "name", "number", "link"]
Body = tuple[str, list[tuple[int, str]]]  # text, and the place and word of each hit in it


@dataclass(frozen=True, slots=True)
class Piece:
    """A stretch of a template. Of a number only the length counts; a link is the middle of its host."""

    kind: Kind
    text: str


Template = tuple[Piece, ...]


@cache
def templates() -> tuple[Template, ...]:
    """The same in each run: exports of two seeds bring copies of the same templates."""
    rng = random.Random("templates")
    prose = Prose(rng)
    made = [_template(rng, prose) for _ in range(TEMPLATES)]
    for number in range(1, TEMPLATES, SIBLING_EACH):
        elder, own = made[number - 1], made[number]
        made[number] = elder[: len(elder) // 3] + own[len(own) // 3 :]
    return tuple(made)


def _template(rng: random.Random, prose: Prose) -> Template:
    """Hits stand so close that their excerpts overlap: together they hold the whole post."""
    pieces = [Piece("words", prose.take(rng.randint(3, 8)))]
    for word in rng.sample(HITS, rng.choice((1, 2, 2, 3))):
        pieces += [Piece("hit", word), Piece("words", prose.take(rng.randint(9, 13)))]
        if rng.random() < 0.5:
            pieces += [Piece("number", "0" * rng.randint(2, 5)), Piece("words", rng.choice("元块天分名"))]
    return (*pieces, *_way_to_reach(rng, prose))


def _way_to_reach(rng: random.Random, prose: Prose) -> Template:
    letters = "".join(rng.choices("abcdefghknopxyz", k=rng.randint(3, 5)))
    drawn = rng.random()
    if drawn < 0.3:
        return Piece("words", prose.take(4)), Piece("link", letters)
    if drawn < 0.6:
        return Piece("call", rng.choice(CALLS)), Piece("hit", rng.choice(CONTACTS)), Piece("number", "0" * 9)
    if drawn < 0.85:
        return Piece("hit", rng.choice(CONTACTS)), Piece("call", rng.choice(CALLS)), Piece("name", letters)
    return Piece("hit", rng.choice(HITS)), Piece("words", prose.take(8))


@dataclass(frozen=True, slots=True)
class _Disguise:
    """What one copy hides behind. spaced: the piece whose characters stand apart; edited: the one with a slip."""

    is_traditional: bool
    is_wide: bool
    is_circled: bool
    is_cyrillic: bool
    has_look_alike: bool
    spaced: int | None
    edited: int | None
    separator: str


def _draw(rng: random.Random, pieces: int) -> _Disguise:
    return _Disguise(
        is_traditional=rng.random() < 0.12,
        is_wide=rng.random() < 0.12,
        is_circled=rng.random() < 0.06,
        is_cyrillic=rng.random() < 0.1,
        has_look_alike=rng.random() < 0.2,
        spaced=rng.randrange(pieces) if rng.random() < 0.35 else None,
        edited=rng.randrange(pieces) if rng.random() < 0.1 else None,
        separator=rng.choice(SEPARATORS),
    )


def disguised(template: Template, rng: random.Random, prose: Prose) -> Body:
    """One copy of the template. Its hit words stand as they are: the scanner found them."""
    look = _draw(rng, len(template))
    text, places = "", []
    for number, piece in enumerate(template):
        if piece.kind == "hit":
            places.append((len(text), piece.text))
            text += piece.text
        elif piece.kind == "link":
            link, place = _link(piece.text, rng)
            places.append((len(text) + place, "www"))
            text += link
        else:
            text += _hidden(piece, look, number, rng, prose) + (rng.choice(PUNCTUATION) if piece.kind != "name" else "")
    if rng.random() < 0.1:
        text += prose.take(3)  # something new at the end, against exact comparison
    return text, places


def _hidden(piece: Piece, look: _Disguise, number: int, rng: random.Random, prose: Prose) -> str:
    text = piece.text
    if piece.kind == "number":
        text = _digits(len(text), rng)
        text = text.translate(CIRCLED) if look.is_circled else text
    elif piece.kind == "name":
        text = (text.translate(CYRILLIC) if look.is_cyrillic else text) + _digits(3, rng)
    elif piece.kind == "call" and look.has_look_alike:
        text = _with_look_alike(text, rng)
    elif piece.kind == "words" and look.edited == number and len(text) > 4:
        place = rng.randrange(1, len(text) - 1)
        text = text[:place] + rng.choice(("", prose.take(1))) + text[place + 1 :]
    text = text.translate(WIDE) if look.is_wide else text
    text = text.translate(TO_TRADITIONAL) if look.is_traditional else text
    # Six characters stand apart at most: more would push what follows out of the excerpt.
    return look.separator.join(text[:6]) + text[6:] if look.spaced == number else text


def _with_look_alike(text: str, rng: random.Random) -> str:
    place = rng.choice([place for place, character in enumerate(text) if character in LOOK_ALIKES])
    return text[:place] + rng.choice(LOOK_ALIKES[text[place]]) + text[place + 1 :]


def _digits(count: int, rng: random.Random) -> str:
    return str(rng.randrange(10 ** (count - 1), 10**count))


def _link(middle: str, rng: random.Random) -> tuple[str, int]:
    """An address with a varied number and path, and where its www stands in it."""
    ending = ENDINGS[len(middle) % len(ENDINGS)] if rng.random() < 0.8 else rng.choice(ENDINGS)
    host = f"www.{middle}{_digits(3, rng)}.{ending}"
    path = f"/{rng.choice('abcdefgh')}?u={_digits(4, rng)}"
    opening, closing = rng.choice((("http://", ""), ("http://", ""), ("[url]http://", "[/url]"), (" ", " ")))
    return opening + host + path + closing, len(opening)
