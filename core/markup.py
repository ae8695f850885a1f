"""Forum markup: BBCode, entities and HTML left-overs to the readable structure of a post.

Every expression here is bounded or excludes its own opening character, and pieces are joined once at the end, so time
grows in proportion to the text. Shapes: Discuz! X, source/function/function_discuzcode.php.
"""

from __future__ import annotations

import html
import re
from dataclasses import dataclass
from typing import Literal

BETWEEN_EXCERPTS = "\n……\n"
ATTACHMENT = "[附件]"

_TAGS = frozenset(
    "quote size url i color font attach img b u s align list code email hide media audio flash free table tr td "
    "float indent password postbg qq sup sub p backcolor index page php html attachimg backimg fly move face hr "
    "video iframe strike center tthread groupid @ *".split()
)
_ENDS = frozenset(tag[place:] for tag in _TAGS for place in range(len(tag) + 1))
_BEGINNINGS = frozenset(tag[:place] for tag in _TAGS for place in range(len(tag) + 1))
_FILES = frozenset({"attach", "img", "attachimg", "media", "audio", "flash", "postbg", "video", "iframe"})
_BREAKS = {"*": "\n", "tr": "\n", "p": "\n", "hr": "\n", "list": "\n", "td": " "}

# Begins with one class of characters, which the engine then looks for several times faster.
_SPECIAL = re.compile(r"[\[\]&:;{<hHwW](?:(?<![hHwW])|(?<=[hH])[tT][tT][pP]|(?<=[wW])[wW][wW]\.)")
_URL = re.compile(r"(?:https?://|www\.)[^\s\[\]<>\"'，。；！？、（）《》]{1,2000}", re.IGNORECASE)
_TOKEN = re.compile(
    r"\[ {0,3}(?P<close>/?) {0,3}(?P<tag>[a-z]{1,12}|[*@])(?: {0,3}=(?P<value>[^\[\]\n]{0,2000}+)| {0,3})\]"
    r"|(?P<emoticon>:[a-z_]{3,15}:|\{:[a-z0-9_]{1,20}:\})"
    rf"|(?P<url>{_URL.pattern})",
    re.IGNORECASE,
)
_FILE = re.compile(
    rf"\s{{0,9}}(?P<name>[^\s\[\]]{{0,2000}}+)\s{{0,9}}\[ {{0,3}}/ {{0,3}}(?:{'|'.join(sorted(_FILES))}) {{0,3}}\]",
    re.IGNORECASE,
)
_CUT_FILE = re.compile(r"(?P<name>[!-Z\\^-~]{0,2000})")
_EDITED = re.compile(
    r"\s{0,9}(?P<note>本帖最后由[^\[\]\n]{0,150}编辑|this post was last edited by[^\[\]\n]{0,150})\s{0,9}\[/i\]"
    r"|\s{0,9}(?P<cut>(?:本帖最后由|this post was last edited by)[^\[\]\n]{0,150})\Z",
    re.IGNORECASE,
)
_END_OF_EDITED = re.compile(r"(?:(?:[^\[\]\n]{0,150}\d\s{0,2})?编)?辑\s{0,3}")
_HALF_TAG_AT_START = re.compile(r"[^\[\]\n]{0,400}\]")
_HALF_TAG_AT_END = re.compile(r"\[ {0,3}(?P<name>/?[a-z]{0,12}) {0,3}(?:=[^\[\]\n]{0,400})?\Z", re.IGNORECASE)
_HALF_VALUE = re.compile(r"(?=[^#%&/=?]{0,400}[#%&/=?])[!-Z^-~]{1,400}+|[0-9a-f]{1,6}", re.IGNORECASE)
_HALF_ENTITY_AT_START = re.compile(r"^(?:q?u?ot|a?mp|[lg]t|n?bsp);")
_HALF_ENTITY_AT_END = re.compile(r"&(?:quot?|qu|amp?|[lg]t|nbs?p?)$")
_CUT_END_OF_QUOTE = frozenset({"/qu", "/quo", "/quot", "/quote"})
_HUGE_REFERENCE = re.compile(r"&#(?:x[0-9a-f]{9,}|[0-9]{9,});?", re.IGNORECASE)
_HTML = re.compile(
    r"<(?P<close>/?)(?P<tag>br|hr|p|div|span|font|b|i|u|s|em|strong|big|small|center|a|img|embed|object|param|iframe|"
    r"table|tbody|thead|tr|td|th|ul|ol|li|h[1-6]|blockquote|pre|code|sub|sup|script|style|strike|del|marquee)"
    r"(?P<rest>(?:[\s/][^<>\[\]]{0,2000}+)?)>",
    re.IGNORECASE,
)
_HTML_BREAKS = frozenset("br hr p div tr li ul ol table h1 h2 h3 h4 h5 h6 blockquote pre".split())
_HREF = re.compile(r"href\s{0,9}=\s{0,9}[\"']?([^\s\"'\[\]<>]{1,2000})", re.IGNORECASE)
_DOMAIN = re.compile(r"(?:[\w-]{1,63}\.){1,8}(?P<last>[a-z]{2,24})", re.IGNORECASE)
_PAGES = frozenset("php html htm asp aspx jsp cgi do shtml jpg jpeg png gif txt zip rar mp3 mp4 pdf".split())

