"""Writes the sample forum: invented posts in the shapes of a real export. `python data/samples/generate.py [DIR]`.

Every word is made up here; no post, name, address or link belongs to anybody. The same seed gives the same bytes.
"""

from __future__ import annotations

import json
import random
import sys
from dataclasses import dataclass
from pathlib import Path

from core.markup import BETWEEN_EXCERPTS
from core.text import join_excerpts

SEED = 20260302
POSTS = {"normal": 960, "suspicious": 140, "violation": 100}
LABELLED = {"normal": 235, "suspicious": 95, "violation": 70}
AROUND = 17  # characters that the keyword scanner keeps on either side of a hit
FIRST_PID = 7_310_244
CHAIN = 0.2  # of the posts quote another one

HIT_WORDS = (
    "贷款 代办 加微 私聊 兼职 刷单 发票 证件 骗子 垃圾 脑子 有病 黑心 套现 优惠 代理 返利 中介 押金 水军 举报 外挂 蠢 滚 "
    "便宜 投诉 收了 老板 分钟 大家 电话 现在 朋友 孩子 有人 价格 数量 自己 懂的 昨天"
).split()

SLOTS: dict[str, tuple[str, ...]] = {
    "place": tuple("东门市场 河西老街 北苑小区 南湖公园 人民路 新城广场 二中门口 汽车站 图书馆 开发区 师范路 城隍庙 滨江道".split()),
    "thing": tuple("电动车 冰箱 婴儿车 书桌 相机 自行车 洗衣机 吉他 显示器 空调 羽绒服 折叠床 鱼缸 钢琴 投影仪".split()),
    "food": tuple("牛肉面 酸菜鱼 烧饼 米粉 煎包 羊汤 豆腐脑 烤鱼 馄饨 凉皮 麻辣烫 锅贴".split()),
    "who": tuple("邻居 同事 我妈 我爸 房东 保安 店员 司机 同学 表哥 室友 老师".split()),
    "when": tuple("昨天 上周 今天早上 前几天 周末 晚上 下班的时候 去年冬天 这个月 刚才 中午 国庆那几天".split()),
    "game": tuple("跳棋大师 云端农场 星海远征 铁甲联盟 江湖茶馆 像素小镇".split()),
    "n": tuple(str(n) for n in range(2, 60)),
    "price": tuple(str(n) for n in range(35, 2600, 45)),
}

# One sentence of each part makes a post. Words of the keyword list stand in harmless posts too, as they do in life.
# What several classes say: the label depends on the rest of the post, not on these words.
OFFERS = ("有需要私聊。", "价格私下说。", "想了解的留个电话。", "数量有限，先到先得。", "看到就回。")
SIGHS = ("呵呵。", "懂的都懂。", "笑而不语。", "我就不点名了。", "大家评评理。", "反正我是记住了。")
PROMISES = ("{n}分钟到账，", "注册就送{n}，", "日结{price}，", "手续费百分之{n}，", "绝不收押金，", "黑户也能做，", "证件一张就行，")

