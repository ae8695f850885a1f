"""Post text: from forum markup to what people read and what the model reads.

Every expression here is bounded or excludes its own opening character, so time grows in proportion to the text.
"""

from __future__ import annotations

import hashlib
import html
import re
import unicodedata
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Literal

BETWEEN_EXCERPTS = "\n……\n"
MIN_OVERLAP = 8  # fewer characters in common are chance, or a tag
OVERLAP_WINDOW = 4_000
MAX_JOINED = 200  # more excerpts than this of one post are kept one after the other

ATTACHMENT, EMOTICON = "[附件]", "[表情]"

_TAGS = frozenset(
    "quote size url i color font attach img b u s align list code email hide media audio flash free table tr td "
    "float indent password postbg qq sup sub p backcolor index page php html attachimg backimg fly move face *".split()
)
_SWALLOWED = frozenset({"attach", "img", "attachimg", "media", "audio", "flash", "postbg"})

_SPECIAL = re.compile(r"[\[\]&:;{]|http|www\.", re.IGNORECASE)
_TOKEN = re.compile(
    r"\[(?P<close>/?)(?P<tag>[a-z]{1,12}|\*)(?:=(?P<value>[^\[\]\n]{0,500}))?\]"
    r"|(?P<emoticon>:[a-z_]{3,15}:|\{:\d{1,4}_\d{1,4}:\})"
    r"|(?P<url>(?:https?://|www\.)[^\s\[\]<>\"'，。；！？、（）《》]{1,500})",
    re.IGNORECASE,
)
_HALF_TAG_AT_START = re.compile(r"[^\[\]\n]{0,200}\]")
_HALF_TAG_AT_END = re.compile(r"\[(?P<name>/?[a-z]{0,12})(?:=[^\[\]\n]{0,200})?$", re.IGNORECASE)
_HALF_ENTITY_AT_START = re.compile(r"^(?:q?u?ot|a?mp|[lg]t|n?bsp);")
_HALF_ENTITY_AT_END = re.compile(r"&(?:quot?|qu|amp?|[lg]t|nbs?p?)$")
_CUT_END_OF_QUOTE = frozenset({"/qu", "/quo", "/quot", "/quote"})
_HUGE_REFERENCE = re.compile(r"&#(?:x[0-9a-f]{9,}|[0-9]{9,});?", re.IGNORECASE)
_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_WORD = re.compile(r"[^\W_]")
_NOT_A_WORD = re.compile(r"[\W_]+")
_MAYBE_MARKUP = re.compile(r"\[[^\[\]]*\]?|^[^\[\]\n]{0,200}\]|&(?:amp;)*#?\w{0,12};?|^\w{1,4};|:\w+:|\{[^{}]*\}?")
_BLANKS = re.compile(r"\s+")

Kind = Literal["text", "quote", "link", "attachment", "emoticon"]


@dataclass(frozen=True, slots=True)
class Segment:
    """A stretch of a post. host is given for links; a link inside a quotation is part of the quote."""

    kind: Kind
    text: str
    host: str | None = None


def clean_unicode(value: str) -> str:
    """Return the text without NUL, control characters and lone surrogates, line breaks as \\n."""
    if "\r" in value:
        value = value.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("", value)


def join_excerpts(excerpts: Sequence[str]) -> list[str]:
    """Return the excerpts of one post with overlapping ones joined and contained ones dropped.

    Two are joined where one ends with at least eight characters that the other begins with, the longest overlap
    first; a joined one stands where the earlier of its parts stood. Beyond 200 distinct excerpts the rest follows
    as it came.
    """
    distinct = list(dict.fromkeys(excerpts))
    parts: list[str] = []
    for excerpt in distinct[:MAX_JOINED]:
        _take_in(parts, excerpt)
    return parts + distinct[MAX_JOINED:]


