"""A run on a page: how long the rest takes."""

from __future__ import annotations

from datetime import timedelta

from ui.run_view import time_left

MINUTE = timedelta(minutes=1)


def test_time_left_follows_the_pace_of_the_stage_alone() -> None:
    assert time_left(MINUTE, done=50, left=150) == 3 * MINUTE


def test_time_left_is_not_guessed_from_next_to_nothing() -> None:
    assert time_left(MINUTE, done=1, left=199) is None
    assert time_left(MINUTE, done=0, left=0) is None
