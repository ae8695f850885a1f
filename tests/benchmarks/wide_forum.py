"""A forum of millions of posts, written straight into the real schema: made once, and kept in build/.

Texts are short and made up, so that it is made in minutes; what is looked at by columns never reads them but for a page
of a list. Everything is drawn from one seed.
"""

from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import numpy as np
from sqlalchemy import Connection, Engine, insert

from core.domain import Role, RunKind, RunStatus, Side
from core.settings import PROJECT_DIR, Settings, read_settings
from db import models, runs
from db.engine import insert_rows, migrate, open_engine, write_unseen
from db.tables import decision, distinct_text, family_place, hit, lease, post, prediction, run
from tests.conftest import add_user

SEED = 17
IMPORTS = 26  # one a week
BEGAN = datetime(2026, 1, 5, 9, tzinfo=UTC)
WORDS = 300
TEMPLATES = 300  # families; an eighth of the posts are of one of them
DECIDED_SHARE, MOST_DECIDED = 0.1, 60_000
LEASED = 200
AUTHORS_SHARE = 0.05  # of the posts: so many authors, some of them busy
AT_ONCE = 50_000
VERSIONS = {"v1": 0.7, "v2": 1.0}  # how much of its concentration each kind of post keeps
KINDS = ((9.0, 0.9, 0.6), (1.2, 4.0, 1.0), (0.5, 0.8, 6.0))  # of probabilities: mostly normal, suspicious, violations
KIND_SHARES = (0.92, 0.05, 0.03)
SIDES = (Side.train, Side.evaluation, Side.audit)
FORM = 2  # of what is made; raised where another forum is to be made


def kept_wide_forum(posts: int) -> Settings:
    """The forum with so many posts; makes it if build/ does not hold it."""
    folder = PROJECT_DIR / "build" / f"wide-forum-{posts}-{FORM}"
    settings = read_settings({"TIEBREAK_HOME": str(folder), "HF_HOME": str(folder / "hf")})
    if not (folder / "forum.json").exists():
        shutil.rmtree(folder, ignore_errors=True)
        settings.data_dir.mkdir(parents=True)
        sys.stderr.write(f"making a forum of {posts:,} posts in {folder}; it is kept there\n")
        _make(settings, posts)
        (folder / "forum.json").write_text(json.dumps({"posts": posts}) + "\n")
    engine = open_engine(settings.database_url)
    migrate(engine, backups_dir=settings.backups_dir)
    engine.dispose()
    return settings


def _make(settings: Settings, posts: int) -> None:
    engine = open_engine(settings.database_url)
    migrate(engine, backups_dir=settings.backups_dir)
    rng = np.random.default_rng(SEED)
    imports = _add_imports(engine)
    with write_unseen(engine) as conn:
        _add_posts(conn, posts, imports, rng)
        _add_hits(conn, posts, imports, rng)
        _add_versions(conn, posts, rng)
    _decide(engine, posts, rng)
    with engine.connect() as conn:
        conn.exec_driver_sql("COMMIT")
        conn.exec_driver_sql("ANALYZE")
        conn.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")
    engine.dispose()


def _add_imports(engine: Engine) -> list[int]:
    found = []
    with write_unseen(engine) as conn:
        for week in range(IMPORTS):
            now = BEGAN + timedelta(weeks=week)
            config: dict[str, object] = {"name": f"week-{week + 1}.tsv", "path": ""}
            made = runs.add_run(conn, kind=RunKind.importing, config=config, created_by="benchmark", now=now)
            runs.finish_run(conn, made.id, status=RunStatus.succeeded, now=now)
            conn.execute(run.update().where(run.c.id == made.id).values(published_at=now, started_at=now))
            found.append(made.id)
    return found