def _take_in(parts: list[str], excerpt: str) -> None:
    place = len(parts)
    while True:
        if any(excerpt in part for part in parts):
            return
        swallowed = [index for index, part in enumerate(parts) if part in excerpt]
        for index in reversed(swallowed):
            del parts[index]
            place = min(place, index)
        size, index, left, right = _longest_overlap(parts, excerpt)
        if size == 0:
            parts.insert(min(place, len(parts)), excerpt)
            return
        del parts[index]
        place, excerpt = min(place, index), left + right[size:]


def _longest_overlap(parts: Sequence[str], excerpt: str) -> tuple[int, int, str, str]:
    """(size, index of the part, left, right) of the best join; size 0 when there is none."""
    best = (0, 0, "", "")
    head = excerpt[:MIN_OVERLAP]
    for index, part in enumerate(parts):
        # Whoever joins contains the other's first characters: a look that costs less than the search for the place.
        if head in part:
            best = max(best, (_overlap(part, excerpt), index, part, excerpt))
        if part[:MIN_OVERLAP] in excerpt:
            best = max(best, (_overlap(excerpt, part), index, excerpt, part))
    return best


def _overlap(left: str, right: str) -> int:
    """Length of the longest end of left that right begins with; 0 when shorter than MIN_OVERLAP."""
    if len(right) < MIN_OVERLAP:
        return 0
    start = max(0, len(left) - min(len(right), OVERLAP_WINDOW))
    probe = right[:MIN_OVERLAP]
    while (start := left.find(probe, start)) != -1:
        if right.startswith(left[start:]):
            return len(left) - start
        start += 1
    return 0


def read_markup(original: str) -> tuple[Segment, ...]:
    """Return the readable structure of a post as it came in: BBCode, entities and quotations resolved.

    Unknown [tags] stay as text; known ones that are cut off at either end of an excerpt vanish; a quotation that
    is closed but was never opened reaches back to the beginning of its excerpt.
    """
    if not _SPECIAL.search(original):
        return (Segment("text", original),) if original else ()
    parts = [_Scanner().read(part) for part in original.split(BETWEEN_EXCERPTS)]
    segments = list(parts[0])
    for part in parts[1:]:
        segments += [Segment("text", BETWEEN_EXCERPTS), *part]
    return tuple(segments)


class _Scanner:
    """Reads one excerpt from left to right; holds what is open."""

    def __init__(self) -> None:
        self._segments: list[Segment] = []
        self._quotes = 0
        self._href: str | None = None  # of the link that is open
        self._swallowing: str | None = None  # the tag whose content is a file, not text

    def read(self, part: str) -> list[Segment]:
        text = _without_half_tags(_unescape(_without_half_entities(part)))
        last = 0
        for token in _TOKEN.finditer(text):
            if token["tag"] and token["tag"].lower() not in _TAGS:
                continue
            self._add(text[last : token.start()])
            last = token.end()
            self._meet(token)
        self._add(text[last:])
        return self._segments

    def _meet(self, token: re.Match[str]) -> None:
        if token["tag"]:
            (self._close if token["close"] else self._open)(token["tag"].lower(), token["value"])
        elif self._swallowing is None:
            if token["emoticon"]:
                self._put(Segment("emoticon", token["emoticon"]))
            elif self._href is not None:
                self._add(token["url"])
            else:
                self._put(Segment("link", token["url"], _host(token["url"])))

    def _open(self, tag: str, value: str | None) -> None:
        if tag == "quote":
            self._quotes += 1
        elif tag == "url":
            self._href = value or ""
        elif tag in _SWALLOWED:
            self._swallowing = tag
            self._put(Segment("attachment", tag))

    def _close(self, tag: str, _value: str | None) -> None:
        if tag == "quote":
            if self._quotes == 0:
                self._segments = [Segment("quote", "".join(s.text for s in self._segments))] if self._segments else []
            self._quotes = max(0, self._quotes - 1)
        elif tag == "url":
            self._href = None
        elif tag == self._swallowing:
            self._swallowing = None

    def _add(self, text: str) -> None:
        if not text or self._swallowing is not None:
            return
        if self._href is not None:
            self._put(Segment("link", text, _host(self._href or text)))
        else:
            self._put(Segment("text", text))

    def _put(self, segment: Segment) -> None:
        if self._quotes:
            segment = Segment("quote", {"attachment": ATTACHMENT}.get(segment.kind, segment.text))
        last = self._segments[-1] if self._segments else None
        is_same = last is not None and (last.kind, last.host) == (segment.kind, segment.host)
        if last is not None and is_same and segment.kind in ("text", "quote", "link"):
            self._segments[-1] = replace(last, text=last.text + segment.text)
            return
        self._segments.append(segment)


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
    end = _HALF_TAG_AT_END.search(text, max(0, len(text) - 220))
    if end and _begins_a_tag(end["name"].lstrip("/").lower()):
        text = text[: end.start()]
        if end["name"].lower() in _CUT_END_OF_QUOTE:
            text += "[/quote]"  # what stands before it is somebody else's words all the same
    return text