NORMAL = {
    "seller": (
        ("手上有一台{thing}，", "家里有一批{food}券用不完，", "{place}的店招兼职，", "想多赚一份钱，周末摆个摊，", "长期收旧{thing}的，"),
        ("比店里便宜一半，", "一天{price}，有合同，", "时间自由，", "数量有限，{n}份，", "不用坐班，"),
        (*OFFERS, "可以来{place}看货。"),
    ),
    "warning": (
        ("又接到电话说贷款", "{who}收到短信说", "群里发的那个娱乐城", "今天有人加我说刷单", "大家别信什么"),
        PROMISES,
        ("明显是骗子，已经举报。", "{who}差点上当。", "有人试过吗？", *SIGHS),
    ),
    "grumble": (
        ("我真是个蠢货，", "{who}笑我脑子有病，", "{place}的垃圾{n}天没人收，", "叫我家的猫滚远点，", "{place}那家卖{food}的，", "今天被{who}骂了，"),
        ("脑子里装的是浆糊，", "收了{price}不认账，", "说两句就急，", "也不照照镜子，", "读了{n}年书读到哪去了，", "{n}个人有九个这么说，"),
        ("自己都觉得好笑。", "投诉过了，在等回复。", *SIGHS),
    ),
    "goods": (
        ("转让一台{thing}，用了{n}个月，", "出一个二手{thing}，{when}刚擦干净，", "有人要{thing}吗，搬家用不上了，", "收一台{thing}，旧一点没关系，"),
        ("价格{price}，在{place}自提，", "原来买的时候贵得多，现在{price}就出，", "没有毛病，发票还在，", "除了边角有点划痕都好用，"),
        ("可以当面试，不合适不要钱。", "不包邮，谢谢。", "朋友们帮顶一下。", "电话里说不清楚，来看看就知道。", "先到先得，别砍价了。"),
    ),
    "food": (
        ("{place}新开的那家{food}，{when}去吃了，", "求推荐好吃的{food}，{place}附近，", "{who}带我去{place}吃{food}，", "说说{place}的{food}，"),
        ("汤头不错，就是人多要等{n}分钟，", "老板很实在，分量足，", "味道一般，{n}块两个人有点不值，", "滚烫的端上来，差点把嘴烫了，", "优惠券用不了，店员也说不清，"),
        ("下次还去。", "大家觉得呢？", "孩子倒是很喜欢。", "比学校门口那家便宜。", "不会再去了。"),
    ),
    "traffic": (
        ("{place}{when}又堵了，", "请问去{place}坐几路车方便，", "{place}的红绿灯坏了{n}天，", "{when}在{place}看到两辆车碰了，"),
        ("从汽车站走了{n}分钟才到，", "司机态度还行，", "交警来得挺快，", "走高架要交押金的那个停车场还开着吗，", "电话投诉过一次，有人回访，"),
        ("希望早点修好。", "有知道的朋友说一声。", "大家绕着走吧。", "反正我骑车。"),
    ),
    "home": (
        ("房租又涨了{price}，", "找{place}的房子，", "装修完了说说感受，", "请教一下银行贷款的事，", "{place}的中介靠谱吗，"),
        ("房东说合同到期再谈，", "首付还差一点，利率现在是多少，", "年检代办要{n}块钱，值不值，", "甲醛有毒，通风{n}天够不够，", "押金退了一半，算是好说话，"),
        ("有经验的说说。", "先谢谢各位。", "我再想想。", "还是自己跑一趟好。"),
    ),
    "life": (
        ("{when}孩子发烧去了医院，", "{who}买彩票中了{n}块钱，", "想给手机换个电池，", "学校{when}开家长会，", "抢了个红包才{n}分钱，"),
        ("排了{n}个人的队，", "高兴得请我们吃{food}，", "老板收了{price}，不知道贵不贵，", "老师讲了快{n}分钟，", "脑子一热就答应了，"),
        ("现在好多了。", "笑死我了。", "有没有便宜一点的地方？", "记录一下。", "烟也戒了，酒也戒了。"),
    ),
    "games": (
        ("{game}{when}更新了，", "有一起玩{game}的吗，", "{game}第{n}关怎么过，", "{game}里遇到开外挂的，"),
        ("举报了，官方说会处理，", "新地图挺大，跑了{n}分钟，", "不找代练，就想自己慢慢打，", "朋友卡在那里三天了，", "免费送的皮肤挺好看，"),
        ("求带。", "有攻略吗？", "晚上八点上线。", "比以前好玩。"),
    ),
}
SUSPICIOUS = {
    "touting": (
        ("手上有一批{thing}，", "长期做{thing}的，", "{place}这边有兼职，", "家里有渠道拿{thing}，", "想多赚一份钱的朋友看过来，"),
        ("数量有限，懂的来，", "一天{price}不难，时间自由，", "不用坐班，", "比店里便宜一半，", "比店里便宜一半还多，", "不用坐班，手机就能做，", "返利好商量，"),
        (*OFFERS, "加微详谈，站里不方便说。", "非诚勿扰。"),
    ),
    "sneer": (
        ("有些人{when}又出来刷存在感了，", "楼上这位怕不是{place}来的水军吧，", "某些{who}的水平也就这样了，", "这种话也说得出口，"),
        ("也不照照镜子，", "脑子是个好东西，", "读了{n}年书读到哪去了，", "装什么好人，", "别人说两句就急，"),
        ("呵呵，自己体会。", "建议先去看看医生。", *SIGHS),
    ),
    "accuse": (
        ("{place}那家卖{food}的黑心店，", "曝光一下{place}的那个老板，", "{who}在{place}开的公司就是个坑，", "听人说{place}那家医院，"),
        ("听说后厨不能看，", "收了{price}不认账，", "十个人有九个上当，", "证件都不知道真不真，", "跟骗子也差不多，"),
        ("大家都别去。", "转给朋友看看。", "投诉过了，在等回复。", "反正我是记住了。", "等着瞧吧。", "看他还能开多久。"),
    ),
}
VIOLATION = {
    "pitch": (
        ("正规贷款，", "新娱乐城开业，", "诚招刷单兼职，", "手机就能做，", "想多赚一份钱的朋友看过来，", "朋友介绍的渠道，"),
        PROMISES,
        ("加微 tb{n}{n}0000。", "电话 000-0000-00{n}。", *OFFERS),
    ),
    "insult": (
        ("你这个蠢货，", "楼主有病吧，", "就你这种垃圾，", "傻瓜一个，", "滚远点，", "{place}的{who}都是一群笨蛋，"),
        ("会不会说人话，", "脑子里装的是浆糊，", "也配在这里说话，", "真不要脸，", "见你一次骂你一次，", "小学都没毕业吧，"),
        ("赶紧滚。", "没人想看见你。", "真是丢人现眼。", "呸！", "蠢到家了。", "别再出来了。", "懂的都懂。", "建议先去看看医生。"),
    ),
    "spam": (
        ("【{game}娱乐城】注册就送{n}，", "无抵押贷款，{n}分钟到账，", "代办各类证件，{n}小时出证，", "信用卡套现，手续费百分之{n}，", "刷单兼职日结{price}，", "代开发票，税点{n}，"),
        ("提现秒到不限次数，", "身份证一张就行，黑户也能做，", "和真的一模一样，网上可查，", "绝不收押金，先做后付，", "老客户返利再加{n}个点，", "稳赚不赔的赌法教给你，"),
        ("加微 tb{n}{n}0000 领红包！", "电话 000-0000-00{n}，二十四小时在线。", "点进来 www.example-{n}.invalid 看详情。", "名额只剩{n}个，速来。", "找代理，{place}有门店。"),
    ),
}
CLASSES = {"normal": NORMAL, "suspicious": SUSPICIOUS, "violation": VIOLATION}

