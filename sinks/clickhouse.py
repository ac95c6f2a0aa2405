"""The Writer over HTTP: record bytes go through as JSONEachRow, and the server makes rows of them.

Python neither decodes nor encodes a row, which is what makes one sink fast (docs/decisions/clickhouse-writes.md).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from urllib.parse import urlencode

import urllib3

from runtime.settings import ClickHouseSettings
from sinks.queries import query
from sinks.writer import Refused, Unavailable

# ClickHouse's codes for "this is not what the column holds"; every other error is the server's trouble, not the row's, and
# is tried again: a good row must never become a dead letter.
_ROW_ERRORS = {
    6: "CANNOT_PARSE_TEXT",
    25: "CANNOT_PARSE_ESCAPE_SEQUENCE",
    26: "CANNOT_PARSE_QUOTED_STRING",
    27: "CANNOT_PARSE_INPUT_ASSERTION_FAILED",
    33: "CANNOT_READ_ALL_DATA",
    38: "CANNOT_PARSE_DATE",
    41: "CANNOT_PARSE_DATETIME",
    53: "TYPE_MISMATCH",
    69: "ARGUMENT_OUT_OF_BOUND",
    72: "CANNOT_PARSE_NUMBER",
    117: "INCORRECT_DATA",
    128: "TOO_LARGE_ARRAY_SIZE",
    130: "CANNOT_READ_ARRAY_FROM_TEXT",
    131: "TOO_LARGE_STRING_SIZE",
    190: "SIZES_OF_ARRAYS_DONT_MATCH",
    306: "TOO_DEEP_RECURSION",
    321: "VALUE_IS_OUT_OF_RANGE_OF_DATA_TYPE",
    349: "CANNOT_INSERT_NULL_IN_ORDINARY_COLUMN",
    376: "CANNOT_PARSE_UUID",
    395: "FUNCTION_THROW_IF_VALUE_IS_NON_ZERO",
    407: "DECIMAL_OVERFLOW",
    467: "CANNOT_PARSE_BOOL",
    469: "VIOLATED_CONSTRAINT",
    691: "UNKNOWN_ELEMENT_OF_ENUM",
}

_SETTINGS = {
    "async_insert": 0,  # on by default; it would regroup batches and acknowledge differently
    "wait_end_of_query": 1,
    "input_format_skip_unknown_fields": 1,  # fields of a later release
    "input_format_null_as_default": 1,
    "input_format_json_read_objects_as_strings": 1,  # `properties` stay JSON
    "input_format_parallel_parsing": 0,  # batches are small; threads would cost more than they save
    "date_time_input_format": "basic",
    "max_insert_threads": 1,
    "max_threads": 1,
    "throw_on_max_partitions_per_insert_block": 0,  # history spans many months
    "session_timezone": "UTC",
}
_SECONDS = urllib3.Timeout(connect=3, read=60)


class HttpWriter:
    """Thread-safe: one kept-alive connection per table that is being written at the same time."""

    def __init__(self, settings: ClickHouseSettings, connections: int = 7) -> None:
        self._pool = urllib3.connection_from_url(
            f"{'https' if settings.secure else 'http'}://{settings.host}:{settings.http_port}",
            maxsize=connections,
            timeout=_SECONDS,
            retries=False,
        )
        self._headers = {
            "X-ClickHouse-User": settings.user,
            "X-ClickHouse-Key": settings.password,
            "X-ClickHouse-Database": settings.database,
        }

    def write(self, table: str, lines: Sequence[bytes]) -> None:
        """Insert by `queries/insert_<table>.sql`. See `Writer`."""
        insert = query(f"insert_{table}")
        target = "/?" + urlencode({"query": insert, **_SETTINGS})
        try:
            answer = self._pool.request("POST", target, body=b"\n".join(lines), headers=self._headers)
        except urllib3.exceptions.HTTPError as error:
            raise Unavailable(f"ClickHouse does not answer: {error}") from error
        code = int(answer.headers.get("X-ClickHouse-Exception-Code", 0))
        if answer.status != 200 or code:
            message = answer.data.decode("utf-8", "replace").strip()[:1000]
            if code in _ROW_ERRORS:
                raise Refused(message)
            raise Unavailable(f"ClickHouse answered {answer.status}: {message}")
        written = int(json.loads(answer.headers.get("X-ClickHouse-Summary", "{}")).get("written_rows", len(lines)))
        if written < len(lines):  # more is right: rows of materialized views count too
            raise Refused(f"{len(lines)} records, but {written} rows: one of them is not one JSON object")

    def close(self) -> None:
        """Close the connections."""
        self._pool.close()
