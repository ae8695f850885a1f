"""The catalogues of sentences: read for the pages, gathered anew from the code by `make words`.

There is no compiled file: a catalogue is small, and what is in the repository is what is shown.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from functools import cache
from gettext import GNUTranslations, NullTranslations
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from core.domain import Language
from core.settings import PROJECT_DIR

FOLDERS = ("core", "db", "ui")
KEYWORDS = {"_": None, "N_": None, "ngettext": (1, 2)}
TRANSLATED = tuple(language for language in Language if language is not Language.english)


def path_of(language: Language) -> Path:
    return Path(__file__).parent / "locale" / language / "LC_MESSAGES" / "tiebreak.po"


def read_catalogue(language: Language) -> Catalog:
    with path_of(language).open("rb") as file:
        return read_po(file, locale=language)


@cache
def translations(language: Language) -> NullTranslations:
    if language is Language.english:
        return NullTranslations()
    compiled = io.BytesIO()
    write_mo(compiled, read_catalogue(language))
    compiled.seek(0)
    return GNUTranslations(compiled)


def sentences() -> list[str]:
    """Every English sentence that the catalogues know, of two forms both."""
    found = (message for message in read_catalogue(TRANSLATED[0]) if message.id)
    return [form for message in found for form in forms(message)]


def forms(message: Message) -> tuple[str, ...]:
    """The sentence, or its singular and plural."""
    return (message.id,) if isinstance(message.id, str) else tuple(map(str, message.id))


def gather() -> Catalog:
    """The sentences that stand in the code."""
    found = Catalog()
    for folder in FOLDERS:
        extracted = extract_from_dir(PROJECT_DIR / folder, method_map=[("**.py", "python")], keywords=KEYWORDS)
        for _file, _line, words, _comments, _context in extracted:
            found.add(words)
    return found


def update(language: Language) -> Iterator[str]:
    """Bring the catalogue up to the code and keep its translations; yields the sentences that lack one.

    Sorted, unwrapped and without places in the code, so that two people's additions rarely touch.
    """
    catalogue = read_catalogue(language)
    catalogue.update(gather(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    text = io.BytesIO()
    write_po(text, catalogue, width=0, no_location=True, sort_output=True, omit_header=True)
    head = path_of(language).read_text(encoding="utf-8").partition("\n\n")[0]
    path_of(language).write_text(f"{head}\n\n{text.getvalue().decode().strip()}\n", encoding="utf-8")
    return (forms(message)[0] for message in catalogue if message.id and not all(strings(message)))


def strings(message: Message) -> tuple[str, ...]:
    """Its translation, one for each plural form of the language; empty ones while it has none."""
    said = message.string
    return (said or "",) if not isinstance(said, (list, tuple)) else tuple(each or "" for each in said)


def main() -> None:
    import sys

    for language in TRANSLATED:
        missing = list(update(language))
        sys.stdout.write(f"{path_of(language).relative_to(PROJECT_DIR)}: {len(missing)} to translate\n")
        sys.stdout.writelines(f"  {sentence}\n" for sentence in missing)


if __name__ == "__main__":
    main()
