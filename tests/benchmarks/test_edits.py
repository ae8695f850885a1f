"""Near-copies among real posts: copies with a few characters changed join their original's family."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.benchmarks.families import measure_edits
from tests.benchmarks.figures import Skipped
from tests.benchmarks.workshop import Options, Workshop

LEAST_IN_ONE_FAMILY = {1: 0.99, 2: 0.99, 3: 0.88, 4: 0.55, 5: 0.25}  # beyond two edits of 40 characters many differ


@pytest.mark.slow  # only for what it reads: a data set that is not always there
def test_edited_copies_of_real_posts_are_found_where_they_are_similar_enough(tmp_path: Path) -> None:
    try:
        figures = {figure.name: figure for figure in measure_edits(Workshop(tmp_path, Options(0, (), 0, (), ())))}
    except Skipped as why:
        pytest.skip(str(why))
    for edits, least in LEAST_IN_ONE_FAMILY.items():
        name = f"{edits} edit{'s' * (edits > 1)}: in one family"
        assert figures[name].value >= least
        assert float(figures[name].note.partition("%")[0]) >= 99.5  # of those that are 0.7 similar
    together = figures["posts in another's family"]
    assert together.value < 30, "few comments are copies of one another"
