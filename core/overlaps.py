"""Texts that a labelled file has both in its training and in its evaluation split: figures on them mean nothing.

The same is what has the same form: a template with another number to call is no new text.
"""

from __future__ import annotations

from array import array

import numpy as np

from core.tsv import ExportRow

SPLIT_COLUMNS = frozenset("split set subset partition fold part phase usage type dataset data_split".split())
EXAMPLES = 10
_TRAIN = frozenset({"train", "training", "训练", "训练集"})
_EVALUATION = frozenset(
    {"dev", "development", "valid", "validation", "val", "eval", "evaluation", "test", "testing"}
    | {"验证", "验证集", "开发集", "测试", "测试集", "评估", "评估集"}
)


class SplitOverlaps:
    """Collects the texts of a file by split, 16 bytes each: the key of its form, and the line."""

    def __init__(self) -> None:
        self._train = (array("q"), array("q"))
        self._evaluation = (array("q"), array("q"))

    @staticmethod
    def split_of(row: ExportRow) -> str | None:
        """`train`, `evaluation`, or None where the row names no split."""
        named = {value.strip().lower() for name, value in row.extra.items() if name.strip().lower() in SPLIT_COLUMNS}
        return "train" if named & _TRAIN else "evaluation" if named & _EVALUATION else None

    def add(self, split: str, line: int, key: int) -> None:
        """key: of the form by which near-copies are recognised, signed 64 bits."""
        keys, lines = self._train if split == "train" else self._evaluation
        keys.append(key)
        lines.append(line)

    def found(self) -> tuple[int, list[tuple[int, int]]]:
        """(how many distinct texts stand on both sides, (line in train, line in evaluation) of some of them)."""
        train, train_lines = (np.array(column) for column in self._train)
        evaluation, evaluation_lines = (np.array(column) for column in self._evaluation)
        _, in_train, in_evaluation = np.intersect1d(train, evaluation, return_indices=True)
        pairs = sorted(zip(train_lines[in_train].tolist(), evaluation_lines[in_evaluation].tolist(), strict=True))
        return len(pairs), pairs[:EXAMPLES]
