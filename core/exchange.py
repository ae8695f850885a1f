"""What other annotation tools export, as plain records: the text, one label for it, and the fields beside it.

Label Studio, JSON: {"data": {"text": …}, "annotations": [{"result": [{"type": "choices", "value": {"choices": […]}}]}]}
Label Studio, JSON-MIN: {"text": …, "sentiment": "…", "annotator": …, "annotation_id": …, "lead_time": …}, one record an
annotation (https://labelstud.io/guide/export). doccano: {"id": …, "text": …, "label": ["…"], "Comments": […]}.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from enum import StrEnum

from core.errors import BadInput
from core.labels import majority, read_label
from core.tsv import TEXT_COLUMNS
from core.wording import N_, _

Record = Mapping[str, object]
DISAGREE = N_("annotators disagree")
_TEXT = "text"
_MIN_FIELDS = frozenset({"annotator", "annotation_id", "created_at", "updated_at", "lead_time", "agreement"})
_DOCCANO_FIELDS = frozenset({"Comments", "comments", "annotations", "annotation_approver", "username", "entities"})
_SPANS = N_("spans within the text, not a label for the whole of it")


class Shape(StrEnum):
    """What a record looks like."""

    plain = "plain"
    label_studio = "label_studio"
    label_studio_min = "label_studio_min"
    doccano = "doccano"


_LABEL_FIELDS = {
    Shape.plain: ("label",),
    Shape.doccano: ("label", "labels", "cats"),
    Shape.label_studio_min: ("label", "sentiment", "choice", "choices", "labels"),
}


def shape_of(record: Record) -> Shape:
    """Tell by the record's own fields which tool wrote it."""
    if isinstance(record.get("data"), dict):
        return Shape.label_studio
    if "annotation_id" in record and "lead_time" in record:
        return Shape.label_studio_min
    if isinstance(record.get("label"), str):
        return Shape.plain
    said = record.get(_label_field(record, Shape.doccano) or "annotations", record.get("entities"))
    return Shape.doccano if isinstance(said, list) else Shape.plain


def field_names(record: Record) -> tuple[str, ...]:
    """The names that columns can be chosen from."""
    shape = shape_of(record)
    if shape is Shape.label_studio:
        controls = {name for annotation in _annotations(record) for name, _chosen in _choices(annotation)}
        return (*_task_data(record), *sorted(controls))
    return tuple(name for name in record if name not in _bookkeeping(shape))


def plain_record(record: Record, *, chosen: Mapping[str, str], order: Sequence[str] = ()) -> Record:
    """Return the record with its text and its label as plain fields.

    chosen: role to the name of a field, or for the label of a control of Label Studio; order: what integers mean.
    Raises BadInput with the reason where there is no one label for the text.
    """
    shape, label_name = shape_of(record), chosen.get("label")
    if shape is Shape.label_studio:
        return _from_task(record, label_name, order)
    if shape is Shape.plain and _TEXT in record and isinstance(record.get(label_name or "label"), str):
        return record  # as most files have it
    fields = {name: value for name, value in record.items() if name not in _bookkeeping(shape)}
    if not {_TEXT, *TEXT_COLUMNS} & fields.keys() and _TEXT not in chosen and isinstance(fields.get("data"), str):
        fields[_TEXT] = fields.pop("data")
    name = label_name if label_name in record else _label_field(record, shape)
    if name is not None:
        fields.pop(name, None)
        fields[name if name == label_name else "label"] = only_label(record[name])
    elif shape is Shape.doccano:
        fields["label"] = _agreed([_doccano_annotation(said) for said in _list(record.get("annotations"))], order)
        if fields["label"] is None and record.get("entities"):
            raise BadInput(_(_SPANS))
    return fields


def _bookkeeping(shape: Shape) -> frozenset[str]:
    """Fields that say who annotated, how fast and when: not kept."""
    return {Shape.label_studio_min: _MIN_FIELDS, Shape.doccano: _DOCCANO_FIELDS}.get(shape, frozenset())


