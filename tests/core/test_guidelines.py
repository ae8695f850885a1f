"""Guidelines as HTML hold text and links to the web, whatever stands in them; and what changed is told by lines."""

from __future__ import annotations

import re

import pytest

from core.guidelines import Line, changes, to_html


def test_markdown_becomes_headings_lists_tables_and_emphasis() -> None:
    html = to_html("# 违规\n\n- **微信**号\n\n| a | b |\n|---|---|\n| 1 | 2 |\n")
    for part in ("<h3>违规</h3>", "<li><strong>微信</strong>号</li>", "<td>1</td>"):
        assert part in html


@pytest.mark.parametrize(
    "body",
    [
        "<img src=http://evil.example/x.png>",
        "<script>alert(1)</script>",
        "a <b onmouseover=alert(1)>b</b>",
        "![words](http://evil.example/x.png)",
        "![words][1]\n\n[1]: http://evil.example/x.png",
        "[![words](http://evil.example/x.png)](javascript:alert(1))",
        "[a](javascript:alert(1))",
        "[a](JAVAscript:alert(1))",
        "[a](data:text/html;base64,eA==)",
        "[a](file:///etc/passwd)",
        "<javascript:alert(1)>",
        '[a](http://evil.example/"onclick="alert(1))',
        "<style>@import url(http://evil.example)</style>",
        "<!-- comment --><svg/onload=alert(1)>",
        '| a |\n|---|\n| <img src="x"> |',
    ],
)
def test_nothing_is_fetched_or_run(body: str) -> None:
    html = to_html(body)
    tags = re.findall(r"<\s*/?\s*([a-z0-9!-]+)([^>]*)>", html, flags=re.IGNORECASE)
    assert {name for name, _ in tags} <= {"p", "a", "h3", "table", "thead", "tbody", "tr", "th", "td"}
    for name, attributes in tags:
        if name == "a" and attributes:
            assert re.fullmatch(r' href="https?://[^"]*" target="_blank" rel="noopener noreferrer"', attributes)
        else:
            assert attributes.strip() in ("", "/")


def test_of_a_picture_its_words_are_left() -> None:
    assert to_html("![a <b> picture](http://x.example/y.png)") == "<p>[a &lt;b&gt; picture]</p>\n"


def test_link_to_the_web_opens_in_a_tab_that_knows_nothing_of_this_one() -> None:
    assert to_html("[forum](https://forum.example/?a=1&b=2)") == (
        '<p><a href="https://forum.example/?a=1&amp;b=2" target="_blank" rel="noopener noreferrer">forum</a></p>\n'
    )


def test_changes_are_lines_with_what_stands_beside_them() -> None:
    old = "\n".join(f"line {n}" for n in range(1, 10))
    new = old.replace("line 5", "line five")
    assert changes(old, new) == (
        Line("gap", ""), Line("same", "line 4"), Line("gone", "line 5"), Line("new", "line five"),
        Line("same", "line 6"), Line("gap", ""),
    )  # fmt: skip
    assert changes("", "a\nb") == (Line("new", "a"), Line("new", "b"))
    assert changes("a\nb\nc", "a\nx\nb\nc") == (Line("same", "a"), Line("new", "x"), Line("same", "b"), Line("gap", ""))
    assert changes(old, old) == ()


def test_one_line_between_two_changes_stands_there_once() -> None:
    assert [line.text for line in changes("a\nb\nc", "x\nb\ny")] == ["a", "x", "b", "c", "y"]
