"""The components' scripts and markup say nothing themselves: each sentence comes from the catalogues with the data."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path

import pytest
import tree_sitter_javascript
from tree_sitter import Language, Node, Parser

from core.settings import PROJECT_DIR
from ui.label_words import card_words, guidelines_words

COMPONENTS = PROJECT_DIR / "ui" / "components"
SCRIPTS = pytest.mark.parametrize("path", sorted(COMPONENTS.rglob("*.js")), ids=lambda path: path.stem)
MARKUP = pytest.mark.parametrize("path", sorted(COMPONENTS.rglob("*.html")), ids=lambda path: path.stem)
WORDS = re.compile(r"[A-Za-z]{2,}|[\u4e00-\u9fff]")
SENTENCE = re.compile(r"[A-Za-z]{2,}[,;:]? [A-Za-z]{2,}")
ADDRESS = re.compile(r"/\S*")
TOLD = {"title", "aria-label", "placeholder", "alt"}  # attributes that people read or hear
SHOWN = {"textContent", "innerText", "innerHTML", "ariaLabel", *TOLD}
SHOWS = {"say", "show", "append", "prepend", "replaceChildren", "alert", "confirm", "prompt"}
SELECTS = {"$", "querySelector", "querySelectorAll", "closest", "matches"}
JAVASCRIPT = Parser(Language(tree_sitter_javascript.language()))


def nodes(node: Node) -> Iterator[Node]:
    yield node
    for child in node.named_children:
        yield from nodes(child)


def text(node: Node | None) -> str:
    return "" if node is None or node.text is None else node.text.decode()


def literal(node: Node) -> str:
    """What a string or the fixed parts of a template say."""
    if node.type == "string":
        return text(node)[1:-1]
    return "…".join(text(part) for part in node.named_children if part.type == "string_fragment")


def values(node: Node | None) -> Iterator[str]:
    """The texts that an expression can be; what it compares, looks up or calls is none of them."""
    if node is None:
        return
    if node.type in ("string", "template_string"):
        yield literal(node)
    if node.type == "ternary_expression":
        yield from values(node.child_by_field_name("consequence"))
        yield from values(node.child_by_field_name("alternative"))
    elif node.type == "binary_expression" and text(node.child_by_field_name("operator")) in ("+", "??", "||", "&&"):
        yield from values(node.child_by_field_name("left"))
        yield from values(node.child_by_field_name("right"))
    elif node.type in (
        "parenthesized_expression",
        "array",
        "spread_element",
        "template_string",
        "template_substitution",
    ):
        for child in node.named_children:
            yield from values(child)


def name_of(called: Node | None) -> str:
    return text(called.child_by_field_name("property") if called and called.type == "member_expression" else called)


def key_of(pair: Node) -> str:
    return text(pair.child_by_field_name("key")).strip("\"'")


def shown(code: str) -> Iterator[str]:
    """The script's own texts that it shows or reads out, and whatever else in it reads like a sentence."""
    for node in nodes(JAVASCRIPT.parse(code.encode()).root_node):
        if node.type == "call_expression":
            name, given = name_of(node.child_by_field_name("function")), node.child_by_field_name("arguments")
            given_ones = given.named_children if given is not None else []
            if name in SHOWS:
                yield from (said for each in given_ones for said in values(each))
            elif name == "element":  # tag, class, attributes, text
                yield from (said for each in given_ones[3:] for said in values(each))
            elif name == "setAttribute" and literal(given_ones[0]) in TOLD:
                yield from values(given_ones[1])
        elif node.type == "assignment_expression" and name_of(node.child_by_field_name("left")) in SHOWN:
            yield from values(node.child_by_field_name("right"))
        elif node.type == "pair" and key_of(node) in SHOWN:
            yield from values(node.child_by_field_name("value"))
        elif node.type in ("string", "template_string") and SENTENCE.search(literal(node)) and not is_name(node):
            yield literal(node)


def is_name(node: Node) -> bool:
    """A selector, or the classes of an element."""
    given = node.parent
    if given is None or given.type != "arguments" or given.parent is None:
        return False
    name = name_of(given.parent.child_by_field_name("function"))
    return name in SELECTS or (name == "element" and given.named_children[1] == node)


@SCRIPTS
def test_script_shows_no_words_of_its_own(path: Path) -> None:
    found = [said for said in shown(path.read_text(encoding="utf-8")) if WORDS.search(said)]
    assert [said for said in found if not ADDRESS.fullmatch(said)] == []


@MARKUP
def test_markup_holds_no_words_of_its_own(path: Path) -> None:
    found: list[str] = []

    class Reader(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            found.extend(value for name, value in attrs if name in TOLD and value)

        def handle_data(self, data: str) -> None:
            found.append(data)

    Reader().feed(path.read_text(encoding="utf-8"))
    assert [said for said in found if WORDS.search(said)] == []


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('element("h3", "", {}, `Model ${card.version}`)', {"Model "}),
        ('element("b", "host name", { lang: "en", title: "lead" }, `→ ${host}`)', {"lead"}),
        ('who.textContent = isGood ? "Done" : told[name];', {"Done"}),
        ('this.say(failed ? fill(told.failed, { error: "xy" }) : "Nothing"); // a comment in words', {"Nothing"}),
        ('Object.assign(button, { name: "language", title: x ?? "Choose" })', {"Choose"}),
        ('if (a === "flag") form.textContent = what === "flag" ? told.a : told["flag"];', set()),
        ("line.append(' by ', name, ...rest.map((r) => r.x));", {" by "}),
        ('const odd = /["`]/u; notice.textContent = ""; root.$("form.writing button");', set()),
        ('throw new Error("this went wrong");', {"this went wrong"}),
        ('button.setAttribute("aria-label", `${n} Close`); button.setAttribute("role", "alert");', {" Close"}),
    ],
)
def test_words_are_found_where_scripts_show_them(code: str, expected: set[str]) -> None:
    assert {said for said in shown(code) if WORDS.search(said)} == expected


def asked_of(code: str, *objects: str) -> set[str]:
    """The names that a script looks up in one of these objects, written as `told` or `this.words`."""
    looked_up = [node for node in nodes(JAVASCRIPT.parse(code.encode()).root_node) if node.type == "member_expression"]
    return {name_of(node) for node in looked_up if text(node.child_by_field_name("object")) in objects}


def test_every_word_that_the_label_page_asks_for_is_there() -> None:
    script = (COMPONENTS / "label" / "label.js").read_text(encoding="utf-8")
    markup = (COMPONENTS / "label" / "label.html").read_text(encoding="utf-8")
    asked = asked_of(script, "told", "this.data.words", "this.desk.data.words")
    asked |= set(re.findall(r"counted\(\"(\w+)\"", script)) | set(re.findall(r'data-(?:word|name)="(\w+)"', markup))
    assert len(asked) > 80
    assert asked - card_words().keys() == set()
    theirs = asked_of(script, "this.words") | set(re.findall(r'data-said="(\w+)"', markup))
    assert len(theirs) > 10
    assert theirs - guidelines_words().keys() == set()