def _import_of(numbers: np.ndarray, posts: int, imports: list[int]) -> list[int]:
    return [imports[place] for place in (numbers * IMPORTS // (posts + 1)).tolist()]


def _chunks(count: int) -> Iterator[np.ndarray]:
    return (np.arange(start, min(start + AT_ONCE, count)) + 1 for start in range(0, count, AT_ONCE))


def _add_posts(conn: Connection, posts: int, imports: list[int], rng: np.random.Generator) -> None:
    """Post n has text n; an eighth are near-copies of one of the first texts."""
    authors = max(10, int(posts * AUTHORS_SHARE))
    for ids in _chunks(posts):
        sides = rng.choice(3, size=len(ids), p=(0.78, 0.2, 0.02)).tolist()
        listed = ids.tolist()
        texts = [
            (n, f"{n:032x}", f"{n:032x}", f"帖子第 {n} 号，说了些什么，{n * 7919 % 100_003}", SIDES[side].value)
            for n, side in zip(listed, sides, strict=True)
        ]
        insert_rows(conn, distinct_text, ("id", "hash", "normal_hash", "body", "side"), texts)
        copies = np.where(
            (rng.random(len(ids)) < 1 / 8) & (ids > TEMPLATES), rng.zipf(1.3, len(ids)) % TEMPLATES + 1, ids
        )
        insert_rows(
            conn,
            family_place,
            ("text_id", "representative_id"),
            list(zip(listed, copies.tolist(), strict=True)),
        )
        by = (rng.random(len(ids)) ** 3 * authors).astype(int).tolist()  # some write much
        insert_rows(
            conn,
            post,
            ("id", "pid", "text_id", "import_id", "original", "author", "author_id", "ip", "extra"),
            [
                (
                    n,
                    str(10_000_000 + n),
                    n,
                    import_id,
                    f"帖子第 {n} 号",
                    f"author{author}",
                    str(author),
                    "192.0.2.1",
                    "{}",
                )
                for n, import_id, author in zip(listed, _import_of(ids, posts, imports), by, strict=True)
            ],
        )


def _add_hits(conn: Connection, posts: int, imports: list[int], rng: np.random.Generator) -> None:
    for ids in _chunks(posts):
        listed = ids.tolist()
        of_import = _import_of(ids, posts, imports)
        words = (rng.zipf(1.25, size=(len(ids), 2)) % WORDS).tolist()
        rows = [
            (n, place, f"词{word}", import_id, n, "……")
            for n, import_id, of_post in zip(listed, of_import, words, strict=True)
            for place, word in enumerate(dict.fromkeys(of_post))
        ]
        insert_rows(conn, hit, ("post_id", "fingerprint", "word", "import_id", "place", "excerpt"), rows)


def _add_versions(conn: Connection, posts: int, rng: np.random.Generator) -> None:
    """Two versions that have scored everything: the second like the first, and a little surer."""
    made = [
        models.add_version(conn, name=name, run_id=None, base="none", folder=name, manifest={}, metrics={}, now=BEGAN)
        for name in VERSIONS
    ]
    models.promote(conn, made[1].id, promoted_by="benchmark", now=BEGAN)
    columns = ("version_id", "text_id", "p_normal", "p_suspicious", "p_violation")
    seed = int(rng.integers(1 << 30))
    for version, kept in zip(made, VERSIONS.values(), strict=True):
        drawn = np.random.default_rng(seed)  # alike, so that posts are alike in both
        for ids in _chunks(posts):
            kinds = np.array(KINDS)[drawn.choice(len(KINDS), size=len(ids), p=KIND_SHARES)]
            parts = drawn.standard_gamma(kinds * kept) + 1e-9
            proba = (parts / parts.sum(axis=1, keepdims=True)).astype(np.float32).tolist()
            rows = [(version.id, n, *row) for n, row in zip(ids.tolist(), proba, strict=True)]
            insert_rows(conn, prediction, columns, rows)


def _decide(engine: Engine, posts: int, rng: np.random.Generator) -> None:
    """By one moderator, mostly as the second version has it; some cards are in another's hands."""
    person, holder = (add_user(engine, name, Role.moderator, now=BEGAN) for name in ("first", "second"))
    count = min(int(posts * DECIDED_SHARE), MOST_DECIDED)
    drawn = rng.choice(posts, size=count + LEASED, replace=False) + 1
    now = BEGAN + timedelta(weeks=IMPORTS)
    with write_unseen(engine) as conn:
        source_id = conn.exec_driver_sql("SELECT id FROM source WHERE user_id = ?", (person.user_id,)).scalar_one()
        said = dict(
            conn.exec_driver_sql(
                "SELECT text_id, CASE WHEN p_normal >= p_suspicious AND p_normal >= p_violation THEN 0"
                " WHEN p_suspicious >= p_violation THEN 1 ELSE 2 END FROM prediction JOIN model_version ON"
                " model_version.id = version_id WHERE name = 'v2' AND text_id IN (SELECT value FROM json_each(?))",
                (json.dumps(drawn.tolist()),),
            ).all()
        )
        is_other = rng.random(count) < 0.15
        labels = [
            int(rng.integers(3)) if other else said[n]
            for n, other in zip(drawn[:count].tolist(), is_other, strict=True)
        ]
        stamp = now.replace(tzinfo=None).isoformat(sep=" ")
        insert_rows(
            conn,
            decision,
            ("post_id", "text_id", "source_id", "label", "model_view", "decided_at", "settles", "is_check"),
            [
                (n, n, source_id, label, "hidden", stamp, 0, 0)
                for n, label in zip(drawn[:count].tolist(), labels, strict=True)
            ],
        )
        for place, n in enumerate(drawn[count:].tolist()):
            values = {
                "post_id": n, "user_id": holder.user_id, "claimed_at": now, "expires_at": now + timedelta(days=365),
                "reason": "uncertain", "rank": place,
            }  # fmt: skip
            conn.execute(insert(lease).values(values))
