"""The catalogues hold every sentence of the code, whole, and the code has no sentence that goes past them."""

from __future__ import annotations

import ast
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest

from core import errors
from core.domain import Language
from core.settings import PROJECT_DIR
from ui import catalogue

TRANSLATED = pytest.mark.parametrize("language", catalogue.TRANSLATED)
MARKS = {"_", "N_", "ngettext"}
# What streamlit's calls show of their arguments.
SHOWN = {
    "altair_chart", "badge", "button", "caption", "checkbox", "code", "columns", "error", "expander",
    "form_submit_button", "header", "info", "link_button", "markdown", "metric", "multiselect", "number_input",
    "page_link", "pills", "popover", "progress", "radio", "segmented_control", "selectbox", "slider", "spinner",
    "subheader", "success", "tabs", "text", "text_area", "text_input", "title", "toast", "toggle", "warning", "write",
    "Column", "TextColumn", "NumberColumn", "DatetimeColumn", "DateColumn", "CheckboxColumn", "ProgressColumn",
    "open_page", "_field", "_page",
}  # fmt: skip
SHOWN_BY_NAME = {"help", "label", "placeholder", "text", "title", "caption", "delta", "body", "show_spinner"}
PROGRAMMERS = {"RuntimeError", "AssertionError", "ValueError", "TypeError", "NotImplementedError"}
WORDS = re.compile(r"[A-Za-z]{2,}")
# Formats of dates, kinds of documents and headers, places of charts' fields, names that Streamlit's fields go by.
NO_WORDS = re.compile(r"macro-F1$|pid \{\}$|YYYY|text/|attachment;|[a-z()]+:[A-Z]$|img-src|views/\w+\.py$| autofocus$")
SENTENCE = re.compile(r"[A-Za-z]{2,}[,;:]? [A-Za-z{(]|[A-Za-z]{2,} $|^ [A-Za-z]{2,}")

# file: {literal: why it is no sentence for the catalogues}
EXCEPTIONS: dict[str, dict[str, str]] = {
    "core/settings.py": {"": "read at the start, before there is anybody to answer"},
    "ui/server/app.py": {"": "what starting the server says on the command line"},
    "ui/server/browsers.py": {"": "names of browsers and systems"},
    "ui/import_preview.py": {"auto: {}": "names of encodings"},
    "ui/server/provider.py": {"": "why a provider is refused stands in the log; what people are told is marked"},
    "ui/server/signin.py": {"Tiebreak": "the name"},
    "ui/server/uploads.py": {"rejected lines of import {}": "what the audit log keeps"},
    "ui/views/search.py": {"pid": "the column's own name"},
}


# --- the catalogues ---------------------------------------------------------------------------------------------------


@TRANSLATED
def test_every_sentence_of_the_code_is_translated_and_no_other_is_kept(language: Language) -> None:
    there = catalogue.read_catalogue(language)
    known = {catalogue.forms(message): message for message in there if message.id}
    wanted = {catalogue.forms(message) for message in catalogue.gather() if message.id}
    assert wanted - known.keys() == set(), "run `make words`"
    assert known.keys() - wanted == set(), "run `make words`"
    assert [forms for forms, message in known.items() if not all(catalogue.strings(message)) or message.fuzzy] == []
    assert there.obsolete == {}


@TRANSLATED
def test_every_translation_names_what_the_sentence_names(language: Language) -> None:
    for message in catalogue.read_catalogue(language):
        if message.id:
            for said in catalogue.strings(message):
                # The count may go unsaid: "one post" has none in English either.
                wanted = {frozenset(fields(form)) for form in catalogue.forms(message)}
                assert frozenset(fields(said)) in wanted, (message.id, said)


@TRANSLATED
def test_no_sentence_stands_twice_in_a_catalogue(language: Language) -> None:
    text = catalogue.path_of(language).read_text(encoding="utf-8")
    assert [line for line, count in Counter(re.findall(r"^msgid .+", text, re.MULTILINE)).items() if count > 1] == []
    assert not re.search(r"^[<=>]{7}", text, re.MULTILINE)


def fields(sentence: str) -> set[str]:
    return {f"{name}!{conversion or ''}" for _text, name, _spec, conversion in Formatter().parse(sentence) if name}


# --- the code ---------------------------------------------------------------------------------------------------------


def modules(*folders: str) -> list[Path]:
    return [path for folder in folders for path in sorted((PROJECT_DIR / folder).rglob("*.py"))]


def pages() -> list[Path]:
    """What people read in a browser is written here; the command line speaks English."""
    return [
        path for path in modules("ui") if "commands" not in path.parts and path.name not in ("cli.py", "catalogue.py")
    ]


