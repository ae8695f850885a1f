"""The manifest of a version and its model card: what it was made of, and what it is worth."""

from __future__ import annotations

import hashlib
import importlib.metadata
import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path
from typing import Any

from core.calibration import Correction
from core.domain import LABEL_NAMES
from core.errors import BadInput
from core.evaluation import ENOUGH, Evaluation
from core.learning.folders import refuse_ways_out
from core.thresholds import MISSED, PRECISION
from core.wording import _

MANIFEST, CARD = "manifest.json", "README.md"
WEIGHED = ("*.safetensors", "adapter_config.json", "vocabulary.json")  # files that decide what a version says
NO_CORRECTION = Correction(1.0, (0.0,) * len(LABEL_NAMES))


def read_manifest(version_dir: Path) -> dict[str, Any]:
    """Raises BadInput when the folder is no version, leads out of itself, or has not our labels in our order."""
    refuse_ways_out(version_dir)
    try:
        manifest: dict[str, Any] = json.loads((version_dir / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError) as err:
        raise BadInput(
            _("{version_dir} holds no model version (manifest.json: {err}).").format(version_dir=version_dir, err=err)
        ) from err
    if manifest.get("labels") != list(LABEL_NAMES):
        raise BadInput(
            _("{version_dir} has labels {labels}, expected {expected} in this order.").format(
                version_dir=version_dir, labels=manifest.get("labels"), expected=list(LABEL_NAMES)
            )
        )
    return manifest


def correction_of(manifest: dict[str, Any]) -> Correction:
    """What turns the version's logits into the probabilities that it was measured by."""
    found = manifest.get("calibration")
    return Correction(float(found["temperature"]), tuple(map(float, found["offset"]))) if found else NO_CORRECTION


def record(folder: Path, manifest: dict[str, Any]) -> None:
    """Write manifest and model card."""
    (folder / MANIFEST).write_text(json.dumps(manifest, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    (folder / CARD).write_text(_card(manifest), encoding="utf-8")


def with_evaluation(manifest: dict[str, Any], found: Evaluation) -> dict[str, Any]:
    """The manifest of a version that was measured."""
    calibration = None if found.correction is None else asdict(found.correction)
    return manifest | {"metrics": found.figures, "calibration": calibration}


def with_hashes(folder: Path, manifest: dict[str, Any]) -> dict[str, Any]:
    """The manifest with the SHA-256 of each file that decides what the version says."""
    found = sorted(path for pattern in WEIGHED for path in folder.glob(pattern))
    return manifest | {"files": {path.name: file_hash(path) for path in found}}


def file_hash(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def libraries(names: Iterable[str]) -> dict[str, str]:
    return {name: importlib.metadata.version(name) for name in names}


# --- the card -------------------------------------------------------------------------------------------------------


def _card(manifest: dict[str, Any]) -> str:
    return f"""# A moderation model made by Tiebreak

{_made_of(manifest)}

{_calibrated(manifest)} Hyper-parameters, library versions and device stand in `manifest.json`.

{_measured(manifest["metrics"])}

Warnings:{_warnings(manifest)}
"""


def exported_card(manifest: dict[str, Any], *, use: str) -> str:
    """The card of a version whose correction is folded into its head. use: how other programs read the folder."""
    return f"""# A moderation model made by Tiebreak

{_made_of(manifest)}

{_folded(manifest)}

{use}

Give it text without markup, as Tiebreak does: BBCode and HTML resolved, quotations left out, blanks folded into one.

## Thresholds

{_thresholds(manifest)}

## Figures

{_measured(manifest["metrics"])}

Warnings:{_warnings(manifest)}
"""


def _made_of(manifest: dict[str, Any]) -> str:
    counts = ", ".join(f"{name} {count:,}" for name, count in manifest["examples"]["training"].items())
    labels = ", ".join(manifest["labels"])
    return f"{_kind(manifest)}\nLabels in order: {labels}. Trained on {counts}; snapshot `{manifest['snapshot']}`."


def _warnings(manifest: dict[str, Any]) -> str:
    return "".join(f"\n- {warning}" for warning in manifest["warnings"]) or "\n- none"


def _folded(manifest: dict[str, Any]) -> str:
    found = manifest["calibration"]
    if not found:
        return f"Its probabilities are softmax(logits). {_calibrated(manifest)}"
    offsets = ", ".join(f"{name} {value:+.2f}" for name, value in zip(LABEL_NAMES, found["offset"], strict=True))
    return (
        "Its probabilities are softmax(logits), with nothing to be added: the head already holds the temperature "
        f"{found['temperature']:.3f} and the offset ({offsets}) that were fitted on labelled texts drawn at random."
    )


def _thresholds(manifest: dict[str, Any]) -> str:
    found = manifest["metrics"].get("thresholds")
    if not found:
        return (
            f"None have been set: that takes {ENOUGH} labelled texts that were drawn at random. The most likely label "
            "counts; what is hidden or sent to review by itself is for whoever uses the model to choose, by the "
            "precision and the recall that they need."
        )
    removes = _threshold(
        found["removes"],
        "Remove where the probability of a violation is {at:.3f} or more: {removed} of the posts, of which {precision} "
        "are violations.",
        f"None removes posts with a precision of {PRECISION:.0%}.",
        found,
    )
    passes = _threshold(
        found["passes"],
        "Pass where the probability of normal is {at:.3f} or more: {passed} of the posts; {missed} of the violations "
        "are among them.",
        f"None passes posts and lets through {MISSED:.0%} of the violations at most.",
        found,
    )
    left = f"Left for moderators: {_share(found['moderators'])} of the posts."
    told = "Shares with 95 % intervals, out of fold: chosen on some families, tried on others."
    return f"- {removes}\n- {passes}\n- {left}\n\n{told}"


def _threshold(at: float | None, words: str, otherwise: str, found: dict[str, Any]) -> str:
    shares = {name: _share(each) for name, each in found.items() if isinstance(each, dict)}
    return otherwise if at is None else words.format(at=at, **shares)


def _share(figure: dict[str, Any]) -> str:
    if figure["value"] is None:
        return "an unknown share"
    interval = figure["interval"]
    said = f"{figure['value']:.1%}"
    return f"{said} ({interval[0]:.1%} to {interval[1]:.1%})" if interval else said


def _kind(manifest: dict[str, Any]) -> str:
    base = manifest["base"]
    if base["sha256"] is None:
        return "TF-IDF of character 1- to 3-grams and a logistic regression: the baseline, in safetensors and JSON."
    return f"LoRA adapter and classification head on `{base['name']}` (weights SHA-256 `{base['sha256']}`)."


def _calibrated(manifest: dict[str, Any]) -> str:
    found = manifest["calibration"]
    if not found:
        return f"Probabilities are not calibrated: that takes {ENOUGH} labelled texts that were drawn at random."
    offsets = ", ".join(f"{name} {value:+.2f}" for name, value in zip(LABEL_NAMES, found["offset"], strict=True))
    return (
        f"Probabilities are softmax(logits / {found['temperature']:.3f} + offset), offset {offsets}: the temperature "
        "and the shares of the labels in the pool come from labelled texts that were drawn at random."
    )


def _measured(metrics: dict[str, Any]) -> str:
    """The figures in words and a table."""
    if not metrics:
        return "Measured on nothing: no judged text was kept aside yet."
    low, high = metrics["intervals"]["macro_f1"] or (float("nan"), float("nan"))
    how = {
        "audit": "drawn at random (audit slice)",
        "evaluation": "kept aside, most of them chosen by the queue because they are hard",
        "file": "of an evaluation file",
    }[metrics["measured_on"]]
    lines = [
        f"Measured on {metrics['judged']:,} judged texts {how}, which stand for {metrics['total']:,} posts: "
        f"macro-F1 {metrics['macro_f1']:.3f} (95 % interval {low:.3f} to {high:.3f}), "
        f"accuracy {metrics['accuracy']:.3f}, calibration error {metrics['calibration']['error']:.3f}.",
        "",
        "| label | precision | recall | F1 | posts |",
        "|---|---|---|---|---|",
    ]
    for name, of_class in metrics["per_class"].items():
        figures = " | ".join(f"{of_class[figure]:.3f}" for figure in ("precision", "recall", "f1"))
        lines.append(f"| {name} | {figures} | {of_class['support']:,} |")
    return "\n".join(lines)
