"""Long values as several changelog records: a value is cut into slices of 64 kB, so that an append rewrites only the last.

Slice 0 has the value's own key; the others have the key with its first byte in upper case and their number behind it. So a
leg's keys start with a lower-case letter that says what they are.
"""

from __future__ import annotations

from collections import defaultdict

SLICE = 64 * 1024
_NUMBER_BYTES = 4


def slices(key: bytes, value: bytes | bytearray, changed_from: int = 0) -> dict[bytes, bytes | None]:
    """The changelog records of `value`, from the slice that holds byte `changed_from` on."""
    first = min(changed_from, max(len(value) - 1, 0)) // SLICE
    return {
        part_key(key, number): bytes(value[number * SLICE : (number + 1) * SLICE])
        for number in range(first, max(1, -(-len(value) // SLICE)))
    }


def part_key(key: bytes, number: int) -> bytes:
    """The changelog key of part `number` of the value of `key`."""
    return key if number == 0 else key[:1].upper() + key[1:] + number.to_bytes(_NUMBER_BYTES, "big")


class Gathered:
    """Puts slices together again while a changelog is read, in whatever order compaction left them."""

    def __init__(self) -> None:
        self.values: dict[bytes, bytes] = {}
        self._rest: dict[bytes, dict[int, bytes]] = defaultdict(dict)

    def put(self, key: bytes, value: bytes | None) -> None:
        """One record of the changelog; without a value the slice is gone."""
        if key[:1].islower():
            if value is None:
                self.values.pop(key, None)
            else:
                self.values[key] = value
            return
        owner, number = key[:1].lower() + key[1:-_NUMBER_BYTES], int.from_bytes(key[-_NUMBER_BYTES:], "big")
        if value is None:
            self._rest[owner].pop(number, None)
        else:
            self._rest[owner][number] = value

    def parts(self, key: bytes) -> dict[int, bytes]:
        """The parts of a value besides its first, by number, for who puts them together in an order of its own."""
        return self._rest.get(key, {})

    def whole(self) -> dict[bytes, bytes]:
        """All values; to be asked once, when the changelog has been read to its end."""
        for owner, rest in self._rest.items():
            if rest and owner in self.values:
                self.values[owner] += b"".join(rest[number] for number in sorted(rest))
        self._rest.clear()
        return self.values