Kind = Literal["text", "quote", "link", "attachment", "emoticon", "note"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a post. host is given for links; a link inside a quotation is part of the quote.

    note: what the forum wrote into the post, such as who edited it last.
    """

    kind: Kind
    text: str
    host: str | None = None


def may_hold_markup(original: str) -> bool:
    """Whether reading the markup could change anything."""
    return _SPECIAL.search(original) is not None


def is_address(text: str) -> bool:
    return _URL.fullmatch(text.strip()) is not None


def read_markup(original: str) -> tuple[Segment, ...]:
    """Return the readable structure of a post as it came in: BBCode, entities and quotations resolved.

    Unknown [tags] stay as text; known ones that are cut off at either end of an excerpt vanish; a quotation that
    is closed but was never opened reaches back to the beginning of its excerpt.
    """
    if not may_hold_markup(original):
        return (Segment("text", original),) if original else ()
    segments: list[Segment] = []
    for index, part in enumerate(original.split(BETWEEN_EXCERPTS)):
        if index:
            segments.append(Segment("text", BETWEEN_EXCERPTS))
        segments += _Scanner().read(part)
    return tuple(segments)


@dataclass(slots=True)
class _Run:
    """A segment while it is read; its pieces are joined once."""

    kind: Kind
    host: str | None
    pieces: list[str]


class _Scanner:
    """Reads one excerpt from left to right; holds what is open."""

    def __init__(self) -> None:
        self._runs: list[_Run] = []
        self._quotes = 0
        self._href: str | None = None  # of the link that is open
        self._href_host: str | None = None
        self._has_label = False  # the link that is open

    def read(self, part: str) -> list[Segment]:
        text = _without_half_tags(_unescape(_without_html(_without_half_entities(part))))
        added = place = 0
        while token := _TOKEN.search(text, place):
            place = token.end()
            if token["tag"] and token["tag"].lower() not in _TAGS:
                continue
            self._add(text[added : token.start()])
            added = place = self._meet(token, text)
        self._add(text[added:])
        self._end_link()
        return [Segment(run.kind, "".join(run.pieces), run.host) for run in self._runs if run.pieces]

    def _meet(self, token: re.Match[str], text: str) -> int:
        """Take in a token; returns where reading goes on."""
        if token["emoticon"]:
            self._put("emoticon", token["emoticon"])
        elif token["url"]:
            if self._href is not None:
                self._add(token["url"])
            else:
                self._put("link", token["url"], host_of(token["url"]))
        elif token["close"]:
            self._close(token["tag"].lower(), before=text, end=token.start())
        else:
            return self._open(token["tag"].lower(), token["value"] or "", text, token.end())
        return token.end()

    def _open(self, tag: str, value: str, text: str, end: int) -> int:
        if tag == "quote":
            self._open_quote()
        elif tag == "url" or (tag == "email" and value):
            self._end_link()
            self._href = value.strip().strip("\"'")
            self._href_host = host_of(self._href)
        elif tag in _BREAKS and self._runs:
            self._add(_BREAKS[tag])
        elif tag in _FILES:
            self._put("attachment", tag)
            return _end_of_file(text, end)
        elif tag == "i" and (note := _EDITED.match(text, end)):
            self._put("note", (note["note"] or note["cut"]).strip())
            return note.end()
        return end

    def _open_quote(self) -> None:
        if self._quotes:
            self._put("quote", "\n")
        else:
            self._runs.append(_Run("quote", None, []))  # two in a row are two
        self._quotes += 1

    def _close(self, tag: str, *, before: str, end: int) -> None:
        if tag == "quote" and self._quotes:
            self._quotes -= 1
            if self._quotes:
                self._put("quote", "\n")
            elif not self._runs[-1].pieces:
                del self._runs[-1]
        elif tag == "quote":
            self._quote_all()
        elif tag in ("url", "email"):
            self._end_link()
        elif tag == "i" and end < 160 and _END_OF_EDITED.fullmatch(before, 0, end) and len(self._runs) == 1:
            self._runs[0].kind = "note"

    def _quote_all(self) -> None:
        """What was read so far turns out to be a quotation whose beginning was cut off."""
        if not self._runs:
            return
        first = self._runs[0]
        for run in self._runs:
            words = [ATTACHMENT] if run.kind == "attachment" else run.pieces
            if run is not first:
                first.pieces += words
            elif run.kind != "quote":
                self._runs[0] = first = _Run("quote", None, words)
        self._runs = [first]

    def _end_link(self) -> None:
        """A link around a picture, or around nothing, is still a link."""
        if self._href is not None and self._href_host is not None and not self._has_label:
            self._put("link", self._href, self._href_host)
        self._href, self._href_host, self._has_label = None, None, False

    def _add(self, text: str) -> None:
        if not text:
            return
        if self._href is not None:
            self._has_label = self._has_label or not text.isspace()
            self._put("link", text, self._href_host if self._href else host_of(text))
        else:
            self._put("text", text)

    def _put(self, kind: Kind, text: str, host: str | None = None) -> None:
        if self._quotes:
            text = ATTACHMENT if kind == "attachment" else text
            kind, host = "quote", None
        last = self._runs[-1] if self._runs else None
        if last is not None and (last.kind, last.host) == (kind, host) and kind in ("text", "quote", "link"):
            last.pieces.append(text)
        else:
            self._runs.append(_Run(kind, host, [text]))


def _end_of_file(text: str, start: int) -> int:
    """Where the name or address of a file ends that begins here; words that only pretend to be one are left."""
    for form in (_FILE, _CUT_FILE):
        found = form.match(text, start)
        if found and (not (name := found["name"]) or name.isdigit() or any(mark in name for mark in "./:")):
            return found.end()
    return start


def _without_html(text: str) -> str:
    """Turn left-over HTML into line breaks and BBCode, or drop it; what was escaped is the author's text and stays."""
    return _HTML.sub(_replace_html, text) if "<" in text else text


def _replace_html(tag: re.Match[str]) -> str:
    name = tag["tag"].lower()
    if name in _HTML_BREAKS:
        return "\n"
    if name in ("td", "th"):
        return " "
    if name in ("img", "embed", "iframe"):
        return "" if tag["close"] else "[img][/img]"
    if name == "a" and tag["close"]:
        return "[/url]"
    if name == "a" and (href := _HREF.search(tag["rest"])):
        return f"[url={href[1]}]"
    return ""


def _unescape(text: str) -> str:
    """Entities, twice: forums store what was already escaped once (&amp;quot;)."""
    for _ in range(2 if "&" in text else 0):
        # No character has so long a number; html.unescape raises ValueError from 4,301 digits on.
        text = html.unescape(_HUGE_REFERENCE.sub("\ufffd", text))
    return text


def _without_half_entities(text: str) -> str:
    """Drop what is left of `&quot;` and its like where the excerpt's edges cut through one."""
    text = _HALF_ENTITY_AT_START.sub("", text)
    return text[: end.start()] if (end := _HALF_ENTITY_AT_END.search(text, max(0, len(text) - 6))) else text


def _without_half_tags(text: str) -> str:
    """Drop what is left of a known tag that the excerpt's edges cut through."""
    start = _HALF_TAG_AT_START.match(text)
    if start and _ends_a_tag(start.group()[:-1]):
        text = text[start.end() :]
    end = _HALF_TAG_AT_END.search(text, max(0, len(text) - 420))
    if end and end["name"].lstrip("/").lower() in _BEGINNINGS:
        text = text[: end.start()]
        if end["name"].lower() in _CUT_END_OF_QUOTE:
            text += "[/quote]"  # what stands before it is somebody else's words all the same
    return text


def _ends_a_tag(fragment: str) -> bool:
    """`ze=2`, `/size`, `quote`, `goto=findpost&pid=7`, `9999`: the rest of a tag after its beginning was cut off."""
    name, equals, value = fragment.partition("=")
    name = name.lower().removeprefix("/")
    if name in _ENDS and (value or not equals):
        return True
    return _HALF_VALUE.fullmatch(fragment) is not None and not is_address(fragment)


def host_of(address: str) -> str | None:
    """The host of an address, without user, port and path; None when there is none, as in `forum.php?tid=1`."""
    start = address[:2_000].strip()
    scheme, mark, rest = start.partition("://")
    rest = rest if mark and len(scheme) < 12 else start.removeprefix("//")
    host = re.split(r"[/?#\s\\]", rest, maxsplit=1)[0].rpartition("@")[2].partition(":")[0].lower()
    if mark:
        return host if "." in host else None
    named = _DOMAIN.fullmatch(host)
    return host if named and named["last"] not in _PAGES else None
