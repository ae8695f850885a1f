"""Whose language the answer is in: a person's choice, else what the browser asks for, else English.

How to write for two languages: English stands in the code, each sentence whole, as `_("… {name} …").format(name=name)`
from `core.wording`; with a count as `ngettext("{count} post", "{count} posts", n).format(count=f"{n:,}")`; a constant
of a module is marked by `N_` and goes through `_` where it is shown. Never an f-string inside, never a sentence put
together from pieces. Then `make words` (`python -m ui.catalogue`) gathers the sentences into the catalogue
ui/locale/zh_Hans/LC_MESSAGES/tiebreak.po, where you write the Chinese after `msgstr`; the glossary stands at its top.
tests/ui/test_catalogue.py fails for a sentence that is unmarked, untranslated, or loses one of its values. What is
stored for later readers (a run's message, why a line was rejected) is stored in English and goes through `retell` where
it is shown; logs and the command line stay English. A component's script gets its sentences with its data.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from contextvars import ContextVar
from functools import cache
from gettext import NullTranslations

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from core.domain import Language, Session
from core.wording import _
from ui import catalogue

COOKIE = "tiebreak_language"  # for pages before the sign-in
OWN_NAMES = {Language.english: "English", Language.chinese: "中文"}
TAGS = {Language.english: "en", Language.chinese: "zh-Hans"}  # for the lang attribute
KEY = "language"  # of a browser tab's session state: callbacks and fragments run in threads of their own

_answered_in: ContextVar[Language] = ContextVar("answered_in", default=Language.english)


def of_reader() -> NullTranslations:
    """The translations for whoever is being answered: on a page, in a request, else (worker, command line) English."""
    return catalogue.translations(language())


def language() -> Language:
    if get_script_run_ctx(suppress_warning=True) is None:
        return _answered_in.get()
    return st.session_state.get(KEY) or asked_for(st.context.cookies, _header())


def _header() -> str:
    """What the browser asks for; the websocket's own header may not say what its pages say."""
    return f"{st.context.locale or ''},{st.context.headers.get('Accept-Language') or ''}"


def answer_page(session: Session) -> None:
    """From here on this browser tab is answered in the language of who looks at it."""
    st.session_state[KEY] = session.user.language or asked_for(st.context.cookies, _header())


def answer_request(cookies: Mapping[str, str], accepted: str, session: Session | None = None) -> None:
    """From here on this request is answered in the language of who asks."""
    chosen = session.user.language if session else None
    _answered_in.set(chosen or asked_for(cookies, accepted))


def asked_for(cookies: Mapping[str, str], accepted: str) -> Language:
    """The choice in the browser's cookie, else the first language of Accept-Language that there is."""
    if (chosen := cookies.get(COOKIE, "")) in list(Language):
        return Language(chosen)
    wishes = (_wish(part) for part in accepted.split(","))
    for _weight, tag in sorted((wish for wish in wishes if wish[0] > 0), key=lambda wish: -wish[0]):
        if tag == "zh" or tag.startswith("zh-"):
            return Language.chinese
        if tag == "en" or tag.startswith("en-"):
            return Language.english
    return Language.english


def _wish(part: str) -> tuple[float, str]:
    """(weight, tag) of `zh-CN;q=0.8`."""
    tag, _semicolon, rest = part.strip().lower().partition(";")
    weight = re.fullmatch(r"\s*q=([01](?:\.\d{0,3})?)\s*", rest)
    return (float(weight[1]) if weight else 1.0), tag.strip()


# --- what was stored in English ---------------------------------------------------------------------------------------


def retell(stored: str) -> str:
    """A stored English sentence in the reader's language, by the template that it was made from; else as it is."""
    if language() is Language.english or not stored:
        return stored
    for pattern, template in _templates():
        if found := pattern.fullmatch(stored):
            values = {name: _retold(name, value) for name, value in found.groupdict().items()}
            return _(template).format(**values) if values else _(template)
    return stored


def _retold(name: str, value: str) -> str:
    """{reason} stands for a sentence, which has a template of its own; everything else is a value."""
    return retell(value) if name == "reason" else value


@cache
def _templates() -> list[tuple[re.Pattern[str], str]]:
    """What fits each sentence, those that say most first: `{name}: {reason}` fits a good deal."""
    found = catalogue.sentences()
    return [(_pattern(text), text) for text in sorted(found, key=lambda text: -len(re.sub(r"\{.*?\}", "", text)))]


def _pattern(template: str) -> re.Pattern[str]:
    names: set[str] = set()
    parts = []
    for part in re.split(r"(\{\w+(?:![rs])?\})", template):
        name = re.fullmatch(r"\{(\w+)(?:![rs])?\}", part)
        if name is None:
            parts.append(re.escape(part))
        elif name[1] in names:
            parts.append(f"(?P={name[1]})")
        else:
            names.add(name[1])
            parts.append(f"(?P<{name[1]}>.*)")
    return re.compile("".join(parts), re.DOTALL)
