"""The way back to the forum: a thread is read from the export, a template leads to one host and nowhere else."""

from __future__ import annotations

import pytest

from core.errors import BadInput
from core.forum import link_to, refuse_unsafe_template, thread_of

DISCUZ = "https://forum.example/forum.php?mod=redirect&goto=findpost&ptid={tid}&pid={pid}"


@pytest.mark.parametrize(
    ("extra", "thread"),
    [
        ({}, None),
        ({"tid": "77"}, "77"),
        ({"fid": "3", " TID ": " 77 "}, "77"),
        ({"thread": "9", "tid": "77"}, "77"),
        ({"Thread_ID": "t-9"}, "t-9"),
        ({"tid": "0"}, None),
        ({"tid": "  "}, None),
        ({"subject": "tid"}, None),
    ],
)
def test_thread_is_what_the_further_columns_call_so(extra: dict[str, str], thread: str | None) -> None:
    assert thread_of(extra) == thread


@pytest.mark.parametrize(
    "template",
    [DISCUZ, "http://127.0.0.1:8080/{pid}", "https://论坛.example/t/{tid}#p{pid}", "HTTPS://forum.example/?p={pid}"],
)
def test_address_with_a_place_for_the_post_is_a_template(template: str) -> None:
    refuse_unsafe_template(template)


@pytest.mark.parametrize(
    "template",
    [
        "javascript:alert({pid})",
        "data:text/html,{pid}",
        "file:///etc/{pid}",
        "//forum.example/{pid}",
        "forum.example/{pid}",
        "https:///{pid}",
        "https://{pid}.example/",
        "https://forum.example@evil.example/{pid}",
        "https://forum.example:port/{pid}",
        "https://forum.example/without",
        "https://forum.example/{pid}/{name}",
        "https://forum.example/{pid",
        "https://forum.example/{{pid}}",
        "https://forum.example/ {pid}",
        "https://forum.example\\{pid}",
        "https://[forum.example/{pid}",
        "https://forum.example/{pid}" + "x" * 500,
    ],
)
def test_what_could_lead_elsewhere_is_no_template(template: str) -> None:
    with pytest.raises(BadInput, match=r"https://forum\.example/forum\.php"):
        refuse_unsafe_template(template)


def test_link_holds_the_numbers_of_the_post_and_nothing_that_they_could_add() -> None:
    assert link_to(DISCUZ, pid="12", thread="7") == DISCUZ.replace("{tid}", "7").replace("{pid}", "12")
    assert link_to("https://f.example/{tid}", pid=None, thread="a/../?b=#{pid}") == (
        "https://f.example/a%2F..%2F%3Fb%3D%23%7Bpid%7D"
    )


@pytest.mark.parametrize(("template", "pid", "thread"), [("", "1", "2"), (DISCUZ, None, "2"), (DISCUZ, "1", None)])
def test_post_that_lacks_what_the_template_asks_for_has_no_link(
    template: str, pid: str | None, thread: str | None
) -> None:
    assert link_to(template, pid=pid, thread=thread) is None
