"""Exports of other annotation tools: one text, one label; what has none, or several, is rejected with the reason."""

from __future__ import annotations

import io
import json
from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import BadInput
from core.labelled import FileKind, header_of, read_file, sniff_kind
from core.tsv import ExportRow, RejectedRow
from tests.core.test_json_arrays import json_values


def read(name: str, body: object, *, order: Sequence[str] = (), **columns: str) -> list[ExportRow | RejectedRow]:
    raw = body if isinstance(body, bytes) else (body if isinstance(body, str) else json.dumps(body)).encode()
    return list(read_file(io.BytesIO(raw), name=name, columns=columns, label_order=order))


def said(rows: Sequence[ExportRow | RejectedRow]) -> list[tuple[str, str | None]]:
    """(text, label) of rows, ("rejected", reason) of rejects."""
    return [(r.text, r.label) if isinstance(r, ExportRow) else ("rejected", r.reason) for r in rows]


def annotation(*choices: str, control: str = "verdict", **fields: object) -> dict[str, Any]:
    result = {
        "value": {"choices": list(choices)}, "id": "x1", "from_name": control, "to_name": "text", "type": "choices",
        "origin": "manual",
    }  # fmt: skip
    return {"id": 7, "completed_by": 1, "result": [result], "was_cancelled": False, "ground_truth": False} | fields


def task(text: str, *annotations: dict[str, Any], **fields: object) -> dict[str, Any]:
    given_by = {"file_upload": "a.json", "drafts": [], "predictions": [], "meta": {}, "created_at": "2026-01-01"}
    return (
        {"id": 3, "annotations": list(annotations), "data": {"text": text, "pid": 12, "board": "b"}} | given_by | fields
    )


# --- Label Studio -----------------------------------------------------------------------------------------------------


def test_task_of_label_studio_becomes_a_row_with_the_fields_of_its_data() -> None:
    (row,) = read("export.json", [task("坏话", annotation("违规"))])
    assert isinstance(row, ExportRow)
    assert (row.pid, row.text, row.label, row.extra) == ("12", "坏话", "violation", {"board": "b"})


@pytest.mark.parametrize(
    ("annotations", "found"),
    [
        ([], "no label"),
        ([annotation("normal", was_cancelled=True)], "no label"),
        ([annotation()], "no label"),
        ([annotation("normal", result=[])], "no label"),
        ([annotation("normal"), annotation("violation")], "annotators disagree (normal, violation)"),
        ([annotation("normal"), annotation("violation"), annotation("合规")], "normal"),
        ([annotation("normal"), annotation("violation", was_cancelled=True)], "normal"),
        ([annotation("normal"), annotation("violation", ground_truth=True)], "violation"),
        ([annotation("normal", "violation")], "several labels (normal, violation) where one is wanted"),
        ([annotation("spam")], "unknown label 'spam'; known are"),
        ([{"result": [{"type": "labels", "value": {"start": 0, "end": 2, "labels": ["X"]}}]}], "no label"),
    ],
)
def test_annotations_of_a_task_give_one_label_or_a_reason(annotations: list[dict[str, Any]], found: str) -> None:
    ((_, what),) = said(read("export.json", [task("x", *annotations)]))
    assert what is not None
    assert what.startswith(found)


def test_predictions_of_label_studio_are_no_labels() -> None:
    predicted = {"model_version": "m", "result": annotation("violation")["result"]}
    assert said(read("export.json", [task("x", predictions=[predicted])])) == [("rejected", "no label")]


def test_control_to_read_can_be_chosen_where_there_are_several() -> None:
    both = annotation("normal")
    both["result"] += annotation("clear", control="tone")["result"]
    assert said(read("export.json", [task("x", both)]))[0][1] != "normal"
    assert said(read("export.json", [task("x", both)], label="verdict")) == [("x", "normal")]
    heading = header_of(io.BytesIO(json.dumps([task("x", both)]).encode()), name="export.json")
    assert heading.names == ("text", "pid", "board", "tone", "verdict")


