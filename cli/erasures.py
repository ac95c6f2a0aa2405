"""`desireline erasures`: the receipts of what was erased."""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from cli import text
from cli.common import reading
from cli.output import out

if TYPE_CHECKING:
    from sinks.erasing.receipts import Receipt
    from sinks.reader import Reader

AGAIN = "run the same command again: it goes on where this one ended"


def erasures(
    id: Annotated[str, typer.Argument(metavar="[ID]", help="Only this erasure.", show_default=False)] = "",
    limit: Annotated[int, typer.Option(min=1, help="At most this many customers, the newest.")] = 50,
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line.")] = False,
) -> None:
    """List who was erased, when and why, what was deleted where, and when the last of it leaves the logs."""
    with reading() as reader:
        if not show(reader, id, limit, as_json=as_json) and not as_json:
            out.print("nobody was erased" if not id else f"there is no erasure {id}", markup=False)


def show(reader: Reader, erasure: str, limit: int = 1000, *, as_json: bool) -> int:
    """The receipts, by erasure; how many."""
    from sinks.erasing.receipts import read

    found = read(reader, erasure, limit)
    if as_json:
        for one in found:
            typer.echo(json.dumps(as_object(one), ensure_ascii=False))
        return len(found)
    for id in dict.fromkeys(one.erasure_id for one in found):
        for line in lines([one for one in found if one.erasure_id == id]):
            out.print(line, markup=False)
    return len(found)


def lines(receipts: Sequence[Receipt]) -> list[str]:
    """The receipts of one erasure, for people."""
    one = receipts[0]
    by = f" by {text.plain(one.by)}" if one.by else ""
    done = f"nothing is left since {_when(one.finished_at)}" if one.finished_at else f"not finished: {AGAIN}"
    told = [f"erasure {one.erasure_id} of {_when(one.at)}, because of {one.because}{by}; times in UTC"]
    for receipt in receipts:
        removed = ", ".join(f"{count:,} {what}" for what, count in sorted(receipt.removed.items()))
        told.append(f"  customer {receipt.person}: {removed or 'nothing more was stored'}")
    return [
        *told,
        f"  ClickHouse, state of the workers, figures: {done}",
        f"  logs in Kafka (touchpoints, identity, dead_letters): until {_when(one.logs_until)}",
        f"  compacted topics in Kafka (identities, identity-changelog): until {_when(one.compacted_until)}",
    ]


def as_object(one: Receipt) -> dict[str, Any]:
    """One receipt as JSON values; times in RFC 3339."""
    return {
        "erasure_id": one.erasure_id,
        "person_id": str(one.person),
        "at": text.moment(one.at),
        "because": one.because,
        "by": one.by,
        "removed": one.removed,
        "finished_at": None if one.finished_at is None else text.moment(one.finished_at),
        "logs_until": text.moment(one.logs_until),
        "compacted_until": text.moment(one.compacted_until),
    }


def _when(ms: int) -> str:
    return datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M")
