"""A synthetic export in the shape of the reference forum's: the same seed gives the same bytes."""

from __future__ import annotations

import random
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path

SEED = 20260302
COLUMNS = ("pid", "author", "authorid", "useip", "hit_word", "context")
AROUND = 17  # characters that a keyword scanner keeps on either side of a hit
HITS = range(1, 8)  # of one post; weighted so that a post brings 3.6 rows on average, as in the reference forum
HIT_WEIGHTS = (2, 3, 3, 3, 2, 2, 1)
HIT_WORDS = (
    "贷款 兼职 私聊 刷单 发票 证件 骗子 垃圾 脑子 有病 代理 返利 中介 押金 举报 投诉 老板 分钟 孩子 价格".split()
)
FILLERS = (
    "今天 我们 他说 公园 看了 下班 路上 天气 还是 觉得 大概 一起 已经 没有 时候 怎么 东西 手机 电影 朋友 昨晚 楼下 "
    "学校 吃饭 排队 便宜 新开 那家 店里 味道 不错 下次 再去 问问 有空 周末 其实 知道 多少 几个 ， 。 ！ ？"
).split()
EMOTICONS = (":curse:", "{:4_112:}", ":lol:")
OPENINGS = ("[color=Red]", "[font=宋体]", "&quot;", "[i=s] 本帖最后由 他人 编辑 [/i]\n")


def write_export(path: Path, *, rows: int, seed: int = SEED) -> int:
    """Write so many hit rows and a header; returns how many posts they belong to.

    A shorter export is a prefix of a longer one with the same seed.
    """
    rng = random.Random(seed)
    last_pid = ""
    posts = 0
    with path.open("w", encoding="utf-8", newline="\n") as out:
        out.write("\t".join(COLUMNS) + "\n")
        for fields in islice(_rows(rng), rows):
            out.write("\t".join(map(_escaped, fields)) + "\n")
            posts += fields[0] != last_pid
            last_pid = fields[0]
    return posts


def _rows(rng: random.Random) -> Iterator[tuple[str, ...]]:
    for pid in count(7_000_001):
        author = rng.randrange(1, 40_000)
        head = (str(pid), f"用户{author}", str(author), f"192.0.2.{author % 250}")
        for word, excerpt in _hits(rng):
            yield (*head, word, excerpt)


def _hits(rng: random.Random) -> Iterator[tuple[str, str]]:
    """(word, excerpt around it) for each hit of one new post."""
    words = rng.choices(HIT_WORDS, k=rng.choices(HITS, HIT_WEIGHTS)[0])
    body, places = _quotation(rng) + rng.choice((*OPENINGS, *[""] * 12)) + _filler(rng), []
    for word in words:
        places.append(len(body))
        body += word + _filler(rng)
    if rng.random() < 0.1:
        body += rng.choice(EMOTICONS) + "[attach]12345[/attach]"
    for word, place in zip(words, places, strict=True):
        yield word, body[max(0, place - AROUND) : place + len(word) + AROUND]


def _filler(rng: random.Random) -> str:
    return "".join(rng.choices(FILLERS, k=rng.randrange(3, 12)))


def _quotation(rng: random.Random) -> str:
    if rng.random() >= 0.2:
        return ""
    link = f"forum.php?mod=redirect&amp;goto=findpost&amp;pid={rng.randrange(7_000_000)}"
    said = f"[url={link}][color=#999999]某人 发表于 2026-2-{rng.randrange(1, 28)}[/color][/url]"
    return f"[quote][size=2]{said}[/size]\n{_filler(rng)}[/quote]\n"


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\\t").replace("\n", "\\\n")
