"""The analyst's room on forums of several sizes: what each page asks for, without a filter and under twelve of them."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from datetime import timedelta

import numpy as np
from sqlalchemy import Engine

from core.calibration import error_by_class
from core.clock import utc_now
from core.distributions import BinPart, Quantity
from core.domain import Actor, Label, Role, Side
from core.post_filter import Portion, PostFilter
from core.services import changing, columns, exporting, looking, thresholding, trusting, wordlist
from core.services.columns import Columns
from core.settings import Settings
from core.sheets import SheetForm, write_sheet
from core.thresholds import Thresholds
from core.trust import FEWEST, bands, enough_of, precision_and_recall
from core.workload import expected, frontier
from db.engine import open_engine
from tests.benchmarks.aside import call_aside
from tests.benchmarks.figures import Figure, target
from tests.benchmarks.wide_forum import BEGAN, IMPORTS, kept_wide_forum
from tests.benchmarks.workshop import Workshop

TIMES = 5
MOST_S, MOST_FILTERED_S = 1.0, 3.0
VERSION, OTHER = "v2", "v1"
THRESHOLDS, JUDGED = "thresholds, with errors and frontier", "two versions on judged texts"  # they take no filter
OPERATOR = Actor(None, "benchmark", Role.lead)
LATE = (BEGAN + timedelta(weeks=IMPORTS - 4)).date()
EVERYTHING = PostFilter(
    since=(BEGAN + timedelta(weeks=2)).date(),
    until=LATE,
    words=("词2", "词3"),
    family_sizes=(1, 1_000),
    predicted=(Label.normal, Label.suspicious),
    sides=(Side.train, Side.evaluation),
    portions=(Portion.undecided, Portion.leased),
)
FILTERS = {
    "one import": PostFilter(imports=(IMPORTS // 2,)),
    "the last four weeks": PostFilter(since=LATE),
    "a frequent hit word": PostFilter(words=("词2",)),
    "a rare hit word": PostFilter(words=("词299",)),
    "one of three words, not decided": PostFilter(words=("词2", "词3", "词50"), portions=(Portion.undecided,)),
    "the busiest author": PostFilter(author="author0"),
    "families of ten or more": PostFilter(family_sizes=(10, None)),
    "decided as violations": PostFilter(labels=(Label.violation,)),
    "predicted violations, not decided": PostFilter(predicted=(Label.violation,), portions=(Portion.undecided,)),
    "the audit slice": PostFilter(sides=(Side.audit,)),
    "on cards": PostFilter(portions=(Portion.leased,)),
    "all conditions but author and import": EVERYTHING,
}
Ask = Callable[[Engine, Settings, PostFilter], object]


def measure(workshop: Workshop) -> list[Figure]:
    return [figure for posts in workshop.options.look_posts for figure in _measure(posts)]


def _measure(posts: int) -> list[Figure]:
    settings = kept_wide_forum(posts)
    shutil.rmtree(settings.columns_dir, ignore_errors=True)
    made = call_aside(make_columns, settings)
    in_all = sum(path.stat().st_size for path in settings.columns_dir.rglob("*") if path.is_file())
    engine = open_engine(settings.database_url)
    figures = [
        Figure(
            f"{posts:,} posts, columns made: time",
            made.seconds,
            "s",
            "of the posts and two versions, in another process",
        ),
        Figure(f"{posts:,} posts, columns made: longest", made.peak_mib, "MiB", "peak memory"),
        Figure(f"{posts:,} posts, columns made: files", in_all / 2**20, "MiB"),
    ]
    for name, ask in ASKED.items():
        found = _seconds(engine, settings, ask, PostFilter())
        figures += _figures(f"{posts:,} posts, {name}", found, most_s=MOST_S)
    for name, narrowed in FILTERS.items():
        by_page = {
            page: _seconds(engine, settings, ask, narrowed) for page, ask in ASKED.items() if page not in UNFILTERED
        }
        slowest = max(by_page, key=lambda page: max(by_page[page]))
        of = f"{posts:,} posts, every page of {name}"
        figures += _figures(of, by_page[slowest], most_s=MOST_FILTERED_S, note=f"slowest: {slowest}")
    engine.dispose()
    exported = call_aside(export_predictions, settings)
    return [
        *figures,
        Figure(f"{posts:,} posts, predictions as Parquet: time", exported.seconds, "s", f"{exported.value:,} bytes"),
        Figure(f"{posts:,} posts, predictions as Parquet: most", exported.peak_mib, "MiB", "peak memory"),
    ]


def make_columns(settings: Settings) -> None:
    engine = open_engine(settings.database_url)
    for version in (VERSION, OTHER):
        columns.make(engine, settings, version=version)
    engine.dispose()


def _seconds(engine: Engine, settings: Settings, ask: Ask, narrowed: PostFilter) -> list[float]:
    found = []
    for _ in range(TIMES):
        begun = time.perf_counter()
        ask(engine, settings, narrowed)
        found.append(time.perf_counter() - begun)
    return found


def _figures(name: str, seconds: list[float], *, most_s: float, note: str = "") -> list[Figure]:
    longest = max(seconds)
    return [
        Figure(f"{name}: time", float(np.median(seconds)), "s", note),
        Figure(f"{name}: longest", longest, "s", target(longest <= most_s, f"{most_s:g} s")),
    ]


def _columns(engine: Engine, settings: Settings, version: str = VERSION) -> Columns:
    found = columns.find(engine, OPERATOR, settings, version=version)
    assert found is not None
    return found


def _look(engine: Engine, settings: Settings, narrowed: PostFilter) -> None:
    found = _columns(engine, settings)
    looking.look(engine, OPERATOR, found, of=Quantity.entropy, post_filter=narrowed)


def _list(engine: Engine, settings: Settings, narrowed: PostFilter) -> None:
    found = _columns(engine, settings)
    part = BinPart(Quantity.confidence, 30, 49)
    looking.posts_behind(engine, OPERATOR, found, part=part, post_filter=narrowed, page=3)


def _try_thresholds(engine: Engine, settings: Settings, narrowed: PostFilter) -> None:
    found = thresholding.trial(engine, OPERATOR, _columns(engine, settings), version=VERSION)
    expected(found.sample, Thresholds(0.9, 0.97), rng=np.random.default_rng(1))
    frontier(found.pool, found.sample)


def _words(engine: Engine, settings: Settings, narrowed: PostFilter) -> None:
    wordlist.list_words(engine, OPERATOR, _columns(engine, settings), narrowed)


def _pieces(engine: Engine, settings: Settings, narrowed: PostFilter) -> None:
    wordlist.lacking_pieces(engine, OPERATOR, _columns(engine, settings), narrowed)


def export_predictions(settings: Settings) -> int:
    """Returns how many bytes were written."""
    engine = open_engine(settings.database_url)
    wanted = exporting.Wanted(exporting.Content.predictions, SheetForm.parquet, version=VERSION)
    sheet = exporting.open_sheet(engine, OPERATOR, wanted, settings=settings, now=utc_now())
    written = sum(len(piece) for piece in write_sheet(sheet, SheetForm.parquet))
    engine.dispose()
    return written


def _trust(engine: Engine, settings: Settings, narrowed: PostFilter) -> None:
    made = _columns(engine, settings)
    found = trusting.trust(engine, OPERATOR, made)
    seen = columns.view(engine, OPERATOR, made, narrowed)
    found = trusting.narrow(found, seen)
    if len(found) >= FEWEST:
        bands(found.proba.max(axis=1), found.said == found.truth, found.sizes)
        error_by_class(found.proba, found.truth, found.sizes)
        if enough_of(Label.violation, found.truth):
            precision_and_recall(found.proba[:, Label.violation], found.truth == Label.violation, found.sizes)
    trusting.judged_posts(engine, OPERATOR, found, truth=None, said=None, page=1, page_size=20)


def _change(engine: Engine, settings: Settings, narrowed: PostFilter) -> None:
    first, second = _columns(engine, settings, OTHER), _columns(engine, settings)
    changing.change(engine, OPERATOR, first, second, of=Quantity.violation, post_filter=narrowed)


def _flips(engine: Engine, settings: Settings, narrowed: PostFilter) -> None:
    first, second = _columns(engine, settings, OTHER), _columns(engine, settings)
    was, now = Label.normal, Label.violation
    changing.flipped_posts(engine, OPERATOR, first, second, was=was, now=now, post_filter=narrowed, page=1)


def _weeks(engine: Engine, settings: Settings, narrowed: PostFilter) -> None:
    changing.weeks(engine, OPERATOR, _columns(engine, settings), of=Quantity.violation, post_filter=narrowed)


def _compare(engine: Engine, settings: Settings, narrowed: PostFilter) -> None:
    changing.compare_judged(engine, OPERATOR, _columns(engine, settings, OTHER), _columns(engine, settings))


ASKED: dict[str, Ask] = {
    "distribution": _look,
    "posts behind two fifths of the bars": _list,
    THRESHOLDS: _try_thresholds,
    "hit words": _words,
    "what the hit words lack": _pieces,
    "trust": _trust,
    "change": _change,
    "posts that flipped": _flips,
    "weeks": _weeks,
    JUDGED: _compare,
}
UNFILTERED = (THRESHOLDS, JUDGED)
