"""A map, made ready for one file: row → touchpoint as a source would send it, or the reason why not. Pure."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from decimal import Decimal, InvalidOperation
from fnmatch import translate
from hashlib import blake2b
from math import isfinite
from typing import Any
from zoneinfo import ZoneInfo

from ingest.map import ISO, MILLISECONDS, SECONDS, Cell, Map, MapError, Money, Said, Time
from ingest.rejected import Rejected

Row = Sequence[Any] | Mapping[str, Any]
Get = Callable[[Any], Any]
MAX_STREAM = 128  # characters of `Touchpoint.stream`


class _Unmappable(ValueError):
    """A cell that cannot be read; inside this module only."""


class RowMapper:
    """Maps the rows of one file, in its order: it counts each customer's rows."""

    def __init__(self, rules: Map, file: str, columns: Sequence[str] | None) -> None:
        """`file` names the content; `columns` are those of a CSV file, None for JSON lines. Raises MapError."""
        self._file = file
        self._places = None if columns is None else {name: place for place, name in enumerate(columns)}
        self._counts: dict[str, int] = {}
        cell = self._cell
        self._where = [(self._column(name), _pattern(patterns)) for name, patterns in rules.where.items()]
        self._identifiers = [(kind, cell(source, as_text=True)) for kind, source in rules.identifiers.items()]
        self._event_id = [self._column(name) for name in rules.event_id]
        self._sequence = None if rules.sequence is None else _whole(self._column(rules.sequence), rules.sequence)
        self._fields: list[tuple[str, Get]] = [("channel", cell(rules.channel)), ("name", cell(rules.name))]
        if rules.occurred_at is not None:
            self._fields.append(("occurred_at", self._time(rules.occurred_at, rules.zone)))
        if rules.revision is not None:
            self._fields.append(("revision", _whole(self._column(rules.revision), rules.revision)))
        if rules.value is not None:
            self._fields.append(("value", self._money(rules.value)))
        consent = rules.consent
        self._consent = None if consent is None else cell(consent.model_copy(update={"type": "boolean"}))
        if rules.feedback is not None:
            self._fields.append(("feedback", self._feedback(rules.feedback)))
        for name, cells in (("context", rules.context), ("properties", rules.properties)):
            if cells:
                self._fields.append((name, self._group(cells)))

    def skip(self, row: Row) -> None:
        """Count a row that was sent before."""
        if self._fits(row) and not self._left_out(row):
            self._next(self._customer(self._identifiers_of(row)))

    def touchpoint(self, row: Row) -> dict[str, Any] | Rejected | None:
        """As a source would send it; None for a row that `where` leaves out."""
        if not self._fits(row):
            return Rejected(
                "unmappable", "", f"{len(row)} cells, the header has {len(self._places or ())}: fix the row"
            )
        if self._left_out(row):
            return None
        identifiers = self._identifiers_of(row)
        customer = self._customer(identifiers)
        count = self._next(customer)  # also of a row that turns out wrong: the numbers of the others stay
        stream = f"{self._file}:{customer}"
        if len(stream) > MAX_STREAM:
            stream = f"{self._file}:{_hash(customer)}"
        try:
            touchpoint: dict[str, Any] = {"identifiers": identifiers}
            if self._consent is not None and (agreed := self._consent(row)) is not None:
                if not agreed:  # before anything else, for what else is wrong may not be kept
                    return Rejected("no_consent", "consent.analytics", "the customer did not agree: not kept")
                touchpoint["consent"] = {"analytics": True}
            for name, get in self._fields:
                value = get(row)
                if value is not None:
                    touchpoint[name] = value
            touchpoint["sequence"] = count if self._sequence is None else self._sequence(row)
        except _Unmappable as error:
            return Rejected("unmappable", "", str(error))
        touchpoint["stream"] = stream
        touchpoint["event_id"] = f"{stream}|{count}"
        if self._event_id:
            named = [get(row) for get in self._event_id]
            if None in named:
                return Rejected(
                    "unmappable", "event_id", "a column of the event_id is empty: fill it, or map another one"
                )
            touchpoint["event_id"] = _joined([str(part) for part in named])
        return touchpoint

    def _fits(self, row: Row) -> bool:
        return self._places is None or len(row) == len(self._places)

    def _left_out(self, row: Row) -> bool:
        return any(not pattern.match(str(get(row) or "")) for get, pattern in self._where)

    def _identifiers_of(self, row: Row) -> dict[str, Any]:
        return {kind: value for kind, get in self._identifiers if (value := get(row)) is not None}

    @staticmethod
    def _customer(identifiers: Mapping[str, Any]) -> str:
        return _joined([f"{kind}={value}" for kind, value in identifiers.items()])

    def _next(self, customer: str) -> int:
        count = self._counts.get(customer, 0)
        self._counts[customer] = count + 1
        return count

    def _column(self, name: str) -> Get:
        """The value in a column; None if the cell is empty or missing."""
        if self._places is None:
            if "." not in name:
                return lambda row: row.get(name)
            keys = name.split(".")
            return lambda row: _inside(row, keys)
        if name not in self._places:
            raise MapError(f"the file has no column {name!r}; it has {', '.join(self._places)}")
        place = self._places[name]
        return lambda row: row[place] or None

    def _cell(self, cell: Cell, as_text: bool = False) -> Get:
        if cell.column is None:
            constant = cell.value
            return lambda _row: constant
        column, name = self._column(cell.column), cell.column
        if cell.match is not None:
            return _lookup(column, name, cell.match)
        if cell.type == "number":
            return lambda row: _number(column(row), name)
        if cell.type == "boolean":
            return lambda row: _boolean(column(row), name)
        if as_text or cell.type == "text":
            return lambda row: None if (value := column(row)) is None else str(value)
        return column

    def _group(self, cells: Mapping[str, Cell]) -> Get:
        getters = [(name, self._cell(cell)) for name, cell in cells.items()]

        def group(row: Row) -> dict[str, Any] | None:
            return {name: value for name, get in getters if (value := get(row)) is not None} or None

        return group

    def _feedback(self, said: Said) -> Get:
        cells = {name: cell for name, cell in said if cell is not None}
        if said.score is not None:
            cells["score"] = said.score.model_copy(update={"type": "number"})
        group = self._group(cells)

        def feedback(row: Row) -> dict[str, Any] | None:
            """None if the customer said nothing: neither score nor text."""
            found = group(row)
            return found if found and ("score" in found or "text" in found) else None

        return feedback

    def _time(self, time: Time, zone: ZoneInfo | None) -> Get:
        column, name, zone = self._column(time.column), time.column, time.zone or zone

        def parsed(row: Row) -> str | None:
            value = column(row)
            if value is None:
                return None
            try:
                moment = _moment(value, time.format)
            except (ValueError, TypeError, OverflowError, OSError) as error:
                raise _Unmappable(f"{name} is {value!r}, not a time of the form {time.format}: {error}") from error
            if moment.tzinfo is None:
                if zone is None:
                    raise _Unmappable(f"{name} is {value!r}, without zone: write `zone: Europe/Madrid` into the map")
                moment = moment.replace(tzinfo=zone)
            return moment.isoformat()

        return parsed

    def _money(self, money: Money) -> Get:
        amount, currency = self._cell(money.amount), self._cell(money.currency)
        name, scale = money.amount.column or "value.amount", 0 if money.minor else money.decimals

        def value(row: Row) -> dict[str, Any] | None:
            cell = amount(row)
            if cell is None:
                return None
            try:
                minor = Decimal(str(cell)).scaleb(scale)
                whole = int(minor)
            except (InvalidOperation, ValueError, OverflowError) as error:
                raise _Unmappable(f"{name} is {cell!r}, not an amount") from error
            if whole != minor:
                raise _Unmappable(f"{name} is {cell!r}, finer than the minor unit: set value.decimals in the map")
            return {"amount": whole, "currency": currency(row)}

        return value


