"""A version on several devices at once: a process on each holds the model, this one deals the texts out."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from types import TracebackType

import numpy as np
import numpy.typing as npt
import torch

from core.learning.classifiers import load_tokenizer
from core.learning.device import Device
from core.learning.scoring import Encoded, Reader, load_classifier, reading_of, refuse_other_base
from core.learning.seats import Crew, Seat

HEARD_EVERY_S = 1.0


class Fleet(Reader):
    """`with Fleet(…) as fleet`; leaving the block ends the processes."""

    def __init__(self, version_dir: Path, *, base_path: Path, devices: Sequence[Device]) -> None:
        """Raises BadInput when the base in base_path is another one than the version was trained on."""
        refuse_other_base(version_dir, base_path)
        super().__init__(load_tokenizer(version_dir), **reading_of(version_dir))
        self._count, self._first = len(devices), (version_dir, base_path, devices[0])
        self._crew = Crew(_score_in_seat, [device.place for device in devices], version_dir, base_path, list(devices))

    def __enter__(self) -> Fleet:
        self._crew.__enter__()
        return self

    def __exit__(self, kind: type[BaseException] | None, err: BaseException | None, tb: TracebackType | None) -> None:
        self._crew.__exit__(kind, err, tb)

    def stream(self, encoded: Sequence[Encoded]) -> Iterator[tuple[npt.NDArray[np.int64], npt.NDArray[np.float32]]]:
        """As of one device. Texts are dealt in turn by length, so that all devices have as much to do."""
        order = np.argsort([-len(ids) for ids in encoded], kind="stable")
        dealt = [order[rank :: self._count] for rank in range(self._count)]
        for rank, places in enumerate(dealt):
            self._crew.send(rank, [encoded[place] for place in places])
        working = self._count
        while working:
            for rank, found in self._crew.hear(timeout_s=HEARD_EVERY_S):
                if found is None:
                    working -= 1
                else:
                    places, logits = found
                    yield dealt[rank][places], logits

    def embed(self, texts: Sequence[str]) -> npt.NDArray[np.float32]:
        """As of one device, and on one: there are few of them."""
        version_dir, base_path, device = self._first
        return load_classifier(version_dir, base_path=base_path, device=device).embed(texts)


def _score_in_seat(seat: Seat, version_dir: Path, base_path: Path, devices: list[Device]) -> None:
    """Score what is sent until somebody ends the process; None says that all of it is scored."""
    if devices[seat.rank].kind == "cpu":
        torch.set_num_threads(max(1, torch.get_num_threads() // seat.count))
    classifier = load_classifier(version_dir, base_path=base_path, device=devices[seat.rank])
    while True:
        for found in classifier.stream(seat.receive()):
            seat.say(found)
        seat.say(None)
