"""Files to train from: every record good, or the first bad one is named with its line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from core.domain import Label
from core.errors import BadInput
from core.training_files import apart_from, hash_of, read_training_file


def write(path: Path, *records: object) -> Path:
    lines = (record if isinstance(record, str) else json.dumps(record, ensure_ascii=False) for record in records)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path


def test_text_label_and_weight_are_read_as_an_import_reads_them(tmp_path: Path) -> None:
    path = write(
        tmp_path / "a.jsonl",
        {"text": "[b]加微信[/b] &quot;领红包&quot;", "label": "违规"},
        "",
        {"text": "天气不错", "label": "normal", "weight": 0.5},
    )
    first, second = read_training_file(path)
    assert (first.line, first.text, first.label, first.weight) == (1, '加微信 "领红包"', Label.violation, 1.0)
    assert (second.line, second.label, second.weight) == (3, Label.normal, 0.5)


def test_other_labelled_files_are_read_too_and_integers_when_it_is_said_what_they_mean(tmp_path: Path) -> None:
    path = write(tmp_path / "a.csv", "text,label", "one,2", "two,0")
    with pytest.raises(BadInput, match=r"a\.csv, line 2: unknown label '2'"):
        read_training_file(path)
    order = ("normal", "suspicious", "violation")
    assert [text.label for text in read_training_file(path, label_order=order)] == [Label.violation, Label.normal]


@pytest.mark.parametrize(
    ("record", "says"),
    [
        ({"text": "x", "label": "spam"}, "line 2: unknown label 'spam'"),
        ({"text": "x"}, "line 2: no label"),
        ({"text": "x", "label": None}, "line 2: no label"),
        ({"label": "normal"}, "line 2: "),
        ({"text": " ", "label": "normal"}, "line 2: no text"),
        ({"text": "x", "label": "normal", "weight": "much"}, "line 2: weight 'much' is not a number above 0"),
        ({"text": "x", "label": "normal", "weight": 0}, "line 2: weight '0' is not"),
        ({"text": "x", "label": "normal", "weight": "inf"}, "line 2: weight 'inf' is not"),
        ("{", "line 2: not JSON"),
        ("[1]", "line 2: not a JSON object"),
    ],
)
def test_record_that_cannot_be_used_is_named_with_file_and_line(tmp_path: Path, record: object, says: str) -> None:
    path = write(tmp_path / "a.jsonl", {"text": "good", "label": "normal"}, record)
    with pytest.raises(BadInput) as caught:
        read_training_file(path)
    assert f"{path}, {says}" in str(caught.value)


def test_empty_and_missing_files_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"a\.jsonl is empty"):
        read_training_file(write(tmp_path / "a.jsonl", "", " "))
    with pytest.raises(BadInput, match=r"b\.jsonl is not a file"):
        read_training_file(tmp_path / "b.jsonl")


def test_near_copies_of_what_is_trained_on_measure_nothing(tmp_path: Path) -> None:
    train = read_training_file(write(tmp_path / "t.jsonl", {"text": "加我 13812345678 领取红包大礼", "label": "违规"}))
    given = read_training_file(
        write(
            tmp_path / "e.jsonl",
            {"text": "加我 13999999999 领取红包大礼！", "label": "违规"},
            {"text": "今天天气不错，去公园", "label": "合规"},
        )
    )
    assert [text.line for text in apart_from(train, given)] == [2]


def test_hash_tells_other_labels_weights_and_sides_apart(tmp_path: Path) -> None:
    one = read_training_file(write(tmp_path / "1.jsonl", {"text": "a b c", "label": "normal"}))
    two = read_training_file(write(tmp_path / "2.jsonl", {"text": "a b c", "label": "violation"}))
    three = read_training_file(write(tmp_path / "3.jsonl", {"text": "a b c", "label": "normal", "weight": 2}))
    assert len({hash_of(one, two), hash_of(two, one), hash_of(three, two), hash_of(one, [])}) == 4
    assert hash_of(one, two) == hash_of(one, two)
