"""Names of people in Chinese text, told by their form alone: 张三, 欧阳小红, 王医生, 小李, 陈总."""

from __future__ import annotations

import re

_SURNAMES = (
    "王李张刘陈杨黄赵吴周徐孙马朱胡郭何林高罗郑梁谢宋唐许邓韩冯曹彭曾肖田董潘袁蔡蒋余于杜叶程魏苏吕丁任卢姚沈钟姜"
    "崔谭陆范汪廖石金韦贾夏付方邹熊白孟秦邱侯江尹薛闫段雷龙黎史陶贺毛郝顾龚邵万覃武钱戴严莫孔向常汤温康"
)
_COMPOUND = "欧阳|上官|司马|诸葛|司徒|东方|皇甫|慕容|令狐|公孙|尉迟"
_TITLES = "先生|女士|小姐|老师|经理|医生|大夫|律师|主任|教练|师傅|老板|警官|总|哥|姐|叔|姨|导"
# Everyday words that begin with such a character. The list cannot be whole: a word too many is only pointed out.
_WORDS = frozenset(
    (
        "马上 何时 何必 何况 高兴 高度 高级 高手 高考 高清 高价 高薪 方便 方法 方式 方面 方案 白天 白色 白领 黄色 黄金 "
        "金额 金钱 金融 任何 任务 许多 石头 石油 常常 常见 温柔 温度 江湖 龙头 毛病 万一 万元 钱包 严重 严格 向前 向上 "
        "夏天 余额 程序 程度 于是 田地 史上 林业 顾客 康复 孔子 付款 付费 贺卡 段子 雷人 熊猫 唐朝 宋朝 秦朝 周末 周年 "
        "周围 莫名 陆续 范围 叶子 姜汤 汤圆"
    ).split()
)
_HAN = "[\u4e00-\u9fff]"
_FORMS = (  # the surest first
    re.compile(rf"[{_SURNAMES}](?:{_TITLES})"),
    re.compile(rf"[小老阿][{_SURNAMES}]"),
    re.compile(rf"(?:{_COMPOUND}){_HAN}{{1,2}}"),
    re.compile(rf"[{_SURNAMES}]{_HAN}{{1,2}}"),
)
LONGEST = 4


def name_across(text: str, start: int, end: int) -> str | None:
    """Return the name of a person that spans text[start:end], with as little around it as makes a name; None if none.

    What differs between two near-copies is often a part of the name: 三 of 张三, 王 of 王医生.
    """
    candidates = [
        text[first:last]
        for first in range(start, max(-1, end - LONGEST - 1), -1)
        for last in range(end, min(len(text), first + LONGEST) + 1)
    ]
    found = (each for form in _FORMS for each in candidates if form.fullmatch(each) and each[:2] not in _WORDS)
    return next(found, None)