def is_error(name: str) -> bool:
    return name in ERRORS


ERRORS = {name for name in vars(errors) if isinstance(vars(errors)[name], type)} | {
    node.name
    for path in modules("core", "db", "ui")
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
    if isinstance(node, ast.ClassDef) and any(isinstance(b, ast.Name) and b.id.endswith("Error") for b in node.bases)
}


def called(node: ast.AST) -> str:
    """The last name of what a call calls; empty for anything else."""
    if not isinstance(node, ast.Call):
        return ""
    function = node.func
    return (
        function.id if isinstance(function, ast.Name) else function.attr if isinstance(function, ast.Attribute) else ""
    )


def literals(node: ast.AST, around: tuple[ast.AST, ...] = ()) -> Iterator[tuple[str, tuple[ast.AST, ...]]]:
    """Every unmarked text of the tree with what stands around it; docstrings, types and log lines left out."""
    if called(node) in MARKS or isinstance(node, ast.arg) or is_log(node) or is_for_programmers(node):
        return
    if isinstance(node, ast.JoinedStr):
        yield "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values), around
        children = [part.value for part in node.values if isinstance(part, ast.FormattedValue)]
    elif isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value, around
        children = []
    elif isinstance(node, ast.Dict):  # a key whose value is marked is a key; others may be titles of columns
        children = [
            *(k for k, v in zip(node.keys, node.values, strict=True) if k and called(v) not in MARKS),
            *node.values,
        ]
    else:
        children = [
            child
            for name, value in ast.iter_fields(node)
            if name not in ("annotation", "returns")
            for child in (value if isinstance(value, list) else [value])
            if isinstance(child, ast.AST) and not is_docstring(child)
        ]
    for child in children:
        yield from literals(child, (*around, node))


def is_for_programmers(node: ast.AST) -> bool:
    return isinstance(node, ast.Raise) and node.exc is not None and called(node.exc) in PROGRAMMERS


def is_docstring(node: ast.AST) -> bool:
    return isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)


def is_log(node: ast.AST) -> bool:
    function = node.func if isinstance(node, ast.Call) else None
    return (
        isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name) and function.value.id == "logger"
    )


def is_shown(text: str, around: tuple[ast.AST, ...], path: Path) -> bool:
    """Whether people read it: in an error, in a call that shows it, or because it reads like a sentence."""
    if not WORDS.search(text.replace("{}", "")):
        return False
    raised = any(isinstance(node, ast.Raise) for node in around) and any(called(node) in ERRORS for node in around)
    if raised or path not in PAGES:
        return raised and not is_key(text, around)
    if NO_WORDS.match(text):
        return False
    if SENTENCE.search(text) and "<" not in text:
        return True
    call = next((node for node in reversed(around) if isinstance(node, ast.Call)), None)
    return call is not None and text in shown_arguments(call)


def is_key(text: str, around: tuple[ast.AST, ...]) -> bool:
    """A key, a separator or a name in the making of an error's values."""
    return not SENTENCE.search(text) and called(around[-1]) not in ERRORS


def shown_arguments(call: ast.Call) -> list[str]:
    first = call.args[:1] if called(call) in SHOWN else []
    named = [keyword.value for keyword in call.keywords if keyword.arg in SHOWN_BY_NAME]
    return [text for node in (*first, *named) for text, _around in literals(node) if re.search("[a-z]", text)]


PAGES = frozenset(pages())


def test_no_sentence_goes_past_the_catalogues() -> None:
    found = [
        f"{path.relative_to(PROJECT_DIR)}:{getattr(around[-1], 'lineno', 0)} {text!r}"
        for path in modules("core", "db", "ui")
        for text, around in literals(ast.parse(path.read_text(encoding="utf-8")))
        if is_shown(text, around, path)
        and not {"", text} & EXCEPTIONS.get(str(path.relative_to(PROJECT_DIR)), {}).keys()
        and "commands" not in path.parts
        and "migrations" not in path.parts
    ]
    assert found == []


def test_nothing_else_is_called_by_the_name_of_the_mark() -> None:
    for path in modules("core", "ui"):
        tree = ast.parse(path.read_text(encoding="utf-8"))
        if any(isinstance(n, ast.ImportFrom) and any(a.name == "_" for a in n.names) for n in ast.walk(tree)):
            bound = [
                n.lineno
                for n in ast.walk(tree)
                if isinstance(n, ast.Name) and n.id == "_" and isinstance(n.ctx, ast.Store)
            ]
            assert bound == [], f"{path}: write `_rest` or a name of its own"