def test_text_of_a_task_may_have_another_name() -> None:
    other = {"id": 1, "data": {"reply": "x"}, "annotations": [annotation("normal")]}
    assert "names no column for text" in str(said(read("export.json", [other])))
    assert said(read("export.json", [other], text="reply")) == [("x", "normal")]


def test_rows_of_an_array_have_a_line_each_though_they_share_one() -> None:
    tasks = [task("a", annotation("normal")), task("b"), task("c", annotation("normal"))]
    assert [row.line for row in read("export.json", tasks)] == [1, 2, 3]
    written = json.dumps(tasks, indent=1)
    begins = [number for number, line in enumerate(written.split("\n"), 1) if line == " {"]
    assert [row.line for row in read("export.json", written)] == begins


def test_json_min_has_the_label_under_the_name_of_its_control() -> None:
    record = {
        "text": "x", "pid": 5, "id": 1, "sentiment": "violation", "annotator": 1, "annotation_id": 2,
        "created_at": "2026-01-01", "updated_at": "2026-01-01", "lead_time": 3.2,
    }  # fmt: skip
    (row,) = read("min.json", [record])
    assert isinstance(row, ExportRow)
    assert (row.pid, row.label, row.extra) == ("5", "violation", {"id": "1"})
    del record["sentiment"]
    assert said(read("min.json", [record | {"tone": "合规"}], label="tone")) == [("x", "normal")]
    assert said(read("min.json", [record])) == [("rejected", "no label")]
    several = record | {"choice": {"choices": ["normal", "violation"]}}
    assert said(read("min.json", [several]))[0][1] == "several labels (normal, violation) where one is wanted"


def test_annotators_of_a_task_in_json_min_are_counted_together() -> None:
    labels = [(1, "normal"), (1, "violation"), (1, "normal"), (2, "normal"), (2, "violation"), (3, "violation")]
    records = [{"id": n, "text": f"t{n}", "choice": c, "annotation_id": 1, "lead_time": 1} for n, c in labels]
    disagree = ("rejected", "annotators disagree")
    expected = [("t1", "normal")] * 3 + [disagree] * 2 + [("t3", "violation")]
    assert said(read("min.json", records)) == expected


# --- doccano ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("record", "found"),
    [
        ({"id": 1, "text": "x", "label": ["violation"], "Comments": []}, ("x", "violation")),
        ({"id": 1, "data": "x", "label": ["违规"]}, ("x", "violation")),
        ({"id": 1, "data": "x", "label": "违规"}, ("x", "violation")),
        ({"doc_id": 1, "text": "x", "labels": ["normal"], "username": "ann"}, ("x", "normal")),
        ({"id": 1, "text": "x", "labels": [["normal"]]}, ("x", "normal")),
        ({"id": 1, "text": "x", "cats": ["normal"], "entities": [[0, 1, "A"]]}, ("x", "normal")),
        ({"id": 1, "text": "x", "annotations": [{"label": 4, "label_name": "normal", "user": 1}]}, ("x", "normal")),
        ({"id": 1, "text": "x", "label": []}, ("rejected", "no label")),
        ({"id": 1, "text": "x", "annotations": []}, ("rejected", "no label")),
        (
            {"id": 1, "text": "x", "label": ["normal", "violation"]},
            ("rejected", "several labels (normal, violation) where one is wanted"),
        ),
        *(
            (record | {"id": 1, "text": "x"}, ("rejected", "spans within the text, not a label for the whole of it"))
            for record in (
                {"label": [[0, 1, "PER"]]},
                {"label": [[0, 1, "PER"], [2, 3, "LOC"]]},
                {"entities": [[0, 1, "PER"]]},
                {"annotations": [{"label": 5, "start_offset": 0, "end_offset": 1, "user": 1}]},
                {"label": [{"label": "PER", "start_offset": 0, "end_offset": 1}]},
            )
        ),
    ],
)
def test_line_of_doccano_gives_one_label_or_a_reason(record: dict[str, Any], found: tuple[str, str]) -> None:
    assert said(read("project.jsonl", json.dumps(record) + "\n")) == [found]
    assert said(read("project.json", [record])) == [found]


