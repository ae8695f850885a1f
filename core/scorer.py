"""Scoring the pool: texts are read and tokenised ahead and predictions stored behind, while the model works.

Memory holds three windows of texts, however large the pool is.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt
from sqlalchemy import Engine

from core.clock import utc_now
from core.context import Context
from core.domain import ModelVersion
from core.exploration import representatives
from core.learning.tokens import TokenCache, key_of
from core.loading import checked, load_on_all_devices, prepare_libraries
from core.services import queueing, scoring
from core.services.scoring import Score
from core.wording import N_, _

if TYPE_CHECKING:
    from core.learning.versions import Classifier

Ids = npt.NDArray[np.int64]

FIRST_TEXTS = 2_048  # drawn from the whole pool, so that the first renewal of the queue is no view of its oldest part
WINDOW = 16_384  # texts that are sorted by length together; next to one another in the database
STORED_AT_ONCE = 1_000  # some 15 ms of writing
SHORTLIST = 20_000  # texts that exploration looks at
EXPLORING_S = 60.0  # that it may take about; a slow device looks at fewer
FEWEST_EXPLORED = 1_000
ENOUGH_FOR_A_PACE = 512  # texts
STORE_EVERY_S = 2.0  # what a killed process may have to score again

Report = Callable[[int], None]  # texts that are stored


@dataclass(frozen=True, slots=True)
class _Window:
    """Parallel: ids of texts, their hashes, and what the model reads."""

    ids: list[int]
    hashes: list[str]
    encoded: Sequence[Any]


def score_pool(context: Context) -> dict[str, object]:
    """Score what the version has not scored yet; the queue is renewed whenever the scored part has doubled."""
    prepare_libraries()
    context.report(N_("preparing"), 0, None, N_("loading the libraries"))
    version = scoring.version_to_score(context.engine, str(context.run.config["version"]))
    share = float(str(context.run.config.get("share", 1.0)))
    rng = np.random.default_rng(context.run.id)
    text_ids = scoring.texts_to_score(context.engine, version, share=share, rng=rng)
    context.report(N_("preparing"), 0, len(text_ids), _("loading {version}").format(version=version.name))
    with (
        load_on_all_devices(context.settings, context.settings.versions_dir / version.folder) as classifier,
        _Renewing(context, total=len(text_ids)) as renewing,
    ):
        begun = time.monotonic()
        done = score_texts(
            context.engine,
            version,
            classifier,
            text_ids,
            cache=classifier.open_cache(context.settings.tokens_dir),
            rng=rng,
            report=renewing,
        )
        pace = round(done / (time.monotonic() - begun), 2)
        _renew(context, done)
        if scoring.is_unexplored(context.engine, version, new=done):
            _explore(context, version, classifier, most=round(pace * EXPLORING_S), rng=rng)
            _renew(context, done)
    measured = {scoring.PACE: pace} if done >= ENOUGH_FOR_A_PACE else {}
    return {"version": version.name, "scored": done, **measured}


def _renew(context: Context, done: int) -> None:
    context.report(N_("renewing the queue"), done, done, "")
    queueing.renew_queue(context.engine, now=utc_now())


def _explore(
    context: Context, version: ModelVersion, classifier: Classifier, *, most: int, rng: np.random.Generator
) -> None:
    """Look which kinds of posts there are, on as many as that takes a while for, and no more than are of use."""
    context.report(N_("looking for kinds of posts"), 0, None, "")
    drawn = scoring.draw_shortlist(context.engine, version, most=min(SHORTLIST, max(FEWEST_EXPLORED, most)), rng=rng)
    found = scoring.texts_by_id(context.engine, drawn)
    kinds = representatives(classifier.embed([body for _id, _hash, body in found]), rng=rng)
    scoring.store_exploration(context.engine, version, [found[place][0] for place in kinds])


class _Renewing:
    """Reports progress, and renews the queue beside the scoring whenever the scored part has doubled."""

    def __init__(self, context: Context, *, total: int) -> None:
        self._context, self._total = context, total
        self._begun, self._next_at = time.monotonic(), FIRST_TEXTS
        self._aside = ThreadPoolExecutor(1, "renewing")
        self._renewal: Future[int] | None = None

    def __enter__(self) -> _Renewing:
        return self

    def __exit__(self, *_err: object) -> None:
        self._aside.shutdown()

    def __call__(self, done: int) -> None:
        pace = _("{count} texts/s").format(count=f"{done / (time.monotonic() - self._begun):,.1f}")
        self._context.report(N_("scoring"), done, self._total, pace)
        if self._next_at <= done < self._total and (self._renewal is None or self._renewal.done()):
            if self._renewal is not None:
                self._renewal.result()
            self._renewal = self._aside.submit(queueing.renew_queue, self._context.engine, now=utc_now())
            self._next_at = done * 2


def score_texts(
    engine: Engine,
    version: ModelVersion,
    classifier: Classifier,
    text_ids: Ids,
    *,
    cache: TokenCache | None,
    rng: np.random.Generator,
    report: Report = lambda done: None,
) -> int:
    """Score each of these texts once and store it, some at a time; returns how many were.

    text_ids: (n_texts,), ascending. Texts that are removed meanwhile are left out. An exception of report ends the
    work; what is scored by then is stored.
    """
    windows = windows_of(text_ids, rng)
    storing = _Storing(engine, version, report)
    with ThreadPoolExecutor(1, "reading") as reader, storing:
        ahead: Future[_Window] | None = None
        for place, window_ids in enumerate(windows):
            window = (ahead or reader.submit(_read, engine, window_ids, classifier, cache)).result()
            following = windows[place + 1] if place + 1 < len(windows) else None
            ahead = None if following is None else reader.submit(_read, engine, following, classifier, cache)
            for places, logits in classifier.stream(window.encoded):
                proba = checked(classifier.corrected(logits)).tolist()
                storing.add(
                    [
                        Score(window.ids[place], window.hashes[place], (row[0], row[1], row[2]))
                        for place, row in zip(places, proba, strict=True)
                    ]
                )
    return storing.done


def windows_of(text_ids: Ids, rng: np.random.Generator) -> list[Ids]:
    """A draw from all of them first; then runs of ids, each ascending, in no order."""
    is_first = np.zeros(len(text_ids), dtype=np.bool_)
    is_first[rng.choice(len(text_ids), min(FIRST_TEXTS, len(text_ids)), replace=False)] = True
    rest = text_ids[~is_first]
    runs = [rest[start : start + WINDOW] for start in range(0, len(rest), WINDOW)]
    drawn = [text_ids[is_first], *(runs[place] for place in rng.permutation(len(runs)))]
    return [window for window in drawn if len(window)]


def _read(engine: Engine, text_ids: Ids, classifier: Classifier, cache: TokenCache | None) -> _Window:
    found = scoring.texts_by_id(engine, text_ids.tolist())
    ids, hashes, bodies = [row[0] for row in found], [row[1] for row in found], [row[2] for row in found]
    if cache is None:
        return _Window(ids, hashes, classifier.encode(bodies))
    keys = np.array([key_of(text_hash) for text_hash in hashes], dtype=np.uint64)
    encoded = cache.find(keys)
    new = [place for place, known in enumerate(encoded) if known is None]
    for place, made in zip(new, cache.add(keys[new], classifier.encode([bodies[at] for at in new])), strict=True):
        encoded[place] = made
    return _Window(ids, hashes, encoded)


class _Storing:
    """Collects scores and stores them from a thread of its own, one short transaction at a time."""

    def __init__(self, engine: Engine, version: ModelVersion, report: Report) -> None:
        self.done = 0
        self._engine, self._version, self._report = engine, version, report
        self._waiting: list[Score] = []
        self._stored_at = time.monotonic()
        self._writer = ThreadPoolExecutor(1, "storing")
        self._writing: Future[None] | None = None

    def __enter__(self) -> _Storing:
        return self

    def __exit__(self, *_err: object) -> None:
        """Whatever ended the work: what is scored is not to be scored again."""
        with self._writer:
            self._finish_writing()
            while self._waiting:
                self._store_some()
                self._finish_writing()

    def add(self, scores: list[Score]) -> None:
        self._waiting += scores
        now = time.monotonic()
        if len(self._waiting) < STORED_AT_ONCE and now - self._stored_at < STORE_EVERY_S:
            return
        while self._waiting:
            self._finish_writing()
            self._store_some()
        self._stored_at = now
        self._report(self.done)

    def _store_some(self) -> None:
        some, self._waiting = self._waiting[:STORED_AT_ONCE], self._waiting[STORED_AT_ONCE:]
        self._writing = self._writer.submit(scoring.store_scores, self._engine, self._version, some)
        self.done += len(some)

    def _finish_writing(self) -> None:
        if self._writing is not None:
            writing, self._writing = self._writing, None
            writing.result()