def _moment(value: Any, form: str) -> datetime:
    if form == ISO:
        return datetime.fromisoformat(value)
    if form in (SECONDS, MILLISECONDS):
        return datetime.fromtimestamp(float(value) / (1 if form == SECONDS else 1000), UTC)
    return datetime.strptime(value, form)  # noqa: DTZ007 - the zone is the caller's


def _inside(row: Any, keys: Sequence[str]) -> Any:
    for key in keys:
        if not isinstance(row, dict):
            return None
        row = row.get(key)
    return row


def _pattern(patterns: Sequence[str]) -> re.Pattern[str]:
    return re.compile("|".join(map(translate, patterns)))


def _lookup(column: Get, name: str, table: Mapping[str, str]) -> Get:
    """The value of the first pattern that fits; remembered, for columns repeat themselves."""
    patterns = [(_pattern([pattern]), value) for pattern, value in table.items()]
    known: dict[str, str] = {}

    def get(row: Row) -> str:
        text = str(column(row) or "")
        found = known.get(text)
        if found is None:
            found = next((value for pattern, value in patterns if pattern.match(text)), None)
            if found is None:
                raise _Unmappable(f'{name} is {text!r}, which no pattern fits: add it, or "*" for all others')
            if len(known) < 10_000:
                known[text] = found
        return found

    return get


def _whole(column: Get, name: str) -> Get:
    def get(row: Row) -> int | None:
        value = column(row)
        try:
            return None if value is None else int(value)
        except (ValueError, TypeError) as error:
            raise _Unmappable(f"{name} is {value!r}, not a whole number") from error

    return get


def _number(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    try:
        return int(value)
    except ValueError:
        pass
    try:
        number = float(value)
    except ValueError as error:
        raise _Unmappable(f"{name} is {value!r}, not a number") from error
    if not isfinite(number):
        raise _Unmappable(f"{name} is {value!r}, not a finite number")
    return number


def _boolean(value: Any, name: str) -> Any:
    if not isinstance(value, str):
        return value
    found = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}.get(value.lower())
    if found is None:
        raise _Unmappable(f"{name} is {value!r}, not true or false")
    return found


def _joined(parts: Sequence[str]) -> str:
    """Texts as one, so that other parts never give the same; short enough for an identifier."""
    text = "|".join(parts)
    if "\\" in text or text.count("|") >= len(parts):
        text = "|".join(part.replace("\\", "\\\\").replace("|", "\\|") for part in parts)
    return text if len(text) <= 256 else _hash(text)


def _hash(text: str) -> str:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).hexdigest()
