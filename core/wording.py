"""What people read, in their language: English stands in the code, translations in gettext catalogues.

`_("{count} posts went in").format(count=n)`: the translated sentence first, what it names filled in after, so that
a translation may order it otherwise. The entry points say whose language it is (`translate_by`); without, English.
"""

from __future__ import annotations

from collections.abc import Callable
from gettext import NullTranslations

_ENGLISH = NullTranslations()


def _english() -> NullTranslations:
    return _ENGLISH


_find: Callable[[], NullTranslations] = _english


def translate_by(find: Callable[[], NullTranslations]) -> None:
    """Ask `find` for the translations of whoever is being answered, at every sentence."""
    global _find
    _find = find


def _(message: str) -> str:
    """The sentence in the reader's language."""
    return _find().gettext(message)


def ngettext(singular: str, plural: str, count: int) -> str:
    """The sentence for that count, with the count still to be filled in."""
    return _find().ngettext(singular, plural, count)


def N_(message: str) -> str:
    """Mark a sentence of a constant for the catalogues; whoever shows it calls `_` on it."""
    return message
