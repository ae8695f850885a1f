"""Searching as the page does, by text, pid, author, hit word, label and several at once, for what stands in posts."""

from __future__ import annotations

import random
import re
import time
from collections.abc import Callable, Sequence

from sqlalchemy import Engine, func, select

from core.domain import Label
from core.services import searching
from core.services.searching import Query
from db.engine import read
from db.tables import distinct_text, hit, post
from tests.benchmarks.figures import BenchmarkFailed, Figure, percentile_ms, target
from tests.benchmarks.forum import OPERATOR, kept_forum, opened
from tests.benchmarks.workshop import Workshop

EACH = 20  # searches of each kind
LIMIT = 51  # a page of the list, and one more
MANY = 500_000  # posts, from which on a search may take longer
MOST_MS, MOST_MS_OF_MANY = 200, 1_000
RUN = re.compile(r"[\u4e00-\u9fff]{8,}")
Sample = tuple[str, str | None, str | None, str]  # text, pid, author, hit word


def measure(workshop: Workshop) -> list[Figure]:
    with opened(kept_forum(workshop.options.posts)) as engine:
        with read(engine) as conn:
            count = conn.execute(select(func.count()).select_from(post)).scalar_one()
        most_ms = MOST_MS if count < MANY else MOST_MS_OF_MANY
        figures = [Figure("searched", count, "posts", f"{EACH} searches of each kind")]
        samples = _samples(engine)
        for name, ask in KINDS.items():
            figures += _figures(name, engine, [ask(sample) for sample in samples], most_ms)
    return figures


def _samples(engine: Engine) -> list[Sample]:
    """What stands in posts from all over the forum; the same ones each time."""
    rng, samples = random.Random(5), list[Sample]()
    columns = distinct_text.c.body, post.c.pid, post.c.author, hit.c.word
    joined = select(*columns).join(post, post.c.text_id == distinct_text.c.id).join(hit, hit.c.post_id == post.c.id)
    with read(engine) as conn:
        newest = conn.execute(select(func.max(post.c.id))).scalar_one()
        for _ in range(100 * EACH):
            row = conn.execute(joined.where(post.c.id == rng.randint(1, newest)).limit(1)).one_or_none()
            if row is not None and RUN.search(row.body) and row.author and row.word:
                samples.append((row.body, row.pid, row.author, row.word))
            if len(samples) == EACH:
                return samples
    raise BenchmarkFailed(f"Of {newest:,} posts only {len(samples)} were fit to be searched for.")


def _words(sample: Sample, length: int) -> str:
    found = RUN.search(sample[0])
    assert found is not None
    return found.group()[:length]


KINDS: dict[str, Callable[[Sample], Query]] = {
    "two characters": lambda sample: Query(text=_words(sample, 2)),
    "four characters": lambda sample: Query(text=_words(sample, 4)),
    "eight characters": lambda sample: Query(text=_words(sample, 8)),
    "text that nobody wrote": lambda sample: Query(text=_words(sample, 3) + "鼍龘"),
    "pid": lambda sample: Query(pid=sample[1]),
    "author": lambda sample: Query(author=sample[2]),
    "unknown author": lambda sample: Query(author=f"{sample[2]} x"),
    "hit word": lambda sample: Query(hit_word=sample[3]),
    "unknown hit word": lambda sample: Query(hit_word=f"{sample[3]} x"),
    "label": lambda sample: Query(label=Label.violation),
    "decided": lambda sample: Query(is_decided=True),
    "how sure the model is": lambda sample: Query(confidence=(0.34, 0.36)),
    "two characters and label": lambda sample: Query(text=_words(sample, 2), label=Label.violation),
    "two characters and author": lambda sample: Query(text=_words(sample, 2), author=sample[2]),
    "hit word, undecided, unsure": lambda sample: Query(hit_word=sample[3], is_decided=False, confidence=(0.33, 0.5)),
    "hit word and label": lambda sample: Query(hit_word=sample[3], label=Label.violation),
}


def _figures(name: str, engine: Engine, queries: Sequence[Query], most_ms: int) -> list[Figure]:
    seconds, counts = [], []
    for query in queries:
        begun = time.perf_counter()
        counts.append(len(searching.find(engine, OPERATOR, query, limit=LIMIT)))
        seconds.append(time.perf_counter() - begun)
    p95 = percentile_ms(seconds, 95)
    return [
        Figure(f"{name}: median", percentile_ms(seconds, 50), "ms", f"{sum(counts) / EACH:.0f} posts on average"),
        Figure(f"{name}: 95th percentile", p95, "ms", target(p95 < most_ms, f"under {most_ms} ms")),
        Figure(f"{name}: longest", max(seconds) * 1_000, "ms"),
    ]
