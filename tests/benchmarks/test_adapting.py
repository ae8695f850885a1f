"""The halves that adapting is measured on."""

from __future__ import annotations

from tests.benchmarks.adapting import halves


def test_halves_share_no_text_and_are_the_same_in_any_order() -> None:
    rows = [(f"text {place % 90}", place % 2) for place in range(100)]  # ten of them twice
    half_a, half_b = halves(rows)
    assert {text for text, _ in half_a} | {text for text, _ in half_b} == {text for text, _ in rows}
    assert len(half_a) == len(half_b) == 45
    assert halves(rows[:90][::-1] + rows[90:]) == (half_a, half_b)