def _label_field(record: Record, shape: Shape) -> str | None:
    return next((name for name in _LABEL_FIELDS[shape] if name in record), None)


def only_label(value: object) -> object:
    """The one label in a list or in an answer to choices; None for none. Raises BadInput for several, and for spans."""
    if isinstance(value, dict):
        value = value.get("choices", value)
    if isinstance(value, list) and len(value) == 1 and isinstance(value[0], list):
        value = value[0]
    parts = value if isinstance(value, list) else [value]
    if _are_spans(parts):
        raise BadInput(_(_SPANS))
    if any(isinstance(part, list | dict) for part in parts):
        raise BadInput(_("the label is no name"))
    if len(parts) > 1:
        raise BadInput(
            _("several labels ({parts}) where one is wanted").format(
                parts=", ".join(str(part)[:20] for part in parts[:5])
            )
        )
    return parts[0] if parts else None


def _are_spans(parts: Sequence[object]) -> bool:
    """[0, 5, "PER"], a list of such, or objects that say where they start."""
    if len(parts) == 3 and all(isinstance(part, int) for part in parts[:2]):
        return True
    first = parts[0] if parts else None
    return isinstance(first, list) or (isinstance(first, dict) and bool({"start", "start_offset"} & first.keys()))


# --- Label Studio ---------------------------------------------------------------------------------------------------


def _from_task(task: Record, label_name: str | None, order: Sequence[str]) -> Record:
    """A task of Label Studio: its predictions say nothing, cancelled annotations neither; those marked as ground
    truth go before the others, and of several the majority counts."""
    fields = {name: value for name, value in _task_data(task).items() if name.strip().lower() != "label"}
    said = [list(_choices(annotation)) for annotation in _annotations(task)]
    controls = {name for choices in said for name, _chosen in choices}
    if label_name is not None and label_name not in controls and label_name in _task_data(task):
        return _task_data(task)
    wanted = {label_name} if label_name in controls else controls
    answers = [only_label([c for name, choices in answer if name in wanted for c in choices]) for answer in said]
    label = _agreed(answers, order)
    if label is None:
        raise BadInput(_("no label"))
    return fields | {label_name if label_name is not None and label_name in controls else "label": label}


def _task_data(task: Record) -> dict[str, object]:
    held = task.get("data")
    return held if isinstance(held, dict) else {}


def _annotations(task: Record) -> list[dict[str, object]]:
    """Those that count. Exports of old versions call them completions."""
    listed = _list(task.get("annotations", task.get("completions")))
    made: list[dict[str, object]] = [annotation for annotation in listed if isinstance(annotation, dict)]
    kept = [a for a in made if not (a.get("was_cancelled") or a.get("skipped"))]
    return [a for a in kept if a.get("ground_truth") is True] or kept


def _choices(annotation: Record) -> Iterator[tuple[str, list[object]]]:
    """(name of the control, what was chosen) for each choice made about the text as a whole."""
    for result in _list(annotation.get("result")):
        if not isinstance(result, dict):
            continue
        name, value = result.get("from_name"), result.get("value")
        if isinstance(value, dict) and "choices" in value and "start" not in value:
            yield name if isinstance(name, str) else "label", _list(value["choices"])


# --- doccano --------------------------------------------------------------------------------------------------------


def _doccano_annotation(said: object) -> object:
    """The label of one annotation as versions before 1.0 wrote it."""
    if not isinstance(said, dict):
        return None
    if "start_offset" in said:
        raise BadInput(_(_SPANS))
    return only_label(said.get("label_name", said.get("label")))


# --- several annotators ---------------------------------------------------------------------------------------------


def _agreed(answers: Sequence[object], order: Sequence[str]) -> str | None:
    """The label that most annotators gave; None when none gave any. Raises BadInput when two labels lead together."""
    said = [read_label(answer, order) for answer in answers if answer is not None]
    agreed = majority(said)
    if agreed is None and said:
        raise BadInput(_("annotators disagree ({labels})").format(labels=", ".join(said[:5])))
    return agreed


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
