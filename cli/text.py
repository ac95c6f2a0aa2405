"""Figures as people read them: durations, money, shares, bars. Pure; no colours."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import UTC, datetime

_UNITS = (("d", 86_400_000), ("h", 3_600_000), ("min", 60_000), ("s", 1_000))
_BLOCKS = " ▏▎▍▌▋▊▉█"
_HEIGHTS = "▁▂▃▄▅▆▇█"
# Digits after the point, where they are not two (ISO 4217).
_MINOR_DIGITS = dict.fromkeys(
    ("BIF", "CLP", "DJF", "GNF", "ISK", "JPY", "KMF", "KRW", "PYG", "RWF", "UGX", "VND", "VUV", "XAF", "XOF", "XPF"), 0
) | dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)


def duration(milliseconds: int, units: int = 2) -> str:
    """The largest units, cut off, not rounded: `3 d 4 h`, `5 min`, `0.3 s`. Negative ones count as 0."""
    left = max(0, milliseconds)
    if left < 10_000:
        return f"{left // 100 / 10:g} s"
    place = next(place for place, (_, size) in enumerate(_UNITS) if left >= size)
    parts = []
    for name, size in _UNITS[place : place + units]:
        if left >= size:
            parts.append(f"{left // size} {name}")
            left %= size
    return " ".join(parts)


def money(amount: int, currency: str) -> str:
    """Minor units and an ISO 4217 code: `MXN 1,245.00`."""
    digits = _MINOR_DIGITS.get(currency, 2)
    return f"{currency} {amount / 10**digits:,.{digits}f}"


def percent(part: int, whole: int) -> str:
    """`12.5 %`; a dash where there is nothing to compare with."""
    return f"{100 * part / whole:.1f} %" if whole else "–"


def bar(value: float, largest: float, width: int) -> str:
    """A bar of up to `width` characters, in eighths; what is more than nothing can be seen."""
    if value <= 0 or largest <= 0:
        return ""
    eighths = max(1, round(min(1.0, value / largest) * width * 8))
    return _BLOCKS[8] * (eighths // 8) + _BLOCKS[eighths % 8].strip()


def sparkline(values: Sequence[float], width: int) -> str:
    """The last `width` values as a line of bars, relative to the largest of them."""
    shown = values[-width:]
    largest = max(shown, default=0)
    if largest <= 0:
        return _HEIGHTS[0] * len(shown)
    return "".join(_HEIGHTS[min(7, int(max(0.0, value) / largest * 7 + 0.5))] for value in shown)


def cut(text: str, width: int) -> str:
    """At most `width` characters; what was cut off shows as an ellipsis."""
    return text if len(text) <= width else text[: max(0, width - 1)] + "…"


def plain(text: str) -> str:
    """One line, however it came in, without anything that a terminal would obey."""
    return "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in " ".join(text.split()))


def columns(rows: Sequence[Sequence[str]], right: Collection[int] = ()) -> list[str]:
    """A line per row, in columns as wide as what stands in them, two spaces apart; those numbered in `right` to the right."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        "  ".join(
            cell.rjust(width) if place in right else cell.ljust(width)
            for place, (cell, width) in enumerate(zip(row, widths, strict=True))
        ).rstrip()
        for row in rows
    ]


def moment(ms: int) -> str:
    """ms UTC → RFC 3339, to the millisecond."""
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def many(count: int, what: str) -> str:
    """`1 touchpoint`, `1,234 touchpoints`."""
    return f"{count:,} {what}{'' if count == 1 else 's'}"
