"""The guidelines: a lead writes them and chooses their examples; everybody reads them, and is shown what changed."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import Connection, Engine

from core.domain import Actor, CheckStatus, Label
from core.errors import BadInput, Conflict, NotFound
from core.guidelines import MOST_CHARACTERS, Line, changes
from core.permissions import Permission, require
from core.text import clean_unicode
from core.wording import _
from db import audit, checks, golds, guidelines, posts
from db.engine import read, write
from db.guidelines import ExamplePost, Version

MOST_NOTE = 300  # characters, of what changed and of an example
MOST_EXAMPLES = 200

__all__ = ["ExamplePost", "Version"]


@dataclass(frozen=True, slots=True)
class Example:
    """label: what the post counts as now; None while nothing counts, or it waits for another person."""

    post: ExamplePost
    label: Label | None
    is_new: bool  # since the reader's last visit


@dataclass(frozen=True, slots=True)
class Changes:
    """What a person has not been shown yet. since: the version that they have read."""

    since: Version
    lines: tuple[Line, ...]
    versions: tuple[Version, ...]  # written since, newest first


@dataclass(frozen=True, slots=True)
class Guidelines:
    """version None: nobody has written any. examples: those that count, by label.

    changes None: the reader has seen all of it, or reads it for the first time.
    """

    version: Version | None
    examples: tuple[Example, ...]
    changes: Changes | None


# --- reading --------------------------------------------------------------------------------------------------------


def read_guidelines(engine: Engine, actor: Actor) -> Guidelines:
    """As they are now, with what changed since the actor's last visit; an example without a label is left out."""
    require(actor, Permission.read_guidelines)
    with read(engine) as conn:
        newest = guidelines.newest_version(conn)
        seen = None if actor.user_id is None else guidelines.last_visit(conn, actor.user_id)
        found = _examples(conn, None if seen is None else seen.seen_at)
        examples = tuple(sorted((e for e in found if e.label is not None), key=lambda e: e.label or 0))
        since = None if seen is None or not seen.version_id else guidelines.get_version(conn, seen.version_id)
        if newest is None or since is None or since.id == newest.id:
            return Guidelines(newest, examples, None)
        later = guidelines.list_versions(conn, after=since.id)
        return Guidelines(newest, examples, Changes(since, changes(since.body, newest.body), tuple(later)))


def _examples(conn: Connection, seen_at: datetime | None) -> list[Example]:
    found = guidelines.list_examples(conn)
    labels = golds.labels_of(conn, [example.post_id for example in found])
    return [
        Example(
            post,
            None if post.is_waiting else labels.get(post.post_id),
            seen_at is not None and post.added_at > seen_at,
        )
        for post in found
    ]


def note_read(engine: Engine, actor: Actor, *, version_id: int | None, now: datetime) -> None:
    """The actor was shown that version, and the examples there are."""
    require(actor, Permission.read_guidelines)
    if actor.user_id is None:
        return
    with write(engine) as conn:
        if version_id is not None and guidelines.get_version(conn, version_id) is None:
            raise NotFound(_("There is no version {number} of the guidelines.").format(number=version_id))
        guidelines.note_visit(conn, actor.user_id, version_id=version_id, seen_at=now)


def list_versions(engine: Engine, actor: Actor) -> list[Version]:
    """Newest first; none is ever changed or removed."""
    require(actor, Permission.read_guidelines)
    with read(engine) as conn:
        return guidelines.list_versions(conn)


# --- writing --------------------------------------------------------------------------------------------------------


def write_version(
    engine: Engine, actor: Actor, body: str, *, note: str, based_on: int | None, now: datetime
) -> Version:
    """Raises Conflict when somebody else has written a version since the one that this text was made from."""
    require(actor, Permission.write_guidelines)
    text, said = clean_unicode(body).strip(), clean_unicode(note).strip()
    if not text:
        raise BadInput(_("The guidelines are empty; write something, or leave them as they were."))
    if len(text) > MOST_CHARACTERS or len(said) > MOST_NOTE:
        raise BadInput(
            _(
                "The guidelines have {length} characters and the note {note_length}; at most {most} and {most_note} "
                "are possible."
            ).format(
                length=f"{len(text):,}", note_length=f"{len(said):,}", most=f"{MOST_CHARACTERS:,}", most_note=MOST_NOTE
            )
        )
    with write(engine) as conn:
        newest = guidelines.newest_version(conn)
        if (None if newest is None else newest.id) != based_on:
            raise Conflict(
                _(
                    "{name} has saved version {number} meanwhile. Your text is still here: copy it, look at what "
                    "changed, and put both together."
                ).format(name=newest.written_by if newest else "?", number=newest.id if newest else 0)
            )
        if newest is not None and newest.body == text:
            raise BadInput(_("Nothing has changed since version {number}; nothing was saved.").format(number=newest.id))
        made = guidelines.add_version(conn, body=text, note=said, written_by=actor.name, now=now)
        if actor.user_id is not None:  # who writes it has read it
            guidelines.note_visit(conn, actor.user_id, version_id=made.id, seen_at=now)
        audit.record_action(conn, actor, "write guidelines", details={"version": made.id}, now=now)
        return made


def list_examples(engine: Engine, actor: Actor) -> list[Example]:
    """Newest first, with those that are shown to nobody at the moment."""
    require(actor, Permission.write_guidelines)
    with read(engine) as conn:
        return _examples(conn, None)


def add_example(engine: Engine, actor: Actor, post_id: int, *, note: str = "", now: datetime) -> None:
    """Let a decided post stand as an example of its label; of one that is there already the note is changed.

    Raises Conflict for a post that measures people still: to show it would tell them the answer.
    """
    require(actor, Permission.write_guidelines)
    said = clean_unicode(note).strip()
    if len(said) > MOST_NOTE:
        raise BadInput(
            _("The note has {length} characters; at most {most} are possible.").format(
                length=f"{len(said):,}", most=MOST_NOTE
            )
        )
    with write(engine) as conn:
        posts.require_post(conn, post_id)
        _refuse_measuring(conn, post_id)
        if post_id not in golds.labels_of(conn, [post_id]):
            raise Conflict(
                _("No label counts for post {post} yet: it is undecided, or people disagree about it.").format(
                    post=post_id
                )
            )
        known = guidelines.list_examples(conn)
        if len(known) >= MOST_EXAMPLES and post_id not in {example.post_id for example in known}:
            raise BadInput(
                _("There are {count} examples, and nobody reads more; remove one first.").format(count=len(known))
            )
        guidelines.add_example(conn, post_id=post_id, note=said, added_by=actor.name, now=now)
        audit.record_action(conn, actor, "add example", details={"post": post_id}, now=now)


def _refuse_measuring(conn: Connection, post_id: int) -> None:
    if guidelines.is_waiting(conn, post_id):
        raise Conflict(
            _("Post {post} waits for a second opinion; it can become an example after that.").format(post=post_id)
        )
    if checks.status_of(conn, post_id) is CheckStatus.active:
        raise Conflict(
            _("Post {post} is a check post; it can become an example once it is retired.").format(post=post_id)
        )


def remove_example(engine: Engine, actor: Actor, post_id: int, *, now: datetime) -> None:
    """Removing what is no example (any more) changes nothing."""
    require(actor, Permission.write_guidelines)
    with write(engine) as conn:
        if guidelines.remove_example(conn, post_id):
            audit.record_action(conn, actor, "remove example", details={"post": post_id}, now=now)
