"""Sources of decisions: suggestions decide nothing, disagreements are listed, and what a lead settles stands."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sqlalchemy import Engine

from core.domain import Actor, Label, Role, RunStatus, SourceTrust
from core.errors import BadInput, Conflict, NotAllowed, NotFound
from core.services import annotation, building, cases, importing, previewing, queueing, rating, training
from core.services.cases import Pile
from core.services.importing import ImportRequest
from core.services.status import status_of
from db import decisions, golds, queue, runs
from db.engine import read, write
from db.tables import audit_log, decision, post, source
from tests.conftest import NOW, rows
from tests.core.services.conftest import OPERATOR, decide, find_case, import_file, settle, sync, undo, unlike

Say = Callable[..., None]


@pytest.fixture
def say(engine: Engine, tmp_path: Path) -> Say:
    """Import labels of posts (by pid) as a source."""

    def labels(name: str, trust: SourceTrust | None = None, **said: str) -> None:
        path = tmp_path / f"{name}.jsonl"
        lines = [
            {"pid": pid[1:], "text": f"{unlike(int(pid[1:]))} of post {pid[1:]}", "label": label}
            for pid, label in said.items()
        ]
        path.write_text("".join(json.dumps(line) + "\n" for line in lines))
        import_file(engine, path, source=name, trust=trust)
        queueing.renew_queue(engine, now=NOW, seed=1)

    return labels


def gold(engine: Engine) -> dict[int, Label]:
    with read(engine) as conn:
        return {found.post_id: found.label for found in golds.gold_posts(conn)}


def in_queue(engine: Engine, actor: Actor) -> set[int]:
    return {entry.post.id for entry in queueing.head_of_queue(engine, actor, limit=100)}


def source_id(engine: Engine, name: str) -> int:
    return int(rows(engine, source, name=name)[0]["id"])


# --- suggestions ------------------------------------------------------------------------------------------------------


def test_post_that_has_only_suggestions_is_not_decided_and_stays_in_the_queue(
    engine: Engine, say: Say, moderator: Actor, lead: Actor
) -> None:
    say("a model", SourceTrust.suggestion, p1="violation", p2="normal")
    assert len(rows(engine, decision)) == 2
    status = status_of(engine)
    assert (status.posts, status.pool, status.decided) == (2, 2, 0)
    assert status.decided_by_label == {"normal": 0, "suspicious": 0, "violation": 0}
    assert gold(engine) == {}
    assert training.count_labels(engine, lead).train == {"normal": 0, "suspicious": 0, "violation": 0}
    assert in_queue(engine, moderator) == {1, 2}
    first, second = sync(engine, moderator, want=5).cards
    sync(engine, moderator, decide(first, Label.normal))
    assert status_of(engine).decided == 1
    assert gold(engine) == {first.lease.post_id: Label.normal}
    assert cases.count_cases(engine, lead)[Pile.disagreement] == 0
    sync(engine, moderator, undo(first))
    assert {card.lease.post_id for card in (first, second)} == in_queue(engine, moderator)


def test_suggestion_does_not_keep_a_decision_from_coming_back_after_an_undo(
    engine: Engine, say: Say, moderator: Actor
) -> None:
    say("a model", SourceTrust.suggestion, p1="violation")
    (card,) = sync(engine, moderator, want=1).cards
    sync(engine, moderator, decide(card))
    answer = sync(engine, moderator, undo(card), want=1)
    assert [again.lease.post_id for again in answer.cards] == [1]
    with read(engine) as conn:
        assert queue.count_left(conn) == 1


def test_suggestion_on_an_earlier_text_is_not_listed_for_review(engine: Engine, lead: Actor, tmp_path: Path) -> None:
    path = tmp_path / "model.jsonl"
    path.write_text('{"pid": "1", "text": "another text", "label": "normal"}\n')
    export = tmp_path / "export.tsv"
    export.write_text("pid\tcontext\n1\tthe text\n")
    import_file(engine, export)
    import_file(engine, path, trust=SourceTrust.suggestion)
    assert cases.count_cases(engine, lead)[Pile.old_text] == 0
    rating.change_trust(engine, lead, source_id(engine, "model.jsonl"), trust=SourceTrust.human, now=NOW)
    assert cases.count_cases(engine, lead)[Pile.old_text] == 1


def test_suggestions_count_from_the_moment_that_the_lead_says_so_and_until_taken_back(
    engine: Engine, say: Say, lead: Actor
) -> None:
    say("a model", SourceTrust.suggestion, p1="violation", p2="normal")
    raised = rating.change_trust(engine, lead, source_id(engine, "a model"), trust=SourceTrust.human, now=NOW)
    assert (raised.trust, raised.decisions) == (SourceTrust.human, 2)
    assert gold(engine) == {1: Label.violation, 2: Label.normal}
    assert status_of(engine).decided == 2
    assert in_queue(engine, lead) == set()
    rating.change_trust(engine, lead, raised.id, trust=SourceTrust.suggestion, now=NOW)
    assert gold(engine) == {}
    assert in_queue(engine, lead) == {1, 2}
    changes = [log["details"] for log in rows(engine, audit_log, action="change trust")]
    assert changes == [
        {"source": "a model", "from": "suggestion", "to": "human"},
        {"source": "a model", "from": "human", "to": "suggestion"},
    ]


def test_round_built_while_suggestions_arrive_keeps_their_posts(engine: Engine, say: Say, lead: Actor) -> None:
    say("nobody", p9="normal")
    with write(engine) as conn:
        round_id = queue.open_round(conn, now=NOW)
        queue.publish_round(conn, round_id, version_id=None, strategy="x", last_decision=0, now=NOW)
    say("a model", SourceTrust.suggestion, p1="violation")
    assert in_queue(engine, lead) == {2}


# --- trust ------------------------------------------------------------------------------------------------------------


def test_source_keeps_its_trust_when_its_next_file_names_none(engine: Engine, say: Say) -> None:
    say("a model", SourceTrust.suggestion, p1="violation")
    say("a model", p2="violation")
    assert [found["trust"] for found in rows(engine, source)] == ["suggestion"]
    assert gold(engine) == {}


def test_file_that_gives_a_known_source_another_trust_is_refused_before_and_after_it_is_read(
    engine: Engine, say: Say, tmp_path: Path
) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"text": "x", "label": "normal"}\n')
    request = ImportRequest(str(path), path.name, source="a model", trust=SourceTrust.suggestion)
    queued = importing.queue_import(engine, OPERATOR, request, now=NOW)  # the source is new
    say("a model", p1="violation")
    with write(engine) as conn:
        runs.claim_run(conn, queued.id, pid=1, process_started=0.0, now=NOW)
    with pytest.raises(Conflict, match="known as human, not as suggestion"):
        importing.run_import(engine, queued, report=lambda *progress: None)
    with write(engine) as conn:
        runs.finish_run(conn, queued.id, status=RunStatus.failed, now=NOW)
    assert (len(rows(engine, post)), len(rows(engine, decision))) == (1, 1)
    with pytest.raises(Conflict, match="known as human"):
        importing.queue_import(engine, OPERATOR, request, now=NOW)


def test_people_are_not_rated_and_unknown_sources_are_not_found(engine: Engine, lead: Actor) -> None:
    with pytest.raises(Conflict, match="is a person"):
        rating.change_trust(engine, lead, source_id(engine, "lea"), trust=SourceTrust.suggestion, now=NOW)
    with pytest.raises(NotFound, match="no source 99"):
        rating.change_trust(engine, lead, 99, trust=SourceTrust.human, now=NOW)
    assert rows(engine, audit_log) == []


def test_sources_are_listed_with_their_trust_and_their_standing_decisions(
    engine: Engine, say: Say, lead: Actor
) -> None:
    say("team", p1="normal", p2="normal")
    say("team", p1="violation")
    say("a model", SourceTrust.suggestion, p1="normal")
    listed = [(found.name, found.trust, found.decisions) for found in rating.list_sources(engine, lead)]
    assert listed == [("a model", "suggestion", 1), ("team", "human", 2), ("lea", "human", 0)]


def test_trusted_source_stands_above_people_and_files(engine: Engine, say: Say, lead: Actor, moderator: Actor) -> None:
    say("team", p1="normal")
    say("experts", SourceTrust.trusted, p1="violation")
    annotation.decide_post(engine, OPERATOR, user_name=moderator.name, post_id=1, label=Label.normal, now=NOW)
    assert gold(engine) == {1: Label.violation}
    rating.change_trust(engine, lead, source_id(engine, "experts"), trust=SourceTrust.human, now=NOW)
    assert gold(engine) == {1: Label.normal}


def test_unknown_order_of_labels_is_refused_before_the_import_is_in_line(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    path.write_text("text,label\nx,0\n")
    with pytest.raises(BadInput, match="label order"):
        importing.queue_import(engine, OPERATOR, ImportRequest(str(path), "x.csv", label_order=["normal"]), now=NOW)
    assert import_file(engine, path, label_order=["violation", "normal"]).result["decisions_added"] == 1
    assert gold(engine) == {1: Label.violation}


# --- disagreements ----------------------------------------------------------------------------------------------------


def test_posts_that_sources_judged_differently_are_listed_with_who_said_what(
    engine: Engine, say: Say, lead: Actor, moderator: Actor
) -> None:
    say("first", p1="normal", p2="normal", p3="normal", p4="normal")
    say("second", p1="violation", p2="normal")
    say("a model", SourceTrust.suggestion, p2="violation", p3="violation")
    annotation.decide_post(engine, OPERATOR, user_name=moderator.name, post_id=4, label=Label.suspicious, now=NOW)
    listed = [exhibit for place in (0, 1) for exhibit in find_case(engine, lead, Pile.disagreement, place).exhibits]
    assert [(found.post_id, found.gold) for found in listed] == [(1, None), (4, Label.suspicious)]
    assert [[(voice.source, voice.vote.label) for voice in found.voices] for found in listed] == [
        [("first", Label.normal), ("second", Label.violation)],
        [("first", Label.normal), ("mo", Label.suspicious)],
    ]
    assert cases.count_cases(engine, lead)[Pile.disagreement] == 2
    assert cases.find_case(engine, lead, Pile.disagreement, place=2) is None


def test_settled_post_has_the_leads_label_and_is_listed_no_more(
    engine: Engine, say: Say, lead: Actor, moderator: Actor
) -> None:
    say("first", p1="normal")
    say("second", p1="violation")
    found = find_case(engine, lead, Pile.disagreement)
    settle(engine, lead, found, Label.suspicious)
    made = rows(engine, decision)[-1]
    assert (made["settles"], made["supersedes"]) == (True, None)
    assert gold(engine) == {1: Label.suspicious}
    assert cases.find_case(engine, lead, Pile.disagreement, place=0) is None
    say("third", SourceTrust.trusted, p1="violation")  # neither a majority nor a trusted source reopens it
    assert gold(engine) == {1: Label.suspicious}
    assert cases.find_case(engine, lead, Pile.disagreement, place=0) is None
    with pytest.raises(Conflict, match="said something about post 1"):
        settle(engine, lead, found, Label.normal, batch="settle-000002")


def test_lead_who_settles_what_they_decided_before_has_one_vote(engine: Engine, say: Say, lead: Actor) -> None:
    say("first", p1="normal")
    annotation.decide_post(engine, OPERATOR, user_name="lea", post_id=1, label=Label.violation, now=NOW)
    before = rows(engine, decision)
    settle(engine, lead, find_case(engine, lead, Pile.disagreement), Label.normal)
    assert rows(engine, decision)[:2] == before
    assert rows(engine, decision)[-1]["supersedes"] == before[-1]["id"]
    assert gold(engine) == {1: Label.normal}


def test_text_that_changed_after_it_was_read_is_read_again_before_it_is_settled(
    engine: Engine, say: Say, lead: Actor, tmp_path: Path
) -> None:
    say("first", p1="normal")
    say("second", p1="violation")
    found = find_case(engine, lead, Pile.disagreement)
    lengthen(engine, tmp_path)
    with pytest.raises(Conflict, match="read it once more"):
        settle(engine, lead, found, Label.normal)
    assert len(rows(engine, decision)) == 2


def lengthen(engine: Engine, tmp_path: Path) -> None:
    """An import changes the text of post 1."""
    longer = tmp_path / "longer.tsv"
    longer.write_text("pid\tcontext\n1\tsomething that was added\n")
    import_file(engine, longer)


def test_settled_post_whose_text_changes_is_judged_again_and_settled_once(
    engine: Engine, say: Say, lead: Actor, tmp_path: Path
) -> None:
    say("first", p1="normal")
    say("second", p1="violation")
    settle(engine, lead, find_case(engine, lead, Pile.disagreement), Label.suspicious)
    lengthen(engine, tmp_path)
    assert gold(engine) == {}
    settle(engine, lead, find_case(engine, lead, Pile.old_text), Label.violation, batch="settle-000002")
    assert gold(engine) == {1: Label.violation}
    assert set(cases.count_cases(engine, lead).values()) == {0}
    with read(engine) as conn:
        said = [(made.settles, made.text_id, name) for made, _, name in decisions.standing_on_post(conn, 1)]
    assert said == [(False, 1, "first"), (False, 1, "second"), (True, 2, "lea")]


@pytest.mark.parametrize(("role", "stands"), [(Role.lead, Label.violation), (Role.moderator, Label.normal)])
def test_correction_of_what_was_settled_settles_only_while_a_lead_makes_it(
    engine: Engine, say: Say, lead: Actor, role: Role, stands: Label
) -> None:
    say("first", SourceTrust.trusted, p1="normal")
    say("second", p1="violation")
    settle(engine, lead, find_case(engine, lead, Pile.disagreement), Label.suspicious)
    made = rows(engine, decision)[-1]
    press = annotation.Press(
        "correct-1", annotation.PressKind.correct, decision_id=made["id"], text_id=1, label=Label.violation
    )
    assert sync(engine, Actor(lead.user_id, lead.name, role), press).acked == ["correct-1"]
    assert gold(engine) == {1: stands}


@pytest.mark.parametrize("role", [Role.moderator, Role.analyst])
def test_only_a_lead_settles_and_rates(engine: Engine, say: Say, role: Role, moderator: Actor, analyst: Actor) -> None:
    say("first", p1="normal")
    say("second", p1="violation")
    actor = moderator if role is Role.moderator else analyst
    found = find_case(engine, OPERATOR, Pile.disagreement)
    before = [rows(engine, table) for table in (decision, source, audit_log)]
    for forbidden in (
        lambda: cases.find_case(engine, actor, Pile.disagreement, place=0),
        lambda: cases.count_cases(engine, actor),
        lambda: settle(engine, actor, found, Label.normal),
        lambda: rating.list_sources(engine, actor),
        lambda: rating.change_trust(engine, actor, 1, trust=SourceTrust.suggestion, now=NOW),
    ):
        with pytest.raises(NotAllowed):
            forbidden()
    assert [rows(engine, table) for table in (decision, source, audit_log)] == before


def test_operator_of_the_machine_rates_sources_but_has_no_vote_to_settle_with(engine: Engine, say: Say) -> None:
    say("first", p1="normal")
    say("second", p1="violation")
    with pytest.raises(NotAllowed, match="signed-in user"):
        settle(engine, OPERATOR, find_case(engine, OPERATOR, Pile.disagreement), Label.normal)
    rating.change_trust(engine, OPERATOR, source_id(engine, "first"), trust=SourceTrust.suggestion, now=NOW)
    assert gold(engine) == {1: Label.violation}


# --- splits -----------------------------------------------------------------------------------------------------------


def test_texts_on_both_sides_of_a_files_own_split_are_counted_and_some_shown(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    lines = ["train,one text,normal", "train,two,normal", "dev,Ｔwo！,normal", "test,two,normal", "dev,three,normal"]
    path.write_text("Split,text,label\n" + "\n".join([*lines, "train,one text,normal", ",two,normal"]) + "\n")
    result = import_file(engine, path).result
    assert (result["split_overlaps"], result["split_overlap_lines"]) == (1, [[3, 4]])
    assert result["rows"] == 7


def test_template_with_another_number_on_each_side_of_the_split_is_reported(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    spam = "无需抵押当天到账，正规平台办理快速贷款，电话{}"
    path.write_text(
        f"subset,text,label\ntrain,{spam.format(13800138000)},violation\ntest,{spam.format(13911112222)},violation\n"
    )
    assert import_file(engine, path).result["split_overlap_lines"] == [[2, 3]]


@pytest.mark.parametrize("rows_at_once", [1, 4_000])
def test_labels_of_one_file_that_contradict_each_other_are_counted_and_some_shown(
    engine: Engine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, rows_at_once: int
) -> None:
    monkeypatch.setattr(building, "ROWS_PER_TRANSACTION", rows_at_once)
    path = tmp_path / "x.jsonl"
    said = [("1", "normal"), ("2", "normal"), ("1", "violation"), ("2", "normal"), ("1", "violation"), ("1", "normal")]
    path.write_text("".join(f'{{"pid": "{pid}", "text": "t{pid}", "label": "{label}"}}\n' for pid, label in said))
    result = import_file(engine, path).result
    assert (result["contradictions"], result["contradiction_lines"]) == (2, [3, 6])
    assert [made["label"] for made in rows(engine, decision)] == [Label.normal, Label.normal]


def test_file_without_a_split_or_without_an_overlap_reports_none(engine: Engine, tmp_path: Path) -> None:
    path = tmp_path / "x.csv"
    for body in ("text,label\none,normal\none,normal\n", "set,text,label\ntrain,a b,normal\ntest,c d,normal\n"):
        path.write_text(body)
        result = import_file(engine, path).result
        assert (result["split_overlaps"], "split_overlap_lines" in result) == (0, False)


# --- exports of other tools, through the whole import -----------------------------------------------------------------


def test_tasks_on_one_line_go_in_and_every_row_is_accounted_for(engine: Engine, tmp_path: Path) -> None:
    def task(n: int, *choices: str) -> dict[str, object]:
        results = [[{"type": "choices", "from_name": "c", "value": {"choices": [choice]}}] for choice in choices]
        return {"id": n, "data": {"text": f"text {n // 2}"}, "annotations": [{"result": result} for result in results]}

    tasks = [task(0, "normal"), task(1, "normal"), task(2), task(4, "normal", "violation"), task(6, "violation")]
    path = tmp_path / "export.json"
    path.write_text(json.dumps(tasks)[:-1] + ', {"id": ')
    result = import_file(engine, path).result
    assert (result["rows"], result["posts_added"], result["repeats"], result["rejected"]) == (6, 2, 1, 3)
    assert gold(engine) == {1: Label.normal, 2: Label.violation}
    reasons = [reason for _, reason, _ in importing.list_rejects(engine, OPERATOR, 1)]
    assert reasons == ["no label", "annotators disagree (normal, violation)", "the file ends inside this record"]
    assert import_file(engine, path).result["decisions_added"] == 0


def test_preview_says_what_was_recognised_and_reads_as_the_import_would(lead: Actor, tmp_path: Path) -> None:
    path = tmp_path / "export.json"
    results = [[{"type": "choices", "from_name": "verdict", "value": {"choices": [choice]}}] for choice in "01"]
    tasks = [
        {"data": {"text": text}, "annotations": [{"result": result}]}
        for text, result in zip("xz", results, strict=True)
    ]
    path.write_text(json.dumps([*tasks, {"data": {"text": "y"}, "annotations": []}]))
    refused = previewing.preview(lead, ImportRequest(str(path), path.name))
    assert (refused.recognised, refused.header, len(refused.rejects)) == ("Label Studio export", ("text", "verdict"), 3)
    order = ["normal", "violation"]
    seen = previewing.preview(lead, ImportRequest(str(path), path.name, label_order=order))
    assert ([card.label for card in seen.cards], [row.reason for row in seen.rejects]) == (order, ["no label"])
    path.write_text("[" * 100_000)
    assert previewing.preview(lead, ImportRequest(str(path), path.name)).rejects[0].reason.startswith("the file ends")