def _ends_a_tag(fragment: str) -> bool:
    """`ze=2`, `/size`, `quote`: the rest of a known tag after its beginning was cut off."""
    name, equals, value = fragment.partition("=")
    name = name.lower().removeprefix("/")
    is_rest = any(tag.endswith(name) for tag in _TAGS)
    return is_rest and (bool(value) or not equals)


def _begins_a_tag(name: str) -> bool:
    return any(tag.startswith(name) for tag in _TAGS)


def _host(url: str) -> str | None:
    """The host of an address, without user, port and path; None when there is none."""
    rest = url.strip().partition("://")[2] or url.strip()
    host = re.split(r"[/?#\s]", rest, maxsplit=1)[0].rpartition("@")[2].partition(":")[0].lower()
    return host if "." in host else None


def reading_text(segments: Iterable[Segment]) -> str:
    """Return the post as plain text for people, quotations included."""
    words = {"attachment": ATTACHMENT}
    return "".join(words.get(segment.kind, segment.text) for segment in segments).strip()


def model_text(segments: Sequence[Segment], *, quotes: bool = False) -> str:
    """Return what the model reads: the author's own words, links as label and host, files and emoticons as tokens.

    Quotations are somebody else's words and left out, unless nothing else remains, or quotes says otherwise.
    """
    if len(segments) == 1 and segments[0].kind in ("text", "quote"):
        return _folded(segments[0].text)
    own = [segment for segment in segments if quotes or segment.kind != "quote"]
    text = _folded(_model_words(own))
    return text if _WORD.search(text) else _folded(_model_words(segments))


def has_text(original: str) -> bool:
    """Whether anything is left for the model to read: model_text(read_markup(original)) is not empty."""
    if not _SPECIAL.search(original):
        return bool(original.strip())
    # A word outside of everything that could be markup settles it without reading the markup.
    return bool(_WORD.search(_MAYBE_MARKUP.sub("", original))) or bool(model_text(read_markup(original)))


def _model_words(segments: Iterable[Segment]) -> str:
    words = []
    for segment in segments:
        if segment.kind == "attachment":
            words.append(ATTACHMENT)
        elif segment.kind == "emoticon":
            words.append(EMOTICON)
        elif segment.kind == "link":
            label = "" if _TOKEN.fullmatch(segment.text.strip()) else segment.text
            words.append(f"{label} {segment.host or ''} ")
        else:
            words.append(segment.text)
    return "".join(words)


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def normalised(text: str) -> str:
    """Return the text by which copies are recognised: width and case folded, blanks and punctuation removed.

    A text of nothing but punctuation keeps it, so that `！！！` and `……` stay different.
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    return _NOT_A_WORD.sub("", folded) or _BLANKS.sub("", folded)


def text_hash(text: str) -> str:
    """Return the identity of a text: the first 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
