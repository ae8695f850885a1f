"""The command that forgets an author or a post for good."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict
from typing import Annotated

import typer

from core.clock import utc_now
from core.services.forgetting import Forgotten, Target, forget, preview
from ui.commands.console import Json, fail, open_installation, say, show


def forget_for_good(
    author: Annotated[str | None, typer.Option(help="Every post of the author with this name or number.")] = None,
    pid: Annotated[str | None, typer.Option(help="The post with this pid.")] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
    as_json: Json = False,
) -> None:
    """Remove an author's posts, or one post, for good, and say what went, what stays, and what is out of reach.

    Posts, words, hits, predictions, search index, notes that quote, rejected lines and uploads go; of decided posts the
    decisions stay without words, and no later version is trained on them. Older backups are listed: they hold it still.
    """
    if (author is None) == (pid is None):
        raise typer.BadParameter("give either --author or --pid")
    target = Target("author", author) if author is not None else Target("pid", pid or "")
    installation = open_installation()
    engine, actor, settings = installation.engine, installation.actor, installation.settings
    if not yes:
        for line in _lines(preview(engine, actor, target, settings=settings, now=utc_now())):
            say(line)
        if not typer.confirm("Forget this for good?", err=True):
            fail("Nothing was changed.")
    found = forget(engine, actor, target, settings=settings, now=utc_now())
    show(asdict(found), as_json=as_json, text=lambda: _lines(found))


def _lines(found: Forgotten) -> Iterator[str]:
    counts = found.counts
    yield f"posts: {counts.posts:,}, and {counts.decided_posts:,} with {counts.decisions:,} decisions, which stay"
    yield f"texts that no other post has: {counts.texts:,}; hits: {counts.hits:,}"
    yield f"notes and messages in which it is replaced: {counts.notes:,}; rejected lines: {counts.rejects:,}"
    yield from (f"upload: {name}" for name in found.uploads)
    yield from (f"log: {name}" for name in found.logs)
    if found.posts_that_name:
        yield f"out of reach: {found.posts_that_name:,} posts of others contain the name; look for them by a search"
    yield from (f"out of reach: data/inbox/{name} holds it still" for name in found.inbox)
    yield from (f"out of reach: data/backups/{name}, if it holds it" for name in found.backups)
    if found.run_id is not None and not found.is_clean:
        yield "Files still have to be removed or written anew; the server does it at its next start."
