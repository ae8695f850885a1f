"""Deciding while imports run, of new posts and of a longer export of known ones: how long four moderators wait for a
decision to be saved, beside a calm minute."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from multiprocessing.synchronize import Event

from sqlalchemy import Engine

from core.clock import utc_now
from core.domain import Actor, Label, Role
from core.services.desk import TEXT_CHANGED
from core.services.queueing import renew_queue
from core.settings import Settings
from db.cards import Card
from db.engine import open_engine
from tests.benchmarks.command import Watched, import_by_command
from tests.benchmarks.exports import SEED, Export, write_export, write_first_rows
from tests.benchmarks.figures import BenchmarkFailed, Figure, percentile_ms, target
from tests.benchmarks.importing import require_all
from tests.benchmarks.labelling import HELD, bare_table, insert_bare, seconds_of, sync
from tests.benchmarks.workshop import Workshop
from tests.conftest import add_user
from tests.core.services.conftest import decide

MODERATORS = 4
FIRST_ROWS = 20_000  # of the export whose posts are decided
OTHER_PIDS = 500_000_001  # of the one that is imported meanwhile
LONGER_PIDS = 900_000_001  # of the one of which an earlier export had the first row of each post
CALM_S = 60.0
BETWEEN_S = (0.5, 1.0)  # two decisions of one moderator
MOST_MS = 250  # at the 99th percentile
READY_WITHIN_S = 60


@dataclass(frozen=True, slots=True)
class Saving:
    """One decision saved, and a bare insert after it. begun: on the monotonic clock, the same for all processes."""

    begun: float
    sync_s: float
    insert_s: float


def measure(workshop: Workshop) -> list[Figure]:
    rows = workshop.options.import_rows
    settings = workshop.pool("deciding", rows=FIRST_ROWS)
    export = write_export(workshop.folder / "meanwhile.tsv", rows=rows, seed=SEED + 1, first_pid=OTHER_PIDS)
    longer = write_export(workshop.folder / "longer.tsv", rows=rows, seed=SEED + 2, first_pid=LONGER_PIDS)
    shorter = workshop.folder / "shorter.tsv"
    write_first_rows(shorter, longer)
    import_by_command(settings, shorter)
    engine = open_engine(settings.database_url)
    renew_queue(engine, now=utc_now(), seed=SEED)
    people = [add_user(engine, f"mo{number}", Role.moderator) for number in range(MODERATORS)]
    engine.dispose()
    with at_work(settings, people) as shift:
        calm_from = time.monotonic()
        time.sleep(CALM_S)
        new = import_by_command(settings, export.path)
        again = import_by_command(settings, longer.path)
        savings = shift.end()
    require_all(new, export)
    _require_longer(again, longer)
    for path in (export.path, longer.path, shorter):
        path.unlink()
    calm = [saving for saving in savings if calm_from <= saving.begun < new.begun]
    return [
        *figures_of("no import", calm),
        *_meanwhile("import of new posts", new, rows, savings),
        *_meanwhile("import of a longer export", again, rows, savings),
    ]


def _require_longer(imported: Watched, export: Export) -> None:
    found = tuple(imported.counts[name] for name in ("rows", "rejected"))
    if found != (export.rows, export.rejected) or not imported.counts["posts_changed"]:
        raise BenchmarkFailed(f"The longer export has {export.rows:,} rows; the import made {imported.counts} of it.")


def _meanwhile(when: str, imported: Watched, rows: int, savings: Sequence[Saving]) -> list[Figure]:
    meanwhile = [saving for saving in savings if imported.begun <= saving.begun < imported.ended]
    changed = imported.counts["posts_changed"]
    return [
        Figure(when, imported.seconds, "s", f"{rows:,} rows, {changed:,} posts changed, {MODERATORS} moderators"),
        Figure(f"{when}, speed", rows / imported.seconds, "rows/s"),
        *figures_of(f"during the {when}", meanwhile, most_ms=MOST_MS),
        *longest_by_stage(when, meanwhile, imported),
    ]


def figures_of(when: str, savings: Sequence[Saving], *, most_ms: int | None = None) -> list[Figure]:
    if len(savings) < 2:
        raise BenchmarkFailed(f"Only {len(savings)} decisions fell into the time of {when!r}; give more rows.")
    syncs, inserts = [saving.sync_s for saving in savings], [saving.insert_s for saving in savings]
    p99 = percentile_ms(syncs, 99)
    note = "" if most_ms is None else target(p99 < most_ms, f"under {most_ms} ms")
    return [
        Figure(f"{when}: decisions", len(savings), "", f"{HELD} cards at each page"),
        Figure(f"{when}: decision and new card, median", percentile_ms(syncs, 50), "ms"),
        Figure(f"{when}: decision and new card, 95th percentile", percentile_ms(syncs, 95), "ms"),
        Figure(f"{when}: decision and new card, 99th percentile", p99, "ms", note),
        Figure(f"{when}: decision and new card, longest", max(syncs) * 1_000, "ms"),
        Figure(f"{when}: bare insert and commit, median", percentile_ms(inserts, 50), "ms", "in a file of its own"),
        Figure(f"{when}: bare insert and commit, 99th percentile", percentile_ms(inserts, 99), "ms"),
    ]


def longest_by_stage(when: str, savings: Sequence[Saving], watched: Watched) -> list[Figure]:
    """Where in the run the longest waits began: a stage that holds the writer shows here."""
    by_stage: dict[str, list[float]] = {stage: [] for stage in watched.stages}
    for saving in savings:
        stage = next(span.stage for span in watched.spans if saving.begun < span.ended)
        by_stage[stage].append(saving.sync_s)
    return [
        Figure(f"{when}, during stage {stage}: longest", max(syncs) * 1_000, "ms", f"of {len(syncs)} decisions")
        for stage, syncs in by_stage.items()
        if syncs
    ]


# --- moderators ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Shift:
    """Moderators at work, each in a process of its own."""

    processes: list[SpawnProcess]
    pipes: list[Connection]
    closing_time: Event

    def wait_until_ready(self) -> None:
        for pipe in self.pipes:
            self._receive(pipe, within_s=READY_WITHIN_S)

    def end(self) -> list[Saving]:
        """Send everybody home; returns what they saved."""
        self.closing_time.set()
        return [saving for pipe in self.pipes for saving in self._receive(pipe, within_s=READY_WITHIN_S)]

    def _receive(self, pipe: Connection, *, within_s: float) -> list[Saving]:
        try:
            if wait([pipe], within_s):
                return pipe.recv()
        except EOFError as err:
            raise BenchmarkFailed("A moderator's process ended early; its traceback stands above.") from err
        raise BenchmarkFailed(f"A moderator's process said nothing for {within_s} s.")


@contextmanager
def at_work(settings: Settings, people: Sequence[Actor]) -> Iterator[_Shift]:
    """Moderators who hold their first cards and have begun to decide."""
    spawning = get_context("spawn")
    closing_time = spawning.Event()
    processes, pipes = [], []
    for person in people:
        ours, theirs = spawning.Pipe(duplex=False)
        process = spawning.Process(target=moderate, args=(settings, person, closing_time, theirs), daemon=True)
        process.start()
        theirs.close()  # else the end of the process would not end the pipe
        processes.append(process)
        pipes.append(ours)
    shift = _Shift(processes, pipes, closing_time)
    try:
        shift.wait_until_ready()
        yield shift
    finally:
        for process in processes:
            process.terminate()  # only an interrupted benchmark leaves one running
            process.join()


def moderate(settings: Settings, person: Actor, closing_time: Event, pipe: Connection) -> None:
    """Decide a card each half to whole second until closing time; sends [] when ready, in the end what was saved."""
    rng = random.Random(person.name)
    engine = open_engine(settings.database_url)
    with closing(bare_table(settings.data_dir / f"bare-{person.name}.db")) as bare:
        cards = list(sync(engine, person, (), holding=(), today=utc_now()).cards)
        savings: list[Saving] = []
        pipe.send(savings)
        while not closing_time.wait(rng.uniform(*BETWEEN_S)):
            if not cards:
                raise BenchmarkFailed(f"There are no cards left for {person.name} to decide; nothing can be measured.")
            begun = time.monotonic()
            cards = _decide_first(engine, person, cards, number=len(savings))
            saved = time.monotonic()
            savings.append(Saving(begun, saved - begun, seconds_of(lambda: insert_bare(bare))))
        pipe.send(savings)
    engine.dispose()


def _decide_first(engine: Engine, person: Actor, cards: Sequence[Card], *, number: int) -> list[Card]:
    """Save a decision on the first card; returns the cards that are held then.

    A longer export changes posts that are on cards: those are to be read again, and leave the moderator's hands here.
    """
    press, rest = decide(cards[0], Label(number % len(Label))), cards[1:]
    answer = sync(engine, person, (press,), holding=[card.lease.id for card in rest], today=utc_now())
    is_changed = [refusal.reason for refusal in answer.refused] == [TEXT_CHANGED]
    if answer.acked != [press.id] and not is_changed:
        raise BenchmarkFailed(f"A decision was not saved: {answer.refused}")
    return [card for card in rest if card.lease.id not in answer.lost] + answer.cards
