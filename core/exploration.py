"""Exploration: one post of each kind that the pool holds, for labels that no ranking by probability asks for.

Kinds are clusters of a model's embeddings, found by k-means in mini-batches (Sculley 2010) over a shortlist drawn at
random; each is represented by the text that lies nearest to its centre.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

TEXTS_A_KIND = 20  # of the shortlist: fewer would make a kind of each text
MOST_KINDS = 1_000


def representatives(embeddings: npt.NDArray[np.float32], *, rng: np.random.Generator) -> npt.NDArray[np.int64]:
    """Positions of texts, one of each kind and the kinds in random order. embeddings: (n_texts, n_dimensions)."""
    kinds = min(MOST_KINDS, len(embeddings) // TEXTS_A_KIND)
    if kinds < 2:
        return np.empty(0, dtype=np.int64)
    from sklearn.cluster import MiniBatchKMeans  # slow to load, and most of what uses this module never gets here

    # Of equal length: how much a text says is not what kind it is.
    lengths = np.linalg.norm(embeddings, axis=1, keepdims=True)
    directions = embeddings / np.maximum(lengths, np.finfo(np.float32).tiny)
    seed = int(rng.integers(2**31))
    found = MiniBatchKMeans(kinds, n_init=1, batch_size=4_096, random_state=seed).fit(directions)
    far = np.linalg.norm(directions - found.cluster_centers_[found.labels_], axis=1)
    order = np.lexsort((far, found.labels_))  # the nearest of each kind first
    _, first = np.unique(found.labels_[order], return_index=True)
    return rng.permutation(order[first])
