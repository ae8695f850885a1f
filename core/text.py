"""Post text: excerpts joined, and from the structure of a post to what people and what the model read.

Every expression here is bounded or excludes its own opening character, so time grows in proportion to the text.
"""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections.abc import Iterable, Sequence

from core.markup import ATTACHMENT, Segment, host_of, is_address, may_hold_markup, read_markup

MIN_OVERLAP = 8  # fewer characters in common are chance, or a tag
OVERLAP_WINDOW = 4_000
MAX_JOINED = 200  # more excerpts than this of one post are kept one after the other
MAX_TRIES = 32  # places where two excerpts could overlap; a row of equal characters has thousands

FEWEST_CHARACTERS = 4  # of a post that can be judged by itself

EMOTICON = "[表情]"

_CONTROL = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff]")
_WORD = re.compile(r"[^\W_]")
_NOT_A_WORD = re.compile(r"[\W_]+")
_PUNCTUATION = re.compile(
    "[ \n，。！？、；：（）“”…—《》【】,.!?]+"
)  # NFKC makes no word of it, alone or beside others
# All that can vanish without leaving a word or a token: tags, their halves at the beginning, HTML, half an entity.
_MAYBE_MARKUP = re.compile(r"\[[^\[\]]*\]?|^[^\[\]]*\]|<[^<>]*>?|^\w{1,4};")
_PLAIN_ENTITY = re.compile(r"&(?:amp;)?(?:quot|lt|gt|nbsp);")
_BLANKS = re.compile(r"\s+")


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
    while parts:
        swallowed = []
        for index, part in enumerate(parts):
            if excerpt in part:
                return
            if part in excerpt:
                swallowed.append(index)
        for index in reversed(swallowed):
            del parts[index]
            place = min(place, index)
        size, index, left, right = _longest_overlap(parts, excerpt)
        if size == 0:
            break
        del parts[index]
        place, excerpt = min(place, index), left + right[size:]
    parts.insert(min(place, len(parts)), excerpt)


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
    for _ in range(MAX_TRIES):
        start = left.find(probe, start)
        if start == -1:
            return 0
        if right.startswith(left[start:]):
            return len(left) - start
        start += 1
    return 0


def reading_text(segments: Iterable[Segment]) -> str:
    """Return the post as plain text for people, quotations included."""
    words = {"attachment": ATTACHMENT}
    return "".join(words.get(segment.kind, segment.text) for segment in segments).strip()


def model_text(segments: Sequence[Segment], *, quotes: bool = False) -> str:
    """Return what the model reads: the author's own words, links as label and host, files and emoticons as tokens.

    Quotations are somebody else's words and left out, unless quotes says otherwise; so is what the forum wrote. Both
    are read where nothing else remains.
    """
    if len(segments) == 1 and segments[0].kind in ("text", "quote"):
        return _folded(segments[0].text)
    left_out = ("note",) if quotes else ("quote", "note")
    own = [segment for segment in segments if segment.kind not in left_out]
    text = _folded(_model_words(own))
    return text if _WORD.search(text) else _folded(_model_words(segments))


def has_text(original: str) -> bool:
    """Whether anything is left for the model to read: model_text(read_markup(original)) is not empty."""
    if not may_hold_markup(original):
        return bool(original.strip())
    # A word outside of everything that could be markup settles it without reading the markup. Other entities than the
    # plain ones could become a bracket or a blank.
    rest = _PLAIN_ENTITY.sub("", original) if "&" in original else original
    is_settled = "&" not in rest and _WORD.search(_MAYBE_MARKUP.sub("", rest)) is not None
    return is_settled or bool(model_text(read_markup(original)))


def _model_words(segments: Iterable[Segment]) -> str:
    words = []
    for segment in segments:
        if segment.kind == "attachment":
            words.append(ATTACHMENT)
        elif segment.kind == "emoticon":
            words.append(EMOTICON)
        elif segment.kind == "link":
            words.append(f"{_label(segment)} {segment.host or ''} ")
        else:
            words.append(segment.text)
    return "".join(words)


def _label(link: Segment) -> str:
    """What a link says beside its host; an address that stands as the label says no more than its own host."""
    if not is_address(link.text):
        return link.text
    shown = host_of(link.text) or link.text
    return "" if shown == link.host else shown


def _folded(text: str) -> str:
    return " ".join(unicodedata.normalize("NFC", text).split())


def normalised(text: str) -> str:
    """Return the text by which copies are recognised: width and case folded, blanks and punctuation removed.

    A text of nothing but punctuation keeps it, so that `！！！` and `……` stay different.
    """
    # NFKC costs more than all else, and most texts need it for their wide punctuation alone, which goes anyway.
    rest = _PUNCTUATION.sub("", text)
    if not unicodedata.is_normalized("NFKC", rest):
        rest = unicodedata.normalize("NFKC", text)
    folded = _NOT_A_WORD.sub("", rest.casefold())
    return folded or _BLANKS.sub("", unicodedata.normalize("NFKC", text).casefold())


def is_too_short(text: str) -> bool:
    """Whether nobody could judge it by itself: fewer than four characters when normalised."""
    return len(normalised(text)) < FEWEST_CHARACTERS


def text_hash(text: str) -> str:
    """Return the identity of a text: the first 32 hexadecimal digits of its SHA-256."""
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]
