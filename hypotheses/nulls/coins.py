"""Fair coins of thousands of replicates at once: the bits that one generator a replicate would give.

Making a `numpy.random.SeedSequence` and a generator takes longer than two hundred coins.  Here the keys of all
replicates are hashed together and one Philox is set to each key in turn.  Both algorithms are fixed by numpy's promise
of stable streams (NEP 19); `tests/hypotheses/test_coins.py` holds every bit to `generator`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import torch

from .base import salt

_POOL = 4
_A, _TIMES_A = 0x43B0D7E5, 0x931E8875
_B, _TIMES_B = 0x8B51F9DD, 0x58F38DED
_LEFT, _RIGHT = np.uint32(0xCA01F9DD), np.uint32(0x4973F715)
_SHIFT = np.uint32(16)

_Words = npt.NDArray[np.uint32]


def coins(seed: int, replicates: range, stream: str, size: int) -> torch.Tensor:
    """Return ``generator(seed, r, stream).random(size) < 0.5`` of every replicate r below 2^32, bool [R, size]."""
    philox = np.random.Philox(0)
    state: Any = philox.state  # how numpy types it differs between its versions
    out = np.empty((len(replicates), size), dtype=np.bool_)
    for row, key in zip(out, _keys(seed, replicates, stream), strict=True):
        state["state"]["key"] = key
        philox.state = state
        # a uniform below one half is a word without its highest bit
        np.less(philox.random_raw(size), np.uint64(1 << 63), out=row)
    return torch.from_numpy(out)


def _keys(seed: int, replicates: range, stream: str) -> npt.NDArray[np.uint64]:
    """Philox keys of ``SeedSequence([seed, r, salt])``, [R, 2]: O'Neill's seed_seq_fe, as numpy has it."""
    numbers = np.asarray(replicates, dtype=np.uint32)
    words = [*_words(seed), numbers, *_words(salt(stream))]
    entropy = [np.broadcast_to(np.asarray(word, dtype=np.uint32), numbers.shape) for word in words]
    entropy += [np.zeros_like(numbers)] * (_POOL - len(entropy))
    constants = _constants(_A, _TIMES_A)
    pool = [_hashed(word, constants) for word in entropy[:_POOL]]
    for source in range(_POOL):
        for target in range(_POOL):
            if source != target:
                pool[target] = _mixed(pool[target], _hashed(pool[source], constants))
    for word in entropy[_POOL:]:
        for target in range(_POOL):
            pool[target] = _mixed(pool[target], _hashed(word, constants))
    constants = _constants(_B, _TIMES_B)
    low, high, second_low, second_high = (_hashed(word, constants).astype(np.uint64) for word in pool)
    return np.stack([low | high << np.uint64(32), second_low | second_high << np.uint64(32)], axis=1)


def _words(number: int) -> Sequence[int]:
    """Words of 32 bits of a number, lowest first; 0 has one."""
    return [number >> place & 0xFFFFFFFF for place in range(0, max(1, number.bit_length()), 32)]


def _constants(first: int, factor: int) -> Iterator[tuple[np.uint32, np.uint32]]:
    """What is added to, and what multiplies, one word after the other."""
    while True:
        following = first * factor & 0xFFFFFFFF
        yield np.uint32(first), np.uint32(following)
        first = following


def _hashed(word: _Words, constants: Iterator[tuple[np.uint32, np.uint32]]) -> _Words:
    added, factor = next(constants)
    hashed = (word ^ added) * factor
    return hashed ^ hashed >> _SHIFT


def _mixed(x: _Words, y: _Words) -> _Words:
    mixed: _Words = _LEFT * x - _RIGHT * y
    return mixed ^ mixed >> _SHIFT
