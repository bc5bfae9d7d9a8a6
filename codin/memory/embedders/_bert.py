"""MiniLM's sums, in NumPy: BERT as a reader of sentences. Loaded when the first text comes.

Source: J. Devlin et al., "BERT", NAACL 2019; N. Reimers and I. Gurevych, "Sentence-BERT", EMNLP 2019.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import accumulate, pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Bert", "erf"]

Numbers = NDArray[np.float32]

_LAYERS = 6
_HEADS = 12
_TINY = np.float32(1e-12)
_AT_ONCE = 64 * 1024  # numbers that stay in a processor's cache through the steps of erf


class _Linear(NamedTuple):
    weight: Numbers
    bias: Numbers

    def __call__(self, rows: Numbers) -> Numbers:
        out = rows @ self.weight
        out += self.bias
        return out


class _Norm(NamedTuple):
    weight: Numbers
    bias: Numbers

    def __call__(self, rows: Numbers) -> Numbers:
        rows -= rows.mean(axis=1, keepdims=True)
        variance = np.einsum("ij,ij->i", rows, rows)[:, None] / np.float32(rows.shape[1])
        rows /= np.sqrt(variance + _TINY)
        rows *= self.weight
        rows += self.bias
        return rows


class _Layer(NamedTuple):
    look: _Linear  # queries, keys and values side by side
    gather: _Linear
    seen: _Norm
    widen: _Linear
    narrow: _Linear
    thought: _Norm


class Bert:
    """Vectors of texts that are numbers of tokens already. It changes nothing in itself, so threads may share it.

    Args:
        weights: as the model's file names them.
    """

    def __init__(self, weights: Mapping[str, Numbers]) -> None:
        self._words = weights["embeddings.word_embeddings.weight"]
        # All tokens are of one sentence: its kind is the same for each of them.
        self._places = (
            weights["embeddings.position_embeddings.weight"] + weights["embeddings.token_type_embeddings.weight"][0]
        )
        self._start = _norm(weights, "embeddings.LayerNorm")
        self._layers = [_layer(weights, f"encoder.layer.{number}") for number in range(_LAYERS)]

    def vectors(self, texts: Sequence[Sequence[int]]) -> Numbers:
        """The mean over each text's tokens, of length 1.

        The tokens of all texts are rows of one matrix. Nothing is filled up to a common length, so no work is wasted
        on it, and a text's vector does not depend on its neighbours.
        """
        ends = [0, *accumulate(map(len, texts))]
        spans = [slice(start, end) for start, end in pairwise(ends)]
        rows = self._words[np.fromiter((token for text in texts for token in text), np.intp, ends[-1])]
        for span in spans:
            rows[span] += self._places[: span.stop - span.start]
        rows = self._start(rows)
        for layer in self._layers:
            rows = layer.seen(rows + layer.gather(_looked(layer.look(rows), spans)))
            rows = layer.thought(rows + layer.narrow(_gelu(layer.widen(rows))))
        means = np.add.reduceat(rows, ends[:-1], axis=0)
        means /= np.linalg.norm(means, axis=1, keepdims=True)
        return means


def _looked(rows: Numbers, spans: Sequence[slice]) -> Numbers:
    """Attention: each token takes from those of its text what it looks for."""
    width = rows.shape[1] // 3
    deep = width // _HEADS
    out = np.empty((len(rows), width), np.float32)
    for span in spans:
        heads = rows[span].reshape(-1, 3, _HEADS, deep).transpose(1, 2, 0, 3)
        weights = heads[0] @ heads[1].transpose(0, 2, 1)
        weights -= weights.max(axis=2, keepdims=True)
        np.exp(weights, out=weights)
        weights /= weights.sum(axis=2, keepdims=True)
        out[span] = (weights @ heads[2]).transpose(1, 0, 2).reshape(-1, width)
    return out


def _gelu(rows: Numbers) -> Numbers:
    flat = rows.reshape(-1)
    for start in range(0, len(flat), _AT_ONCE):
        some = flat[start : start + _AT_ONCE]
        share = erf(some * np.float32(math.sqrt(0.5)))
        share += 1
        share *= 0.5
        some *= share
    return rows


def erf(numbers: Numbers) -> Numbers:
    """The error function, off by less than 6e-7: 1.5e-7 by the formula, the rest by float32.

    Source: Abramowitz and Stegun, "Handbook of Mathematical Functions", 7.1.26.
    """
    size = np.abs(numbers)
    near = 1 / (np.float32(0.3275911) * size + 1)
    tail = near * np.float32(1.061405429)
    for factor in (-1.453152027, 1.421413741, -0.284496736, 0.254829592):
        tail += np.float32(factor)
        tail *= near
    size *= size
    np.negative(size, out=size)
    tail *= np.exp(size, out=size)
    return np.copysign(1 - tail, numbers)


def _layer(weights: Mapping[str, Numbers], name: str) -> _Layer:
    look = [_linear(weights, f"{name}.attention.self.{part}") for part in ("query", "key", "value")]
    # What is looked for is scaled by the root of a head's depth; here once for all, in the weights.
    scale = np.float32(1 / math.sqrt(look[0].weight.shape[1] // _HEADS))
    look[0] = _Linear(look[0].weight * scale, look[0].bias * scale)
    return _Layer(
        look=_Linear(np.hstack([each.weight for each in look]), np.hstack([each.bias for each in look])),
        gather=_linear(weights, f"{name}.attention.output.dense"),
        seen=_norm(weights, f"{name}.attention.output.LayerNorm"),
        widen=_linear(weights, f"{name}.intermediate.dense"),
        narrow=_linear(weights, f"{name}.output.dense"),
        thought=_norm(weights, f"{name}.output.LayerNorm"),
    )


def _linear(weights: Mapping[str, Numbers], name: str) -> _Linear:
    return _Linear(np.ascontiguousarray(weights[f"{name}.weight"].T), weights[f"{name}.bias"])


def _norm(weights: Mapping[str, Numbers], name: str) -> _Norm:
    return _Norm(weights[f"{name}.weight"], weights[f"{name}.bias"])
