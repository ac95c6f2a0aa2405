"""Chance that can be repeated: each customer has a stream of their own, so that changing one walk changes no other."""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from typing import TypeVar

Item = TypeVar("Item")

_MASK = (1 << 64) - 1
# Knuth's MMIX generator: one multiplication a draw and eight bytes a customer, where random.Random holds 2.5 kB. Only the
# high 53 bits are used; the low ones of such a generator are poor.
_MULTIPLIER = 6364136223846793005
_INCREMENT = 1442695040888963407


class Chance:
    """A stream of numbers that is a function of its seed, on every machine and Python release."""

    __slots__ = ("_state",)

    def __init__(self, *seed: int | str) -> None:
        material = "/".join(map(str, seed)).encode()
        self._state = int.from_bytes(blake2b(material, digest_size=8, person=b"simulator").digest(), "big")

    def draw(self) -> float:
        """Uniform in [0, 1)."""
        self._state = state = (self._state * _MULTIPLIER + _INCREMENT) & _MASK
        return float((state >> 11) * 2**-53)

    def happens(self, probability: float) -> bool:
        return self.draw() < probability

    def between(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self.draw()

    def around(self, middle: float, spread: float) -> float:
        """Bell-shaped around the middle, never further from it than twice the spread."""
        return middle + spread * 2 * (self.draw() + self.draw() + self.draw() - 1.5) / 1.5

    def one_of(self, items: Sequence[Item]) -> Item:
        return items[int(self.draw() * len(items))]

    def weighted(self, items: Sequence[Item], weights: Sequence[float]) -> Item:
        """One item; the weights add up to 1."""
        left = self.draw()
        for item, weight in zip(items, weights, strict=True):
            left -= weight
            if left < 0:
                return item
        return items[-1]
