"""The `desireline` command: one file per command in this folder; this page lists them."""

from __future__ import annotations

import logging

import typer

from cli.addresses import use_running_stack
from cli.alerts import app as alerts_app
from cli.dead_letters import app as dead_letters_app
from cli.definitions import app as definitions_app
from cli.demo import demo
from cli.digest import digest
from cli.doctor import doctor
from cli.down import down
from cli.erase import erase
from cli.erasures import erasures
from cli.experience import experience
from cli.feedback import app as feedback_app
from cli.funnel import funnel
from cli.generations import app as generations_app
from cli.identifiers import app as identifiers_app
from cli.import_ import import_file
from cli.journeys import journeys
from cli.ledger import ledger
from cli.logs import logs
from cli.lookup import lookup
from cli.pain import app as pain_app
from cli.person import person
from cli.simulate import simulate
from cli.sql import sql
from cli.status import status
from cli.tail import tail
from cli.topics import app as topics_app
from cli.up import up
from cli.verify import verify
from cli.watch import watch
from cli.worker import worker

app = typer.Typer(
    name="desireline",
    help="Customer journeys as they happen: from touchpoints to drop-off.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

MAKE_THEIR_OWN = ("up", "demo")  # a stack, whatever runs already


@app.callback()
def _before(context: typer.Context) -> None:
    if context.invoked_subcommand not in MAKE_THEIR_OWN:
        use_running_stack()


app.command()(up)
app.command()(down)
app.command()(status)
app.command()(logs)
app.command()(doctor)
app.command()(worker)
app.command()(simulate)
app.command(name="import")(import_file)
app.command()(tail)
app.command()(lookup)
app.command()(journeys)
app.command()(person)
app.command()(demo)
app.command()(watch)
app.command()(funnel)
app.command()(experience)
app.command()(sql)
app.command()(digest)
app.command()(verify)
app.command()(ledger)
app.command()(erase)
app.command()(erasures)
app.add_typer(alerts_app, name="alerts")
app.add_typer(definitions_app, name="definitions")
app.add_typer(dead_letters_app, name="dead-letters")
app.add_typer(feedback_app, name="feedback")
app.add_typer(pain_app, name="pain")
app.add_typer(identifiers_app, name="identifiers")
app.add_typer(topics_app, name="topics")
app.add_typer(generations_app, name="replay")


def main() -> None:
    logging.getLogger().addHandler(logging.NullHandler())  # commands say what matters; client libraries do not
    app()