GIVEN = "清晨 小舟 大熊 麦田 南风 阿福 石头 晚霞 江边 豆子 一叶 老六 云朵 蓝鲸 木木 山竹 秋水 北北 糖糖 青柠".split()
FAMILY = "的猫 在路上 1988 看海 爱吃面 不打烊 慢慢走 o0o 同学 先生 一号 的窗 _sunny 钓鱼 日记".split()
FONTS = ("宋体", "微软雅黑", "Comic Sans MS")
COLOURS = ("red", "#0066cc", "Orange", "DarkGreen")
FACES = (":smile:", ":curse:", ":lol:", ":sweat:", ":handshake", "{:4_112:}")


@dataclass(frozen=True)
class SamplePost:
    """One post: its excerpts by hit word, as the export has them, and what is true of it."""

    pid: int
    author: str | None
    author_id: int
    ip: str
    hits: tuple[tuple[str, str], ...]
    label: str

    @property
    def original(self) -> str:
        """What an import makes of the excerpts."""
        return BETWEEN_EXCERPTS.join(join_excerpts([excerpt for _, excerpt in self.hits]))


def fill(sentence: str, rng: random.Random) -> str:
    """Put a word into each slot, each time another one."""
    for name, choices in SLOTS.items():
        while "{" + name + "}" in sentence:
            sentence = sentence.replace("{" + name + "}", rng.choice(choices), 1)
    return sentence


def write_text(label: str, rng: random.Random) -> str:
    """One to three thoughts of one topic."""
    parts = rng.choice(list(CLASSES[label].values()))
    text = "".join(fill(rng.choice(part), rng) for part in parts)
    for _ in range(rng.choice((0, 0, 1, 1, 1, 2))):
        text += fill(rng.choice(parts[1]), rng).rstrip("，") + "，" + fill(rng.choice(parts[2]), rng)
    return text


