"""A map, made ready for one file: row → touchpoint as a source would send it, or the reason why not. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal, InvalidOperation
from typing import Any
from zoneinfo import ZoneInfo

from ingest import cells
from ingest.cells import Get, Row
from ingest.map import Cell, Map, MapError, Money, Said, Time
from ingest.rejected import Rejected

MAX_STREAM = 128  # characters of `Touchpoint.stream`


class RowMapper:
    """Maps the rows of one file, in its order: it counts each customer's rows."""

    def __init__(self, rules: Map, file: str, columns: Sequence[str] | None) -> None:
        """`file` names the content; `columns` are those of a CSV file, None for JSON lines. Raises MapError."""
        self._file = file
        self._places = None if columns is None else {name: place for place, name in enumerate(columns)}
        self._counts: dict[str, int] = {}
        cell = self._cell
        self._where = [(self._column(name), cells.any_of(patterns)) for name, patterns in rules.where.items()]
        self._identifiers = [(kind, cell(source, as_text=True)) for kind, source in rules.identifiers.items()]
        self._event_id = [self._column(name) for name in rules.event_id]
        self._sequence = None if rules.sequence is None else cells.whole(self._column(rules.sequence), rules.sequence)
        self._fields: list[tuple[str, Get]] = [("channel", cell(rules.channel)), ("name", cell(rules.name))]
        if rules.occurred_at is not None:
            self._fields.append(("occurred_at", self._time(rules.occurred_at, rules.zone)))
        if rules.revision is not None:
            self._fields.append(("revision", cells.whole(self._column(rules.revision), rules.revision)))
        if rules.value is not None:
            self._fields.append(("value", self._money(rules.value)))
        consent = rules.consent
        self._consent = None if consent is None else cell(consent.model_copy(update={"type": "boolean"}))
        if rules.feedback is not None:
            self._fields.append(("feedback", self._feedback(rules.feedback)))
        for name, parts in (("context", rules.context), ("properties", rules.properties)):
            if parts:
                self._fields.append((name, self._group(parts)))

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
            stream = f"{self._file}:{cells.hashed(customer)}"
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
        except cells.Unmappable as error:
            return Rejected("unmappable", "", str(error))
        touchpoint["stream"] = stream
        touchpoint["event_id"] = f"{stream}|{count}"
        if self._event_id:
            named = [get(row) for get in self._event_id]
            if None in named:
                return Rejected(
                    "unmappable", "event_id", "a column of the event_id is empty: fill it, or map another one"
                )
            touchpoint["event_id"] = cells.joined([str(part) for part in named])
        return touchpoint

    def _fits(self, row: Row) -> bool:
        return self._places is None or len(row) == len(self._places)

    def _left_out(self, row: Row) -> bool:
        return any(not pattern.match(str(get(row) or "")) for get, pattern in self._where)

    def _identifiers_of(self, row: Row) -> dict[str, Any]:
        return {kind: value for kind, get in self._identifiers if (value := get(row)) is not None}

    @staticmethod
    def _customer(identifiers: Mapping[str, Any]) -> str:
        return cells.joined([f"{kind}={value}" for kind, value in identifiers.items()])

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
            return lambda row: cells.inside(row, keys)
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
            return cells.lookup(column, name, cell.match)
        if cell.type == "number":
            return lambda row: cells.number(column(row), name)
        if cell.type == "boolean":
            return lambda row: cells.boolean(column(row), name)
        if as_text or cell.type == "text":
            return lambda row: None if (value := column(row)) is None else str(value)
        return column

    def _group(self, parts: Mapping[str, Cell]) -> Get:
        getters = [(name, self._cell(cell)) for name, cell in parts.items()]

        def group(row: Row) -> dict[str, Any] | None:
            return {name: value for name, get in getters if (value := get(row)) is not None} or None

        return group

    def _feedback(self, said: Said) -> Get:
        parts = {name: cell for name, cell in said if cell is not None}
        if said.score is not None:
            parts["score"] = said.score.model_copy(update={"type": "number"})
        group = self._group(parts)

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
                moment = cells.time(value, time.format)
            except (ValueError, TypeError, OverflowError, OSError) as error:
                raise cells.Unmappable(f"{name} is {value!r}, not a time of the form {time.format}: {error}") from error
            if moment.tzinfo is None:
                if zone is None:
                    raise cells.Unmappable(
                        f"{name} is {value!r}, without zone: write `zone: Europe/Madrid` into the map"
                    )
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
                raise cells.Unmappable(f"{name} is {cell!r}, not an amount") from error
            if whole != minor:
                raise cells.Unmappable(f"{name} is {cell!r}, finer than the minor unit: set value.decimals in the map")
            return {"amount": whole, "currency": currency(row)}

        return value
