"""A synthetic export in the shape and with the dirt of the reference forum's: the same seed gives the same bytes.

Nobody wrote these posts: words are made up, addresses are those reserved for documentation.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from heapq import heappop, heappush
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from tests.benchmarks.spam import HITS as SPAM_WORDS
from tests.benchmarks.spam import Body, disguised, templates
from tests.benchmarks.wording import Prose, vocabulary, zipf

SEED = 20260302
FIRST_PID = 7_000_001
COLUMNS = ("pid", "author", "authorid", "useip", "hit_word", "context")
BEFORE, AFTER = 18, 19  # characters that a keyword scanner keeps on the sides of a hit
LONGEST = 3_062
ROWS_PER_WRITE = 5_000
BROKEN_IN = 100  # of so many rows one is broken

SPAM_SHARE = 0.12  # of posts
STRAY_SHARE = 0.01  # of posts have a row that stands far from the others
LONG_SHARE = 0.015  # of ordinary posts come whole, however long
CRLF_SHARE = 0.005  # of rows end as on Windows, in a file that does not
NULL_SHARE = 0.02  # of posts have no author, and as many no address

HITS = (*range(1, 8), 24)  # of one post; weighted so that a post brings 3.6 rows on average, as in the reference forum
HIT_WEIGHTS = (20, 30, 30, 30, 20, 20, 10, 0.4)
HIT_WORDS = (  # the commonest first
    "神经病 不要脸 骗子 中介费 王八蛋 垃圾 死全家 脑子有病 红包群 证件照 有病 私聊 智商税 收了钱 加微信 滚出去 举报 "
    "代理费 老板 外挂 豆腐渣 贷款 押金 黑心商家 投诉 水军 拆迁款 兼职 刷单 孩子 发票 返利 价格 城管打人 上访 跳楼 "
    "割韭菜 传销 假货 退一赔三 律师函 维权 塌方 关系户 走后门 潜规则 强拆 拖欠工资 学区房 分钟"
).split()
EMOTICONS = (":curse:", "{:4_112:}", ":lol:", ":loveliness:", "{:7_211:}")
NULL = "\\N"
NETWORKS = ("192.0.2", "198.51.100", "203.0.113")  # reserved for documentation


class Damage(StrEnum):
    """What is wrong with a broken row."""

    fields = "fields"
    text = "text"
    no_pid = "no pid"
    odd_pid = "odd pid"
    bytes = "bytes"


@dataclass(frozen=True, slots=True)
class Export:
    """A written export. rows: broken ones included; posts: those that a good row brings.

    templates: a file of pid and number of its template, see read_templates. broken: how many rows of each kind.
    """

    path: Path
    templates: Path
    megabytes: float
    rows: int
    posts: int
    broken: Mapping[Damage, int]

    @property
    def rejected(self) -> int:
        return sum(self.broken.values())


def write_export(
    path: Path, *, rows: int, seed: int = SEED, first_pid: int = FIRST_PID, line_end: str = "\n"
) -> Export:
    """Write a header and so many rows; beside it, as PATH.templates, which post was made from which template.

    A shorter export is a prefix of a longer one with the same seed. Memory does not depend on the rows.
    """
    templates_path = path.with_name(path.name + ".templates")
    posts, broken = 0, Counter[Damage]()
    draws = [random.Random(f"{use} {seed}") for use in ("posts", "strays", "broken")]
    made = islice(_with_broken(_with_strays(_posts(draws[0], first_pid), draws[1]), draws[2]), rows)
    with path.open("wb") as out, templates_path.open("w", encoding="ascii") as key:
        out.write(("\t".join(COLUMNS) + line_end).encode())
        while block := list(islice(made, ROWS_PER_WRITE)):
            text = "".join([row.line for row in block])
            out.write((text if line_end == "\n" else _ended(text, line_end)).encode("utf-8", "surrogateescape"))
            begun = [row.begins for row in block if row.begins is not None]
            key.writelines(f"{pid}\t{'' if template is None else template}\n" for pid, template in begun)
            posts += len(begun)
            broken.update(row.damage for row in block if row.damage is not None)
    return Export(path, templates_path, path.stat().st_size / 1e6, rows, posts, dict(broken))


def write_first_rows(path: Path, export: Export) -> None:
    """Write what a scanner with fewer words would have exported: of each post the row that comes first."""
    seen: set[bytes] = set()
    with export.path.open("rb") as lines, path.open("wb") as out:
        for line in lines:
            pid, tab, _ = line.partition(b"\t")
            if tab and pid not in seen:
                seen.add(pid)
                out.write(line)


def _ended(text: str, line_end: str) -> str:
    return text.replace("\r\n", "\n").replace("\n", line_end)


def read_templates(path: Path) -> dict[str, int | None]:
    """pid to the number of the template that the post was made from; None for an ordinary post."""
    with path.open(encoding="ascii") as lines:
        pairs = (line.rstrip("\n").split("\t") for line in lines)
        return {pid: int(template) if template else None for pid, template in pairs}


# --- rows ------------------------------------------------------------------------------------------------------------


class _Row(NamedTuple):
    """A row with its line end. begins: pid and template of the post that this is the first row of."""

    line: str
    begins: tuple[int, int | None] | None = None
    damage: Damage | None = None


def _with_strays(posts: Iterator[list[_Row]], rng: random.Random) -> Iterator[_Row]:
    """The rows of one post after the other, but now and then a later one comes 30 to 20,000 rows late."""
    number = 0
    late: list[tuple[int, _Row]] = []
    for rows in posts:
        if rng.random() < STRAY_SHARE and len(rows) > 1:
            heappush(late, (number + int(10 ** rng.uniform(1.5, 4.3)), rows.pop()))
        yield from rows
        number += len(rows)
        while late and late[0][0] <= number:
            yield heappop(late)[1]
            number += 1


def _with_broken(rows: Iterator[_Row], rng: random.Random) -> Iterator[_Row]:
    """In each hundred rows one that is broken, made from the one before it, which stays."""
    while True:
        good = rng.randrange(1, BROKEN_IN)
        for row in islice(rows, good):
            yield row
        damage = rng.choice(tuple(Damage))
        yield _Row(_BREAK[damage](row.line.removesuffix("\n").removesuffix("\r").split("\t", 5), rng), damage=damage)
        yield from islice(rows, BROKEN_IN - 1 - good)


def _break_fields(fields: list[str], rng: random.Random) -> str:
    return "\t".join(rng.choice((fields[:5], [*fields, "0"], fields[:1], fields[:5] + fields))) + "\n"


def _break_text(fields: list[str], rng: random.Random) -> str:
    return "\t".join([*fields[:5], rng.choice(("", NULL, "   ", "[size=2][/size]"))]) + "\n"


def _break_no_pid(fields: list[str], rng: random.Random) -> str:
    return "\t".join([rng.choice(("", NULL, " ")), *fields[1:]]) + "\n"


def _break_odd_pid(fields: list[str], rng: random.Random) -> str:
    pid = fields[0]
    return "\t".join([rng.choice((f"{pid}x", f"-{pid}", f"{pid}.0", "１２３４", "=1+1")), *fields[1:]]) + "\n"


def _break_bytes(fields: list[str], rng: random.Random) -> str:
    """Surrogates that are written as the single bytes they stand for: none of them is UTF-8."""
    return "\t".join([*fields[:5], rng.choice(("\udcff\udcfe", "\udcb4\udcfb", "\udce6\udc88")) + fields[5]]) + "\n"


_BREAK: dict[Damage, Callable[[list[str], random.Random], str]] = {
    Damage.fields: _break_fields,
    Damage.text: _break_text,
    Damage.no_pid: _break_no_pid,
    Damage.odd_pid: _break_odd_pid,
    Damage.bytes: _break_bytes,
}


# --- posts -----------------------------------------------------------------------------------------------------------


def _posts(rng: random.Random, first_pid: int) -> Iterator[list[_Row]]:
    """The rows of each post."""
    prose, spam = Prose(random.Random(rng.random())), templates()
    popularity = zipf(len(spam), offset=5)
    pid = first_pid
    while True:
        template = None
        if rng.random() < SPAM_SHARE:
            template = rng.choices(range(len(spam)), cum_weights=popularity)[0]
            excerpts = _excerpts(disguised(spam[template], rng, prose))
        elif rng.random() < LONG_SHARE:
            excerpts = [_whole(rng, prose)]
        else:
            excerpts = _excerpts(_ordinary(rng, prose))
        head = f"{pid}\t{_person(rng)}\t"
        lines = [f"{head}{word}\t{excerpt}{_line_end(rng)}" for word, excerpt in excerpts]
        yield [_Row(lines[0], (pid, template)), *map(_Row, lines[1:])]
        pid += 1 + int(rng.random() * 4)


def _line_end(rng: random.Random) -> str:
    return "\r\n" if rng.random() < CRLF_SHARE else "\n"


def _person(rng: random.Random) -> str:
    """author, authorid and useip; some authors write much, most little."""
    number = 1 + int(40_000 * rng.random() ** 2)
    words = vocabulary()
    name = words[number % 997] + words[number % 7_919] + (str(number % 1_000) if number % 3 == 0 else "")
    address = f"{NETWORKS[number % 3]}.{1 + int(rng.random() * 254)}"
    if rng.random() < NULL_SHARE:
        name, number = NULL, 0
    return f"{name}\t{number}\t{NULL if rng.random() < NULL_SHARE else address}"


def _excerpts(body: Body) -> list[tuple[str, str]]:
    """(word, excerpt around it as it stands in the file) of each hit."""
    text, places = body
    cut = [(word, text[max(0, place - BEFORE) : place + len(word) + AFTER]) for place, word in places]
    if "\n" in text or "\t" in text or "\\" in text:
        return [(word, _escaped(excerpt)) for word, excerpt in cut]
    return cut


def _escaped(value: str) -> str:
    return value.replace("\\", "\\\\").replace("\t", "\\\t").replace("\n", "\\\n")


# --- ordinary posts --------------------------------------------------------------------------------------------------

_WORDS = (*HIT_WORDS, *SPAM_WORDS)
_WORD_WEIGHTS = zipf(len(_WORDS), offset=4)


def _ordinary(rng: random.Random, prose: Prose) -> Body:
    draw = rng.random
    words = rng.choices(_WORDS, cum_weights=_WORD_WEIGHTS, k=rng.choices(HITS, HIT_WEIGHTS)[0])
    text, places = _quotation(rng, prose, words) if draw() < 0.2 else ("", [])
    text += (_opening(rng) if draw() < 0.15 else "") + prose.take(2 + int(draw() * 45))
    for word in words:
        places.append((len(text), word))
        text += word + prose.take(4 + int(draw() ** 2 * 55))
        if draw() < 0.1:
            text += _in_between(rng, prose)
    return text + prose.take(int(draw() * 40)), places


def _quotation(rng: random.Random, prose: Prose, words: list[str]) -> Body:
    """Words of somebody else. Now and then the last of the hits stands in them instead of in the post."""
    said = f"{prose.take(3)} 发表于 2026-{rng.randrange(1, 13)}-{rng.randrange(1, 28)} {rng.randrange(10, 24)}:30"
    link = (
        f"forum.php?mod=redirect&amp;goto=findpost&amp;pid={rng.randrange(7_000_000)}&amp;ptid={rng.randrange(90_000)}"
    )
    full = f"[quote][size=2][url={link}][color=#999999]{said}[/color][/url][/size]\n"
    text = rng.choice((full, full, f"[quote]{said}\n", "[quote]")) + prose.take(rng.randrange(3, 40))
    places = []
    if len(words) > 1 and rng.random() < 0.4:
        places.append((len(text), words[-1]))
        text += words.pop()
    return text + prose.take(rng.randrange(2, 30)) + "[/quote]\n", places


def _whole(rng: random.Random, prose: Prose) -> tuple[str, str]:
    """A long post that was exported as it is, once."""
    length = int(200 * (LONGEST / 200) ** rng.random())
    word = rng.choice(_WORDS)
    text = _quotation(rng, prose, [word])[0] if length > 500 and rng.random() < 0.2 else ""
    text += prose.take(length - len(word) - len(text)).replace("。。", "。\n")
    place = rng.randrange(len(text) // 2, len(text))
    return word, _escaped(text[:place] + word + text[place:])


def _opening(rng: random.Random) -> str:
    edited = f"[i=s] 本帖最后由 用户{rng.randrange(40_000)} 于 2026-2-{rng.randrange(1, 28)} 编辑 [/i]\n\n"
    return rng.choice(("[color=Red]", "[font=宋体]", "[size=4][b]", "[align=center]", edited))


def _in_between(rng: random.Random, prose: Prose) -> str:
    """What stands between the words of forum posts."""
    kind = rng.randrange(8)
    if kind == 0:
        return f"&quot;{prose.take(rng.randrange(2, 9))}&quot;"
    if kind == 1:
        return f"[attach]{rng.randrange(10_000, 3_000_000)}[/attach]\n"
    if kind == 2:
        return f"[url=http://bbs{rng.randrange(99)}.example.com/t?a=1&amp;b={rng.randrange(999)}]{prose.take(4)}[/url]"
    return (rng.choice(EMOTICONS), "\n", "\n\n", f" {rng.randrange(9_999)}元 ", rng.choice(("&amp;", "\t", "\\")))[
        kind - 3
    ]
