"""The gold label of a post depends on the order in which its sources spoke only between leads who settled it."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.domain import Label, SourceKind, SourceTrust
from core.gold import Vote, gold_label

kinds, labels = st.sampled_from(SourceKind), st.sampled_from(Label)
votes = st.lists(st.builds(Vote, kinds, labels), max_size=7)
any_votes = st.lists(st.builds(Vote, kinds, labels, st.sampled_from(SourceTrust), st.booleans()), max_size=7)


@given(any_votes, st.randoms())
def test_order_of_the_votes_does_not_matter(said: list[Vote], chance: object) -> None:
    shuffled = [vote for vote in said if not vote.settles]
    chance.shuffle(shuffled)  # type: ignore[attr-defined]
    settling = [vote for vote in said if vote.settles]
    assert gold_label([*shuffled, *settling]) is gold_label([*settling, *shuffled]) is gold_label(said)


@given(votes)
def test_files_are_not_heard_once_a_person_has_spoken(said: list[Vote]) -> None:
    people = [vote for vote in said if vote.kind is SourceKind.person]
    if people:
        assert gold_label(said) is gold_label(people)


@given(votes)
def test_gold_label_has_more_votes_than_any_other(said: list[Vote]) -> None:
    gold = gold_label(said)
    heard = SourceKind.person if any(vote.kind is SourceKind.person for vote in said) else SourceKind.file
    counted = Counter(vote.label for vote in said if vote.kind is heard)
    most = max(counted.values(), default=0)
    leaders = [label for label, count in counted.items() if count == most]
    assert gold is (leaders[0] if len(leaders) == 1 else None)


@pytest.mark.parametrize("label", Label)
@pytest.mark.parametrize("kind", SourceKind)
def test_single_voice_is_the_gold_label(kind: SourceKind, label: Label) -> None:
    assert gold_label([Vote(kind, label)]) is label


def test_tie_of_two_leaders_over_a_third_is_no_majority() -> None:
    person = SourceKind.person
    said = [Vote(person, Label(label)) for label in (0, 0, 2, 2, 1)]
    assert gold_label(said) is None
    assert gold_label([*said, Vote(person, Label.violation)]) is Label.violation


@given(any_votes)
def test_suggestions_change_nothing(said: list[Vote]) -> None:
    assert gold_label(said) is gold_label(vote for vote in said if vote.trust is not SourceTrust.suggestion)


@given(any_votes, labels)
def test_what_a_lead_settled_last_stands_above_everything(said: list[Vote], label: Label) -> None:
    others = [vote for vote in said if not vote.settles]
    assert gold_label([*said, Vote(SourceKind.person, label, settles=True), *others]) is label


@given(any_votes, labels, kinds)
def test_trusted_source_stands_above_all_that_are_not(said: list[Vote], label: Label, kind: SourceKind) -> None:
    others = [vote for vote in said if not vote.settles and vote.trust is not SourceTrust.trusted]
    assert gold_label([*others, Vote(kind, label, SourceTrust.trusted)]) is label