def dress(text: str, rng: random.Random, earlier: list[str]) -> str:
    """Add the markup that forum posts have."""
    kind = rng.random()
    if kind < CHAIN and earlier:
        quoted = rng.choice(earlier)[:24]
        name = rng.choice(GIVEN) + rng.choice(FAMILY)
        link = f"forum.php?mod=redirect&amp;goto=findpost&amp;pid={FIRST_PID + rng.randrange(900)}"
        header = f"[size=2][url={link}][color=#999999]{name} 发表于 2026-2-{rng.randint(1, 28)}[/color][/url][/size]"
        return f"[quote]{header}\n{quoted}[/quote]\n{text}"
    if kind < CHAIN + 0.06:
        return f"[i=s] 本帖最后由 {rng.choice(GIVEN)} 于 2026-2-{rng.randint(1, 28)} 编辑 [/i]\n\n{text}"
    if kind < CHAIN + 0.14:
        half = len(text) // 2
        return f"{text[:half]}[color={rng.choice(COLOURS)}]{text[half:]}[/color]"
    if kind < CHAIN + 0.20:
        return f"[font={rng.choice(FONTS)}][size=3]{text}[/size][/font]"
    if kind < CHAIN + 0.26:
        return f"{text}[attach]{rng.randint(10_000, 99_999)}[/attach]"
    if kind < CHAIN + 0.36:
        return f"{text}{rng.choice(FACES)}"
    if kind < CHAIN + 0.42:
        return f"&quot;{text[:6]}&quot;{text[6:]} &lt;完&gt;"
    if kind < CHAIN + 0.46:
        return text.replace("，", "，\t", 1)
    if kind < CHAIN + 0.52:
        return text.replace("，", "，\n", 1)
    return text


def scan(body: str, rng: random.Random) -> tuple[tuple[str, str], ...]:
    """What the forum's keyword scanner writes: one row a hit, with the text around it."""
    found = sorted((body.find(word), word) for word in HIT_WORDS if word in body)
    if len(found) < 2 or rng.random() < 0.35:  # some scanners keep the whole post
        words = [word for _, word in found] or [""]
        return tuple((word, body.strip()) for word in words)
    return tuple((word, cut(body, place, len(word))) for place, word in found)


def cut(body: str, place: int, length: int) -> str:
    return body[max(0, place - AROUND) : place + length + AROUND].strip()


def make_posts() -> list[SamplePost]:
    """All posts, in order of pid."""
    rng = random.Random(SEED)
    labels = [label for label, count in POSTS.items() for _ in range(count)]
    rng.shuffle(labels)
    earlier: list[str] = []
    posts = []
    pid = FIRST_PID
    for label in labels:
        text = write_text(label, rng)
        body = dress(text, rng, earlier)
        earlier.append(text)
        pid += rng.randint(1, 9)
        author_id = rng.randint(1_000, 60_000)
        author = None if rng.random() < 0.05 else rng.choice(GIVEN) + rng.choice(FAMILY)
        block = rng.choice(("192.0.2", "198.51.100", "203.0.113"))  # addresses for documentation, RFC 5737
        posts.append(SamplePost(pid, author, author_id, f"{block}.{rng.randint(1, 254)}", scan(body, rng), label))
    return posts


def escape(value: str | None) -> str:
    """As MySQL's SELECT … INTO OUTFILE does it: a backslash before tab, line break and backslash."""
    if value is None:
        return "\\N"
    for character in "\\\t\n":
        value = value.replace(character, "\\" + character)
    return value


def export_lines(posts: list[SamplePost]) -> list[str]:
    lines = ["pid\tauthor\tauthorid\tuseip\thit_word\tcontext"]
    for post in posts:
        for word, excerpt in post.hits:
            fields = (str(post.pid), post.author, str(post.author_id), post.ip, word or None, excerpt)
            lines.append("\t".join(escape(field) for field in fields))
    return lines


def labelled_lines(posts: list[SamplePost]) -> list[str]:
    """A part of the posts with their labels, rare classes drawn more densely."""
    rng = random.Random(SEED + 1)
    chosen: list[SamplePost] = []
    for label, count in LABELLED.items():
        chosen += rng.sample([post for post in posts if post.label == label], count)
    rows = [
        {"pid": str(post.pid), "text": post.original, "label": post.label}
        for post in sorted(chosen, key=lambda post: post.pid)
    ]
    return [json.dumps(row, ensure_ascii=False) for row in rows]


def write_samples(folder: Path) -> None:
    posts = make_posts()
    for name, lines in (("forum.tsv", export_lines(posts)), ("labelled.jsonl", labelled_lines(posts))):
        (folder / name).write_text("\n".join(lines) + "\n", encoding="utf-8", newline="\n")


if __name__ == "__main__":
    write_samples(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