def test_who_annotated_is_not_kept() -> None:
    body = {"text": "x", "labels": ["normal"], "username": "ann", "Comments": ["c"], "annotation_approver": "bob"}
    (row,) = read("project.jsonl", json.dumps(body))
    assert isinstance(row, ExportRow)
    assert row.extra == {}


# --- integers ---------------------------------------------------------------------------------------------------------


def test_integers_are_read_in_the_order_that_the_caller_gives() -> None:
    order = ["normal", "violation", "疑似"]
    body = "text,label\na,0\nb,1\nc,2\nd,3\ne,合规\nf,1.0\n"
    expected = [("a", "normal"), ("b", "violation"), ("c", "suspicious"), ("e", "normal"), ("f", "violation")]
    rows = said(read("a.csv", body, order=order))
    assert [row for row in rows if row[0] != "rejected"] == expected
    assert rows[3][1] == "unknown label '3'; the order given says 0 = normal, 1 = violation, 2 = suspicious."
    lines = "".join(json.dumps({"text": "x", "label": label}) + "\n" for label in (1, [1], "1"))
    assert said(read("a.jsonl", lines, order=order)) == [("x", "violation")] * 3


def test_integers_without_an_order_are_rejected_and_the_reason_says_how_to_give_one() -> None:
    for name, body in (("a.csv", "text,label\nx,2\n"), ("a.jsonl", '{"text": "x", "label": 2}')):
        ((_, reason),) = said(read(name, body))
        assert "unknown label '2'" in str(reason)
        assert "--label-order normal,suspicious,violation" in str(reason)


@pytest.mark.parametrize("order", [["normal"], ["normal", "合规"], ["normal", "spam"], ["0", "1"]])
def test_order_that_says_nothing_is_refused(order: list[str]) -> None:
    with pytest.raises(BadInput, match=r"label order|unknown label"):
        read("a.csv", "text,label\nx,0\n", order=order)


# --- what was recognised ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "body", "kind", "words"),
    [
        ("x.json", [task("a", annotation("normal"))], FileKind.label_studio, "Label Studio export"),
        ("x.txt", [task("a")], FileKind.label_studio, "Label Studio export"),
        (
            "x",
            [{"text": "a", "annotation_id": 1, "lead_time": 2}],
            "label_studio_min",
            "Label Studio export (JSON-MIN)",
        ),
        ("x.jsonl", {"id": 1, "text": "a", "label": ["normal"]}, FileKind.doccano, "doccano export"),
        ("x.json", [{"text": "a", "label": "normal"}], FileKind.json, "Labelled JSON array"),
        ("x.json", [], FileKind.json, "Labelled JSON array"),
        ("x.jsonl", {"text": "a", "label": "normal"}, FileKind.jsonl, "Labelled JSONL"),
        ("x.jsonl", [1, 2], FileKind.jsonl, "Labelled JSONL"),
        ("x.tsv", "[id]\ttext\n1\tx\n", FileKind.export, "Forum export"),
        ("x.tsv", "text\tlabel\n", FileKind.tsv, "Labelled TSV"),
        ("x.csv", "text,label\n", FileKind.csv, "Labelled CSV"),
    ],
)
def test_file_is_recognised_by_what_stands_in_it(name: str, body: object, kind: FileKind, words: str) -> None:
    head = (body if isinstance(body, str) else json.dumps(body)).encode()
    assert sniff_kind(name, head) == kind
    assert FileKind(kind).words == words


def test_long_first_task_and_other_encodings_are_recognised_too() -> None:
    body = json.dumps([task("长" * 30_000, annotation("normal"))], ensure_ascii=False, indent=1)
    for encoding in ("utf-8", "utf-8-sig", "utf-16", "gb18030"):
        raw = body.encode(encoding)
        assert header_of(io.BytesIO(raw), name="x.json").kind is FileKind.label_studio
        assert said(read("x.json", raw)) == [("长" * 30_000, "normal")]


