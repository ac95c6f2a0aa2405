"""`desireline erase`: forget people."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal
from uuid import UUID

import typer

from cli import text
from cli.common import clickhouse_settings, moment, now, reading
from cli.erasures import AGAIN, show
from cli.identifiers import configured, named, operator
from cli.output import err, fail, out
from cli.replayed import require_none_filling, servers, settings

if TYPE_CHECKING:
    from sinks.erasing.who import Identifiers, People
    from sinks.reader import Reader

MOST_SHOWN = 20  # people that are listed before the question
Because = Literal["request", "consent", "retention"]


def erase(
    ids: Annotated[
        list[str] | None,
        typer.Argument(metavar="[ID]...", help="KIND:VALUE, for example email:ada@example.org, or a customer's id."),
    ] = None,
    file: Annotated[Path | None, typer.Option(help="A file with more of them, one a line.")] = None,
    silent_since: Annotated[
        str | None, typer.Option(help="Everybody whose newest touchpoint occurred before this time, ISO 8601.")
    ] = None,
    because: Annotated[
        Because | None,
        typer.Option(help="For the receipt.  [default: request; with --silent-since: retention]", show_default=False),
    ] = None,
    yes: Annotated[bool, typer.Option("--yes", help="Do not show who it is and ask, for programs.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="The receipts, one JSON object a line.")] = False,
) -> None:
    """Forget people: state, tables and figures at once, logs when their retention ends. Prints the receipt. Cannot be undone.

    What occurred up to now stays away, however late it arrives; what they do later starts anew. Safe to repeat.
    """
    from sinks.erasing import run, who

    given = _given(ids, file)
    if not given and silent_since is None:
        raise fail("say who: an identifier, a customer's id, --file or --silent-since")
    since = None if silent_since is None else moment("--silent-since", silent_since)
    reason = because or ("request" if since is None else "retention")
    kinds = configured()
    wanted = [_id(one, kinds) for one in given]
    with _erasing(), reading() as reader, _writing() as client:
        kafka, sink_group = settings()
        require_none_filling(kafka)
        identifiers = who.Identifiers(kinds, kafka.secret.get_secret_value().encode())
        people = _people(reader, wanted, since, identifiers)
        if not people.names:
            out.print("nobody is meant: nothing to erase")
            return
        if not yes:
            _ask(reader, people)
        with err.status("") as status:
            erasure = run.Erasure(reader, client, kafka, sink_group, identifiers, now, status.update)
            id = erasure.run(people, reason, operator())
        if not id:
            out.print("nothing is stored of them: nothing to erase")
            return
        show(reader, id, as_json=as_json)


# --- who --------------------------------------------------------------------------------------------------------------


def _given(ids: Sequence[str] | None, file: Path | None) -> list[str]:
    given = list(ids or ())
    if file is not None:
        try:
            lines = file.read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise fail(f"{file} cannot be read: {error}") from error
        given += [line.strip() for line in lines if line.strip()]
    return given


def _id(given: str, kinds: Any) -> str | UUID:
    try:
        return UUID(given.strip())
    except ValueError:
        return named(given, kinds)


def _people(reader: Reader, wanted: Sequence[str | UUID], since: int | None, identifiers: Identifiers) -> People:
    from sinks.erasing.who import People, chosen, silent_since

    people = dict(chosen(reader, wanted, identifiers).names)
    if since is not None:
        people = dict(silent_since(reader, since, identifiers).names) | people
    return People(people)


def _ask(reader: Reader, people: People) -> None:
    """Show who it is and how much there is; the end of the command unless the answer is yes."""
    from sinks.erasing.who import Stored, stored

    found = stored(reader, people.names)
    rows = []
    for person in sorted(people.names, key=lambda one: -found.get(one, Stored()).touchpoints)[:MOST_SHOWN]:
        one, names = found.get(person, Stored()), sorted(people.names[person])
        period = f"{text.moment(one.first)[:10]} to {text.moment(one.last)[:10]}" if one.touchpoints else ""
        rows.append([str(person), text.many(one.touchpoints, "touchpoint"), period, text.plain(", ".join(names))])
    for line in text.columns(rows, right=(1,)):
        out.print(line, markup=False)
    if len(people.names) > MOST_SHOWN:
        out.print(f"… and {len(people.names) - MOST_SHOWN:,} more")
    total = sum(one.touchpoints for one in found.values())
    many = f"{text.many(len(people.names), 'customer')} with {text.many(total, 'touchpoint')}"
    if not typer.confirm(f"Erase {many} for good?", err=True):
        raise fail("nothing was erased")


# --- servers and their errors -----------------------------------------------------------------------------------------


@contextmanager
def _erasing() -> Iterator[None]:
    """Around all of it: what can go wrong ends the command with one sentence."""
    from sinks.erasing.remove import NotRemoved
    from sinks.erasing.run import Behind
    from sinks.erasing.who import NotErasable

    try:
        with servers():
            yield
    except NotErasable as error:
        raise fail(str(error)) from error
    except (Behind, NotRemoved) as error:
        raise fail(f"{text.plain(str(error))}; {AGAIN}") from error
    except KeyboardInterrupt as error:
        raise fail(f"interrupted; {AGAIN}") from error


@contextmanager
def _writing() -> Iterator[Any]:
    from sinks.reader import connect

    with connect(clickhouse_settings()) as client:
        yield client
