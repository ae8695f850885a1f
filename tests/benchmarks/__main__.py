"""Runs benchmarks by name, prints their figures, and writes build/benchmarks.json."""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path

from core.settings import PROJECT_DIR
from tests.benchmarks import (
    adapting,
    cold,
    deciding,
    desk,
    families,
    first_cards,
    importing,
    labelling,
    looking,
    loop,
    machine,
    queueing,
    rescoring,
    scoring,
    searches,
    selecting,
    team,
    training,
    tuning,
)
from tests.benchmarks.figures import Figure, Outcome, Skipped, markdown, table
from tests.benchmarks.workshop import Options, Workshop

BENCHMARKS: dict[str, Callable[[Workshop], list[Figure]]] = {
    "import": importing.measure,
    "import-and-decide": deciding.measure,
    "queue": queueing.measure,
    "first-cards": first_cards.measure,
    "labelling": labelling.measure,
    "loop": loop.measure,
    "families": families.measure,
    "edits": families.measure_edits,
    "desk": desk.measure,
    "team": team.measure,
    "search": searches.measure,
    "looking": looking.measure,
    "training": training.measure,
    "scoring": scoring.measure,
    "score-and-decide": rescoring.measure,
    "selecting": selecting.measure,
    "tuning": tuning.measure,
    "cold": cold.measure,
    "adapting": adapting.measure,
}
BUILD = PROJECT_DIR / "build"


def main() -> None:
    names, options, as_markdown = _read_arguments(sys.argv[1:])
    BUILD.mkdir(exist_ok=True)
    report: dict[str, object] = {
        "begun_at": datetime.now(UTC).isoformat(timespec="seconds"),
        "device": machine.device(),
        "versions": machine.versions(),
        "options": asdict(options),
    }
    outcomes: dict[str, object] = {}
    tables = [machine.described()]
    # In build/, not in the system's temporary folder: that one may be memory, where saving costs nothing.
    with tempfile.TemporaryDirectory(dir=BUILD, prefix="benchmarks-") as folder:
        workshop = Workshop(Path(folder), options)
        for name in names:
            load = machine.load()
            sys.stdout.write(f"{name} (load {load} on {os.cpu_count()} cores)\n")
            sys.stdout.flush()
            outcome = _run(name, workshop)
            sys.stdout.write(
                (table(outcome.figures) if outcome.skipped is None else f"  skipped: {outcome.skipped}\n") + "\n"
            )
            sys.stdout.flush()
            tables.append(markdown(name, outcome))
            outcomes[name] = asdict(outcome) | {"load": load}
            _write(report | {"benchmarks": outcomes})  # after each: what is measured is not lost to what follows
    if as_markdown:
        sys.stdout.write("\n".join(tables))


def _read_arguments(arguments: Sequence[str]) -> tuple[list[str], Options, bool]:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks", description=__doc__)
    parser.add_argument("names", nargs="*", metavar="NAME", help=f"{', '.join(BENCHMARKS)}; all when none is named")
    parser.add_argument(
        "--rows", type=int, default=100_000, help="rows behind queue and labelling, texts for families (%(default)s)"
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[63_000, 630_000], help="rows for import (%(default)s)")
    parser.add_argument(
        "--import-rows", type=int, default=630_000, help="rows for import-and-decide and score-and-decide (%(default)s)"
    )
    parser.add_argument("--labels", type=int, nargs="+", default=[300, 1_000], help="sizes for cold (%(default)s)")
    parser.add_argument(
        "--starts",
        type=int,
        default=10,
        help="pools for selecting, and for tuning, which has five at most (%(default)s)",
    )
    parser.add_argument("--seeds", type=int, nargs="+", default=[1], help="samples for cold (%(default)s)")
    parser.add_argument(
        "--posts",
        type=int,
        default=175_000,
        help="in the forum of desk, team and search, and the pool of first-cards; kept in build/ (%(default)s)",
    )
    parser.add_argument(
        "--look-posts",
        type=int,
        nargs="+",
        default=[175_000, 4_000_000],
        help="in the forums of looking; kept in build/ (%(default)s)",
    )
    parser.add_argument("--markdown", action="store_true", help="print the figures once more, as tables for README.md")
    parsed = parser.parse_args(arguments)
    unknown = [name for name in parsed.names if name not in BENCHMARKS]
    if unknown:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(BENCHMARKS)}")
    fewest = min(parsed.rows, parsed.import_rows, *parsed.sizes)
    if fewest < 500:
        parser.error(f"{fewest} rows are too few to measure anything; give 500 or more")
    options = Options(
        parsed.rows,
        tuple(parsed.sizes),
        parsed.import_rows,
        tuple(parsed.labels),
        tuple(parsed.seeds),
        parsed.posts,
        parsed.starts,
        tuple(parsed.look_posts),
    )
    return parsed.names or list(BENCHMARKS), options, parsed.markdown


def _run(name: str, workshop: Workshop) -> Outcome:
    try:
        return Outcome(BENCHMARKS[name](workshop))
    except Skipped as reason:
        return Outcome(skipped=str(reason))


def _write(report: dict[str, object]) -> None:
    """Written aside and renamed: a reader never finds half a file."""
    target = BUILD / "benchmarks.json"
    partial = target.with_suffix(".partial")
    partial.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    partial.rename(target)


if __name__ == "__main__":
    main()
