"""The dashboard process: `python -m dashboard.app` answers who a customer is and what they are in the middle of."""

from __future__ import annotations

import gc
import sys
import time

import structlog
import uvloop
from pydantic import ValidationError

from dashboard.api import Api, application
from dashboard.lookups import Lookups
from dashboard.settings import DashboardSettings
from runtime.http import server
from runtime.logging import configure
from schemas.definition import DefinitionsError
from schemas.identity import KindsError

log = structlog.get_logger()
STOP_SECONDS = 10


async def serve(settings: DashboardSettings) -> None:
    """Serve until SIGINT or SIGTERM; what was asked by then is answered. Raises DefinitionsError, KindsError."""
    async with Lookups(settings, lambda: time.time_ns() // 1_000_000) as lookups:
        serving = server(application(Api(settings, lookups)), settings.listen, settings.port, STOP_SECONDS)
        gc.collect()
        gc.freeze()  # what is here now stays: collections need not look at it
        log.info("dashboard_starts", host=settings.listen, port=settings.port, clickhouse=settings.host)
        await serving.serve()
    log.info("dashboard_stopped")


def main() -> None:
    try:
        settings = DashboardSettings()
    except ValidationError as error:
        sys.exit("\n".join(f"{'.'.join(map(str, part['loc']))}: {part['msg']}" for part in error.errors()))
    configure("dashboard", settings.log_level)
    try:
        uvloop.run(serve(settings))
    except (DefinitionsError, KindsError) as error:
        sys.exit(" ".join(str(error).split()))


if __name__ == "__main__":
    main()
