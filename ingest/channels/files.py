"""Files as a channel: CSV and JSON lines, packed with gzip or not, from disk or stdin, one row at a time."""

from __future__ import annotations

import csv
import gzip
import io
import sys
import zlib
from collections.abc import Iterator
from hashlib import blake2b
from pathlib import Path
from typing import IO, Literal, NamedTuple, cast

NAMED_BY = 64 * 1024  # bytes of the beginning that name a file's content
MAX_LINE = 1 << 20  # bytes of one line of JSON, characters of one cell of CSV
_GZIP = b"\x1f\x8b"
_BOM = b"\xef\xbb\xbf"

Format = Literal["csv", "jsonl"]


class FileError(ValueError):
    """A file that cannot be read: says which, where, and why."""


class Row(NamedTuple):
    """One record and the line that it ends on: the cells of CSV, the bytes of a line of JSON, or what is wrong."""

    line: int
    content: list[str] | bytes | str


class File:
    """An open file. `content` names what is in it by its beginning, unpacked: the same for a copy, for a packed one, and
    for one that has grown at its end since, if it was longer than 64 kB then."""

    def __init__(self, path: str, form: Format | None, delimiter: str = ",") -> None:
        """`-` is stdin. Raises FileError."""
        self.name = "stdin" if path == "-" else Path(path).name
        self._delimiter = delimiter
        try:
            self._source: IO[bytes] = sys.stdin.buffer if path == "-" else open(path, "rb")  # noqa: SIM115 - see close
            self.size = 0 if path == "-" else Path(path).stat().st_size
            packed = cast(io.BufferedReader, self._source).peek(2).startswith(_GZIP)
            unpacked = cast(IO[bytes], gzip.GzipFile(fileobj=self._source)) if packed else self._source
            begin = unpacked.read(NAMED_BY)
        except (OSError, EOFError, zlib.error) as error:
            raise FileError(f"{path}: cannot be read: {error}") from error
        self.content = blake2b(begin, digest_size=8).hexdigest()
        begin = begin.removeprefix(_BOM)
        self.format = form or self._guessed(begin)
        self._bytes = io.BufferedReader(_Rejoined(begin, unpacked), NAMED_BY)

    def close(self) -> None:
        if self.name != "stdin":
            self._source.close()

    @property
    def position(self) -> int:
        """Bytes read so far, packed: for progress."""
        return self._source.tell() if self.size else 0

    def rows(self) -> Iterator[Row]:
        """All rows in order; of CSV the first is the header. Raises FileError where the file breaks off."""
        rows = self._csv() if self.format == "csv" else self._lines()
        last = 0
        try:
            for row in rows:
                last = row.line
                yield row
        except (OSError, EOFError, zlib.error) as error:
            raise FileError(f"{self.name}: breaks off after line {last}: {error}") from error

    def _csv(self) -> Iterator[Row]:
        csv.field_size_limit(MAX_LINE)
        text = io.TextIOWrapper(self._bytes, encoding="utf-8", errors="surrogateescape", newline="")
        reader = csv.reader(text, delimiter=self._delimiter)
        while True:
            try:
                for cells in reader:
                    if cells:
                        yield Row(reader.line_num, cells)
                return
            except csv.Error as error:
                yield Row(reader.line_num, f"not CSV: {error}")

    def _lines(self) -> Iterator[Row]:
        number = 0
        while line := self._bytes.readline(MAX_LINE):
            number += 1
            if len(line) == MAX_LINE and not line.endswith(b"\n"):
                while (rest := self._bytes.readline(MAX_LINE)) and not rest.endswith(b"\n"):
                    pass
                yield Row(number, f"longer than {MAX_LINE} bytes")
            elif not line.isspace():
                yield Row(number, line.rstrip(b"\r\n"))

    def _guessed(self, begin: bytes) -> Format:
        suffixes = Path(self.name.lower()).suffixes
        if {".jsonl", ".ndjson", ".json"} & set(suffixes):
            return "jsonl"
        return "csv" if {".csv", ".tsv"} & set(suffixes) or not begin.lstrip().startswith(b"{") else "jsonl"


class _Rejoined(io.RawIOBase):
    """A stream whose beginning has been read already."""

    def __init__(self, begin: bytes, rest: IO[bytes]) -> None:
        self._begin = begin
        self._rest = rest

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: object) -> int:
        view = memoryview(cast(bytearray, buffer))
        part = self._begin[: len(view)] or self._rest.read(len(view))
        self._begin = self._begin[len(part) :]
        view[: len(part)] = part
        return len(part)
