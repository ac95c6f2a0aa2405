"""`desireline up`: start the local stack."""

from __future__ import annotations

import time
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from cli.output import local_stack, out

if TYPE_CHECKING:
    from deploy.local.state import StackState


class Part(StrEnum):
    everything = "everything"
    servers = "servers"


def up(
    foreground: Annotated[bool, typer.Option("--foreground", help="Stay, and stop everything on Ctrl-C.")] = False,
    only: Annotated[Part, typer.Option(help="What to start: servers means Kafka and ClickHouse.")] = Part.everything,
    collector_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the collector.  [default: 8080, or a free one]")
    ] = None,
    dashboard_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of the dashboard.  [default: 8090, or a free one]")
    ] = None,
    kafka_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of Kafka.  [default: a free one]")
    ] = None,
    clickhouse_http_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of ClickHouse's HTTP interface.  [default: a free one]")
    ] = None,
    clickhouse_native_port: Annotated[
        int | None, typer.Option(min=1, max=65535, help="Port of ClickHouse's native protocol.  [default: a free one]")
    ] = None,
) -> None:
    """Start the local stack: Kafka, ClickHouse, collector, worker, sink, alerts and dashboard, as processes.

    Data, logs and state are in DESIRELINE_HOME (default: .desireline). Servers that KAFKA_BOOTSTRAP and CLICKHOUSE_URL
    name are used and not started.
    """
    with local_stack():
        from deploy.local import launch
        from deploy.local.plan import Wishes
        from deploy.local.settings import StackSettings
        from deploy.local.supervisor import Supervisor

        given = {
            "collector": collector_port,
            "dashboard": dashboard_port,
            "kafka": kafka_port,
            "clickhouse_http": clickhouse_http_port,
            "clickhouse_native": clickhouse_native_port,
        }
        wishes = Wishes(only=only.value, ports={name: port for name, port in given.items() if port})
        with out.status("looking around …") as spinner:
            plan, lock = launch.prepare(
                wishes,
                StackSettings(),
                on_download=lambda done, of: spinner.update(f"Kafka: {done} of {of} jars"),
            )
        progress = Progress()
        if foreground:
            with lock:
                Supervisor(plan, progress.show).run()
            return
        supervisor = launch.detach(plan, lock)
        try:
            with out.status("starting …"):
                state = launch.wait_until_settled(plan.home, supervisor, progress.show)
        except KeyboardInterrupt:
            out.print("stopping …")
            supervisor.terminate()
            supervisor.wait()
            raise
        _next_steps(state)


class Progress:
    """One line for each process whenever its status changes, and the next steps when all of them run."""

    def __init__(self) -> None:
        self._began = time.monotonic()
        self._shown: dict[str, str] = {}

    def show(self, state: StackState) -> None:
        for process in state.processes:
            if process.status != self._shown.get(process.name, "waiting"):
                self._shown[process.name] = process.status
                where = f"127.0.0.1:{process.port}" if process.port and process.status == "running" else ""
                seconds = time.monotonic() - self._began
                out.print(f"{seconds:6.1f} s  {process.name:<12}{process.status:<12}{where}".rstrip(), markup=False)
                if process.problem:
                    out.print(process.problem, style="red", markup=False)


def _next_steps(state: StackState) -> None:
    steps = {
        "Kafka": state.environment["KAFKA_BOOTSTRAP"],
        "ClickHouse": _without_password(state.environment["CLICKHOUSE_URL"]),
        "desireline status": "what runs",
        "desireline logs -f": "what it says",
        "desireline down": "stop it; the data stays",
    }
    if "collector" in state.ports:
        steps = {
            "Send touchpoints to": f"http://127.0.0.1:{state.ports['collector']}/v1/touchpoints",
            "with a write key of": f"{state.environment['DESIRELINE_HOME']}/write_keys",
            "Look customers up at": f"http://127.0.0.1:{state.ports['dashboard']}/v1/people/lookup",
            "with the read key of": f"{state.environment['DESIRELINE_HOME']}/read_keys",
        } | steps
    out.print()
    for name, value in steps.items():
        out.print(f"{name:<21} {value}", markup=False)


def _without_password(url: str) -> str:
    scheme, _, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}"