# --- whatever comes ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("element", "reason"),
    [
        ("[" * 100_000 + "]" * 100_000, "nested too deeply"),
        ('{"text": "x", "label": ' + "[" * 100_000 + "]" * 100_000 + "}", "nested too deeply"),
        ('{"text": "x", "label": ' + "9" * 5_000 + "}", "not JSON"),
        ('{"text": "x", "label": ' + "9" * 4_000 + "}", "unknown label"),
        ('{"text": "x", "label": 1e999}', "unknown label"),
        ('{"text": "x", "label": true}', "unknown label 'true'"),
        ('{"text": "x", "label": {"a": 1}}', "the label is no name"),
        ('{"text": {"a": 1}, "label": "normal"}', "the text is no string"),
        ('{"text": ["x"], "label": "normal"}', "the text is no string"),
        ('{"text": null, "label": "normal"}', "no text"),
        ('{"data": {}, "annotations": 5}', "no label"),
        ('{"data": {"text": "x"}, "annotations": [1, null, {"result": {"a": 1}}, {"result": [3]}]}', "no label"),
        ('{"data": {"text": "x"}, "annotations": [{"result": [{"value": {"choices": [{"a": 1}]}}]}]}', "no name"),
        ('{"data": [], "text": "x"}', "no label"),
        ("null", "not a JSON object"),
        ("{'text': 'x'}", "not JSON"),
    ],
)
def test_malformed_record_is_rejected_and_the_next_is_read(element: str, reason: str) -> None:
    good = '{"text": "good", "label": "normal"}'
    for name, body in (("a.json", f"[{element},\n{good}]"), ("a.jsonl", f"{element}\n{good}\n")):
        bad, fine = read(name, body)
        assert isinstance(bad, RejectedRow)
        assert reason in bad.reason
        assert len(bad.raw) <= 2_000
        assert said([fine]) == [("good", "normal")]


def test_file_that_is_cut_off_is_read_as_far_as_it_goes() -> None:
    body = json.dumps([task("a", annotation("normal")), task("b", annotation("normal"))])
    rows = said(read("export.json", body[:-40]))
    assert rows == [("a", "normal"), ("rejected", "the file ends inside this record")]


def test_bytes_that_do_not_decode_spoil_only_their_record() -> None:
    body = b'[{"text": "\xff\xfe", "label": "normal"}, {"text": "b", "label": "normal"}]'
    assert said(read("a.json", body)) == [("rejected", "bytes that do not decode"), ("b", "normal")]


shapes = st.one_of(
    st.dictionaries(st.sampled_from(["text", "label", "labels", "data", "annotations", "cats", "id"]), json_values),
    st.builds(lambda result: {"data": {"text": "x"}, "annotations": [{"result": result}]}, json_values),
    st.builds(lambda value: {"data": {"text": "x"}, "annotations": [{"result": [{"value": value}]}]}, json_values),
    st.builds(lambda c: {"data": {"text": "x"}, "annotations": [annotation(c, control="c")]}, json_values),
    st.builds(lambda held, made: {"data": held, "annotations": made, "predictions": made}, json_values, json_values),
    st.builds(
        lambda c, n: {"text": "x", "choice": c, "annotation_id": n, "lead_time": n, "id": n}, json_values, json_values
    ),
    st.builds(lambda said: {"text": "x", "annotations": [{"label": said}]}, json_values),
    json_values,
)


@given(st.lists(shapes, max_size=4), st.sampled_from([{}, {"label": "choice"}, {"text": "data", "label": "c"}]))
def test_any_values_in_any_shape_become_one_row_or_one_reject_each(
    records: list[object], columns: dict[str, str]
) -> None:
    records = [{"text": "x", "label": "normal"}, *records]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    for name, body in (("a.json", json.dumps(records)), ("a.jsonl", lines)):
        header_of(io.BytesIO(body.encode()), name=name)
        rows = read(name, body, order=["normal", "violation"], **columns)
        assert sorted(row.line for row in rows) == list(range(1, len(records) + 1))


@given(st.binary(max_size=200), st.sampled_from(["a.json", "a.jsonl", "a.csv", "a.tsv", "a"]))
def test_any_bytes_end_in_rows_rejects_or_a_sentence(body: bytes, name: str) -> None:
    try:
        header_of(io.BytesIO(b"[{" + body), name=name)
        read(name, b"[{" + body)
    except BadInput:
        pass
