"""A file → touchpoints, in chunks. Pure but for the reading of the file: what is done with the chunks decides who asks.

Three kinds of file: rows that a map turns into touchpoints, touchpoints as a source sends them (JSON lines), and stored
touchpoints as `--dry-run` writes them, which go on unchanged.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import chain
from typing import Any, Protocol

import msgspec

from ingest.accept import Accepted, accept, accept_record
from ingest.channels.files import File, Row
from ingest.erased import NOTHING, Erased
from ingest.map import Map, MapError
from ingest.mapping import RowMapper
from ingest.read import Record, read, record
from ingest.rejected import Rejected, is_kept
from ingest.source import Source
from schemas.codec import StoredStruct, encode
from schemas.dead_letter import dead_letter
from schemas.identity import DEFAULT_KINDS, Kinds, address, in_order, normalise

CHUNK_ROWS = 1000


@dataclass(slots=True)
class Chunk:
    """What some rows of a file have become, and how many rows of the file are done after it."""

    rows: int
    accepted: list[Accepted] = field(default_factory=list)
    rejected: list[tuple[Row, Rejected]] = field(default_factory=list)
    left_out: int = 0


class Reader(Protocol):
    """One kind of file."""

    def row(self, row: Row, received_at: int) -> Accepted | Rejected | None:
        """What becomes of the row; None if the map leaves it out. `received_at` in ms UTC."""

    def skip(self, row: Row) -> None:
        """Take note of a row that was done before."""


class MappedRows:
    """Rows that a map turns into touchpoints."""

    def __init__(
        self, rules: Map, file: File, header: Row | None, kinds: Kinds = DEFAULT_KINDS, erased: Erased = NOTHING
    ) -> None:
        columns = None if header is None else header.content
        if isinstance(columns, bytes | str):
            raise MapError(f"{file.name}: the first line is no header")
        self._source, self._kinds, self._erased = Source(rules.source), kinds, erased
        self._mapper = RowMapper(rules, file.content, columns)

    def row(self, row: Row, received_at: int) -> Accepted | Rejected | None:
        touchpoint = self.as_sent(row)
        if touchpoint is None or isinstance(touchpoint, Rejected):
            return touchpoint
        try:
            raw = encode(touchpoint)
        except UnicodeEncodeError:
            return Rejected("unmappable", "", "the row is not UTF-8: convert the file")
        found = record(touchpoint, raw)
        return accept_record(found, self._source, received_at, kinds=self._kinds, erased=self._erased)

    def as_sent(self, row: Row) -> dict[str, Any] | Rejected | None:
        """The touchpoint as a source would send it over HTTP; None if the map leaves the row out."""
        cells = _cells(row)
        return cells if isinstance(cells, Rejected) else self._mapper.touchpoint(cells)

    def skip(self, row: Row) -> None:
        cells = _cells(row)
        if not isinstance(cells, Rejected):
            self._mapper.skip(cells)


class SentTouchpoints:
    """Touchpoints as a source sends them, one a line."""

    def __init__(self, source: Source, kinds: Kinds = DEFAULT_KINDS, erased: Erased = NOTHING) -> None:
        self._source, self._kinds, self._erased = source, kinds, erased

    def row(self, row: Row, received_at: int) -> Accepted | Rejected:
        raw = row.content
        if not isinstance(raw, bytes):
            return Rejected("too_large", "", str(raw))
        return accept(raw, self._source, received_at, kinds=self._kinds, erased=self._erased)

    def skip(self, row: Row) -> None:
        """Lines do not depend on one another."""


class StoredTouchpoints:
    """Touchpoints as the `touchpoints` topic holds them, one a line: validated, then sent byte for byte."""

    _decode = msgspec.json.Decoder(StoredStruct).decode

    def __init__(self, kinds: Kinds = DEFAULT_KINDS, erased: Erased = NOTHING) -> None:
        self._kinds, self._erased = kinds, erased

    def row(self, row: Row, received_at: int) -> Accepted | Rejected:
        raw = row.content
        if not isinstance(raw, bytes):
            return Rejected("too_large", "", str(raw))
        try:
            stored = self._decode(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            return Rejected("invalid", "", f"not a stored touchpoint: {error}")
        kinds = self._kinds
        identifiers = in_order(
            ((kind, normalise(kind, value, kinds)) for kind, value in stored.identifiers.items()), kinds
        )
        gone = self._erased.refuses(str(stored.event_id), identifiers, stored.occurred_at, kinds)
        if gone is not None:
            return gone
        key = address(identifiers, stored.event_id, stored.revision, kinds)
        if identifiers != stored.identifiers or key != stored.address or not identifiers:
            return Rejected("invalid", "address", "does not follow from the identifiers: import the original file")
        return Accepted(key.encode(), raw)

    def skip(self, row: Row) -> None:
        """Lines do not depend on one another."""


def reader(
    file: File,
    rows: Iterator[Row],
    rules: Map | None,
    source: str | None,
    kinds: Kinds = DEFAULT_KINDS,
    erased: Erased = NOTHING,
) -> tuple[Reader, Iterator[Row]]:
    """The reader for this file, and its rows without a header. Raises MapError."""
    if rules is not None:
        if source is not None:
            rules = rules.model_copy(update={"source": source})
        header = next(rows, Row(0, "")) if file.format == "csv" else None
        return MappedRows(rules, file, header, kinds, erased), rows
    first = next(rows, None)
    if first is None:
        return StoredTouchpoints(kinds, erased), rows
    rows = chain([first], rows)
    begin = read(first.content) if file.format == "jsonl" and isinstance(first.content, bytes) else None
    if isinstance(begin, Record) and isinstance(begin.content, dict) and "content" in begin.content:
        return StoredTouchpoints(kinds, erased), rows
    if file.format == "csv":
        raise MapError(f"{file.name}: a CSV file needs a map: --map MAP.yaml")
    if source is None:
        raise MapError(f"{file.name}: whose touchpoints are these? say --source NAME, or give a map")
    return SentTouchpoints(Source(source), kinds, erased), rows


def chunks(
    reader: Reader, rows: Iterator[Row], done: int, now: Callable[[], int], size: int = CHUNK_ROWS
) -> Iterator[Chunk]:
    """Chunks of at most `size` rows, after the first `done` rows. `now()` gives ms UTC, once a chunk."""
    count = 0
    chunk: Chunk | None = None
    for row in rows:
        count += 1
        if count <= done:
            reader.skip(row)
            continue
        if chunk is None:
            chunk, received_at = Chunk(count), now()
        result = reader.row(row, received_at)
        chunk.rows = count
        if result is None:
            chunk.left_out += 1
        elif isinstance(result, Accepted):
            chunk.accepted.append(result)
        else:
            chunk.rejected.append((row, result))
        if len(chunk.accepted) + len(chunk.rejected) + chunk.left_out >= size:
            yield chunk
            chunk = None
    if chunk is not None:
        yield chunk


def letter(file: str, source: str, row: Row, rejected: Rejected, at: int) -> bytes | None:
    """The dead letter of a row, at `file:line`; None for what may not be kept."""
    if not is_kept(rejected.reason):
        return None
    raw = row.content if isinstance(row.content, bytes) else _as_text(row.content).encode("utf-8", "surrogateescape")
    return encode(
        dead_letter(
            raw,
            source=source,
            leg="import",
            reason=rejected.reason,
            path=rejected.path,
            message=rejected.message,
            address=f"{file}:{row.line}",
            at=at,
        )
    )


def _cells(row: Row) -> list[str] | dict[str, Any] | Rejected:
    if isinstance(row.content, list):
        return row.content
    if isinstance(row.content, str):
        return Rejected("unmappable", "", row.content)
    line = read(row.content)
    if isinstance(line, Rejected):
        return line
    if not isinstance(line.content, dict):
        return Rejected("unmappable", "", "the line is not a JSON object")
    return line.content


def _as_text(content: list[str] | str) -> str:
    if isinstance(content, str):
        return content
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(content)
    return text.getvalue()
