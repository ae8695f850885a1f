"""Near-copies as spammers and hasty fingers make them: templates sent out in disguise, and posts with a few edits."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Hashable, Sequence
from math import comb

import opencc

WORDS = (
    "今天 我们 公园 下班 路上 天气 还是 觉得 大概 一起 已经 没有 时候 怎么 东西 手机 电影 朋友 昨晚 楼下 学校 吃饭 "
    "排队 便宜 新开 那家 店里 味道 不错 下次 再去 问问 有空 周末 其实 知道 多少 几个 贷款 兼职 私聊 刷单 发票 证件 "
    "代理 返利 中介 押金 举报 投诉 老板 分钟 孩子 价格 无需 抵押 当天 到账 诚信 经营 招聘 日结 工资 在家 轻松 客服 "
    "联系 正规 平台 注册 就送 红包 免费 体验 名额 有限 速来 优惠 活动 官方 授权 货到 付款 包邮 正品 低价 批发 办理 "
    "快速 出证 学历 驾照 真实 可查 安全 保密"
).split()
CONTACTS = ("加微信", "扣扣", "加QQ", "电话", "点开")
EDITED_WITH = "的一是了我不人在他有这个上们来到时大地为子中你说生国年着就那和要她出也得里后自以会家可下而过天去能对小多"

_TRADITIONAL = opencc.OpenCC("s2t")
_DISGUISES = str.maketrans({"微": "薇", "信": "伩", "加": "伽", "贷": "袋", "款": "欵", "票": "漂", "a": "а", "o": "ο"})
_WIDE = {code: code + 0xFEE0 for code in range(0x21, 0x7F)}


def templates(rng: random.Random, *, count: int) -> list[str]:
    """Sentences of 25 to 45 characters with a number and a way to get in touch, to be filled by vary."""
    return [_template(rng) for _ in range(count)]


def _template(rng: random.Random) -> str:
    words = rng.choices(WORDS, k=rng.randrange(9, 17))
    words.insert(rng.randrange(1, len(words)), "{price}元")
    link = rng.random() < 0.3
    contact = "点开{path}.example.com" if link else rng.choice(CONTACTS) + "{phone}"
    return "".join(words) + contact


def vary(template: str, rng: random.Random) -> str:
    """A copy that is sent out: other numbers, another page of the same site, and up to three disguises."""
    phone = str(rng.randrange(10**8, 10 ** rng.choice((9, 10, 11))))
    text = template.format(price=rng.randrange(5, 90_000), phone=phone, path=f"s{rng.randrange(999)}")
    for disguise in rng.sample(DISGUISES, rng.randrange(4)):
        text = disguise(text, rng)
    return text


def _spaced(text: str, rng: random.Random) -> str:
    start = rng.randrange(len(text))
    end = start + rng.randrange(3, 12)
    return text[:start] + rng.choice((" ", "\u200b", ".", "*", "\u0336")).join(text[start:end]) + text[end:]


def _wide(text: str, _rng: random.Random) -> str:
    return text.translate(_WIDE)


def _traditional(text: str, _rng: random.Random) -> str:
    return "".join(map(_TRADITIONAL.convert, text))


def _disguised(text: str, _rng: random.Random) -> str:
    return text.translate(_DISGUISES)


def _decorated(text: str, rng: random.Random) -> str:
    place = rng.randrange(len(text))
    return (
        text[:place]
        + rng.choice(("！！！", "🔥🔥", "~", "【", "\n", "①"))
        + text[place:]
        + rng.choice(("。", "…", "❤"))
    )


def _edited(text: str, rng: random.Random) -> str:
    return edit(text, rng, edits=1)


DISGUISES = (_spaced, _wide, _traditional, _disguised, _decorated, _edited)


def edit(text: str, rng: random.Random, *, edits: int) -> str:
    """The text after so many substitutions, insertions and deletions of single characters, at random places."""
    for _ in range(edits):
        place = rng.randrange(len(text))
        kind = rng.randrange(3)
        text = text[:place] + ("" if kind == 0 else rng.choice(EDITED_WITH)) + text[place + (kind < 2) :]
    return text


def agreement(families: Sequence[Hashable], truth: Sequence[Hashable]) -> tuple[float, float]:
    """(precision, recall) over pairs of texts: put together, of those that belong together."""
    together = _pairs(list(zip(families, truth, strict=True)))
    return together / (_pairs(families) or 1), together / (_pairs(truth) or 1)


def _pairs(groups: Sequence[Hashable]) -> int:
    return sum(comb(size, 2) for size in Counter(groups).values())
