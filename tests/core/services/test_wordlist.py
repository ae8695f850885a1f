"""The list of hit words on the real schema: against SQL written by hand, and what it lacks."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from sqlalchemy import Engine, select

from core.domain import LABEL_NAMES, Actor, Prediction
from core.post_filter import PostFilter
from core.services import columns, wordlist
from core.services.columns import Columns
from core.settings import Settings
from db import models
from db.engine import write
from db.tables import post
from tests.conftest import NOW
from tests.core.services.conftest import import_file, unlike

PLANTED = "刷单返利"


def bring(engine: Engine, path: Path, *, labelled: int, more: int) -> None:
    """Labelled posts, a third of them violations with a piece that the list lacks, and more such that are undecided."""
    lines = ["pid\thit_word\tcontext\tlabel"]
    for n in range(labelled + more):
        text = unlike(n) + (PLANTED if n % 3 == 2 else "")
        label = LABEL_NAMES[2 if n % 3 == 2 else 0]
        lines.append(f"{n + 1}\tword{n % 4}\t{text}\t{label}")
    path.write_text("\n".join(lines[: labelled + 1]) + "\n")
    import_file(engine, path)
    rest = path.with_name("rest.tsv")
    rest.write_text("\n".join(line.rpartition("\t")[0] for line in [lines[0], *lines[labelled + 1 :]]) + "\n")
    import_file(engine, rest)


def open_columns(engine: Engine, settings: Settings, actor: Actor, version: str | None) -> Columns:
    columns.make(engine, settings, version=version)
    found = columns.find(engine, actor, settings, version=version)
    assert found is not None
    return found


def score(engine: Engine, sure: float, name: str = "v1") -> None:
    """Violations are those with the piece."""
    with write(engine) as conn:
        made = models.add_version(conn, name=name, run_id=None, base="b", folder=name, manifest={}, metrics={}, now=NOW)
        found = conn.execute(select(post.c.text_id, post.c.original)).all()
        rest = (1 - sure) / 2
        said = [
            Prediction(made.id, text, (rest, rest, sure) if PLANTED in words else (sure, rest, rest))
            for text, words in found
        ]
        models.add_predictions(conn, said)


def test_figures_of_a_word_are_those_of_sql(engine: Engine, settings: Settings, analyst: Actor, tmp_path: Path) -> None:
    bring(engine, tmp_path / "labels.tsv", labelled=24, more=12)
    score(engine, 0.8)
    found = wordlist.list_words(engine, analyst, open_columns(engine, settings, analyst, "v1"), PostFilter())
    with engine.connect() as conn:
        wanted = conn.exec_driver_sql(
            """
            SELECT word, count(*), count(decision.id), sum(label = 2),
                   avg(CASE WHEN decision.id IS NULL THEN p_violation END)
            FROM hit JOIN post ON post.id = hit.post_id JOIN prediction USING (text_id)
            LEFT JOIN decision ON decision.post_id = post.id
            GROUP BY word ORDER BY word
            """
        ).all()
    assert len(wanted) == 4
    by_word = sorted(found, key=lambda each: each.word)
    assert [(f.word, f.posts, f.decided, f.violations) for f in by_word] == [tuple(row[:4]) for row in wanted]
    assert np.allclose([f.expected for f in by_word], [row[4] for row in wanted])


def test_without_a_version_words_have_their_record_and_nothing_is_expected(
    engine: Engine, settings: Settings, analyst: Actor, tmp_path: Path
) -> None:
    bring(engine, tmp_path / "labels.tsv", labelled=24, more=12)
    found = wordlist.list_words(engine, analyst, open_columns(engine, settings, analyst, None), PostFilter())
    assert sum(each.decided for each in found) == 24
    assert {each.expected for each in found} == {None}


def test_list_lacks_what_decided_violations_have_and_what_the_version_is_sure_of_helps(
    engine: Engine, settings: Settings, analyst: Actor, tmp_path: Path
) -> None:
    bring(engine, tmp_path / "labels.tsv", labelled=36, more=84)
    few = wordlist.lacking_pieces(engine, analyst, open_columns(engine, settings, analyst, None), PostFilter())
    assert (few.is_enough, few.pieces, few.violations, few.others) == (False, (), 12, 24)
    score(engine, 0.8)  # not sure enough to count
    unsure = wordlist.lacking_pieces(engine, analyst, open_columns(engine, settings, analyst, "v1"), PostFilter())
    assert unsure == few
    score(engine, 0.96, "v2")
    found = wordlist.lacking_pieces(engine, analyst, open_columns(engine, settings, analyst, "v2"), PostFilter())
    assert (found.is_enough, found.violations, found.others, found.decided) == (True, 40, 80, 36)
    assert [(each.piece, each.violations, each.others) for each in found.pieces] == [(PLANTED, 40, 0)]


def test_filter_leaves_its_posts_alone(engine: Engine, settings: Settings, analyst: Actor, tmp_path: Path) -> None:
    bring(engine, tmp_path / "labels.tsv", labelled=24, more=12)
    found = open_columns(engine, settings, analyst, None)
    narrowed = wordlist.list_words(engine, analyst, found, PostFilter(words=("word1",)))
    assert [(each.word, each.posts) for each in narrowed] == [("word1", 9)]
    some = wordlist.lacking_pieces(engine, analyst, found, PostFilter(words=("word1",)))
    assert (some.violations, some.others) == (2, 4)
