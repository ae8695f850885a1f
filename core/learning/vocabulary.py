"""A character vocabulary for Chinese forum text, as a BERT tokenizer in Hub layout."""

from __future__ import annotations

import re
import string
import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from pathlib import Path

from transformers import BertTokenizer

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
ALWAYS = string.digits + string.ascii_lowercase + string.punctuation + "，。！？、；：“”‘’（）《》【】…—～·￥"
_LATIN_WORD = re.compile(r"[a-z]{2,12}|[0-9]{2,4}")


def build_vocabulary(texts: Iterable[str], *, size: int) -> list[str]:
    """Return at most `size` tokens: special ones, all of ASCII, then characters and short Latin words by frequency.

    Latin letters and digits exist as word starts and as ##continuations, so that whatever is typed in ASCII can be
    represented; characters seen once are left to [UNK].
    """
    characters: Counter[str] = Counter()
    words: Counter[str] = Counter()
    for text in texts:
        folded = _fold(text)
        characters.update(folded)
        words.update(_LATIN_WORD.findall(folded))
    fixed = [*SPECIAL, *ALWAYS, *(f"##{c}" for c in string.digits + string.ascii_lowercase)]
    common_words = [word for word, count in words.most_common(300) if count >= 20]
    seen = [c for c, count in characters.most_common() if count >= 2 and c not in ALWAYS and _is_visible(c)]
    return list(dict.fromkeys([*fixed, *common_words, *seen]))[:size]


def _fold(text: str) -> str:
    """Lower case without accents, as BERT's normaliser does."""
    decomposed = unicodedata.normalize("NFD", text.lower())
    return "".join(c for c in decomposed if unicodedata.category(c) != "Mn")


def _is_visible(character: str) -> bool:
    return not character.isspace() and unicodedata.category(character)[0] != "C"


def make_tokenizer(vocabulary: Sequence[str], folder: Path, *, max_tokens: int) -> BertTokenizer:
    """Write vocab.txt and the tokenizer's files into the folder; returns the tokenizer."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.txt").write_text("\n".join(vocabulary) + "\n", encoding="utf-8")
    tokenizer = BertTokenizer(
        vocab={token: index for index, token in enumerate(vocabulary)}, do_lower_case=True, model_max_length=max_tokens
    )
    tokenizer.save_pretrained(folder)
    return tokenizer
