"""Text for masked language modelling: token ids kept compactly, batches of similar length, and what is masked."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import torch
from transformers import PreTrainedTokenizerBase

TEXTS_AT_ONCE = 10_000  # tokenised together
UNMASKED = -1


@dataclass(frozen=True, slots=True)
class Corpus:
    """Token ids of all texts one after the other, and where each text ends: 4 bytes a token, however many texts."""

    ids: npt.NDArray[np.int32]
    ends: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.ends)

    @property
    def lengths(self) -> npt.NDArray[np.int64]:
        return np.diff(self.ends, prepend=0)

    def rows(self, places: Iterable[int]) -> list[npt.NDArray[np.int32]]:
        return [self.ids[self.ends[at - 1] if at else 0 : self.ends[at]] for at in places]


def encode(tokenizer: PreTrainedTokenizerBase, texts: Iterable[str], max_tokens: int) -> Corpus:
    """Texts of which more than two tokens are left beside the special ones; the others teach nothing."""
    ids, lengths = [np.zeros(0, dtype=np.int32)], []
    for part in _parts(texts):
        encoded = tokenizer(part, truncation=True, max_length=max_tokens, return_attention_mask=False)["input_ids"]
        kept = [tokens for tokens in encoded if len(tokens) > 4]
        ids.append(np.fromiter((token for tokens in kept for token in tokens), dtype=np.int32))
        lengths += [len(tokens) for tokens in kept]
    return Corpus(np.concatenate(ids), np.cumsum(lengths, dtype=np.int64))


def _parts(texts: Iterable[str]) -> Iterator[list[str]]:
    part: list[str] = []
    for text in texts:
        part.append(text)
        if len(part) == TEXTS_AT_ONCE:
            yield part
            part = []
    if part:
        yield part


def batches_of(
    lengths: npt.NDArray[np.int64], *, batch_size: int, seed: int, epoch: int
) -> Iterator[npt.NDArray[np.int64]]:
    """Places of batches of similar length in random order, the same for the same epoch and seed."""
    rng = np.random.default_rng((seed, epoch))
    order = np.argsort(lengths + rng.uniform(0, 8, len(lengths)))
    for start in rng.permutation(np.arange(0, len(lengths), batch_size)):
        yield order[start : start + batch_size]


@dataclass(frozen=True, slots=True)
class Masked:
    tokens: torch.Tensor  # (batch, length) with some replaced
    attention: torch.Tensor  # (batch, length)
    truth: torch.Tensor  # (batch, length), UNMASKED where nothing is to be guessed

    def rows(self, start: int, end: int) -> Masked:
        return Masked(self.tokens[start:end], self.attention[start:end], self.truth[start:end])


def mask(
    batch: Sequence[npt.NDArray[np.int32]], tokenizer: PreTrainedTokenizerBase, share: float, generator: torch.Generator
) -> Masked:
    """Choose a share of the tokens; of these 80 % become [MASK], 10 % a random token, 10 % stay."""
    length = max(map(len, batch))
    tokens = torch.full((len(batch), length), tokenizer.pad_token_id)
    for row, ids in enumerate(batch):
        tokens[row, : len(ids)] = torch.from_numpy(ids)
    attention = tokens != tokenizer.pad_token_id
    special = torch.isin(tokens, torch.tensor(tokenizer.all_special_ids))
    is_masked = (torch.rand(tokens.shape, generator=generator) < share) & ~special
    truth = tokens[is_masked]
    fate = torch.rand(truth.shape, generator=generator)
    random_tokens = torch.randint(len(tokenizer), truth.shape, generator=generator)
    shown = torch.where(
        fate < 0.8, torch.tensor(tokenizer.mask_token_id), torch.where(fate < 0.9, random_tokens, truth)
    )
    wanted = torch.where(is_masked, tokens, torch.tensor(UNMASKED))
    tokens[is_masked] = shown
    return Masked(tokens, attention.long(), wanted)
