"""Log lines of every process: structlog, one JSON object a line, or coloured text on a terminal."""

from __future__ import annotations

import logging
import sys

import structlog

REPEAT_SECONDS = 10.0
MOST_MESSAGES = 1_000


class Calm(logging.Filter):
    """Lets the same message of a library through once in 10 s, with how many were held back since.

    While a broker is away, Kafka's clients log each attempt to reach it: hundreds of lines a second. "The same" is the
    logger and the text before arguments are put in.
    """

    def __init__(self) -> None:
        super().__init__()
        self._seen: dict[tuple[str, str], tuple[float, int]] = {}  # when it was last let through, held back since

    def filter(self, record: logging.LogRecord) -> bool:
        key = record.name, str(record.msg)
        last, held = self._seen.get(key, (-REPEAT_SECONDS, 0))
        if record.created - last < REPEAT_SECONDS:
            self._seen[key] = last, held + 1
            return False
        if len(self._seen) > MOST_MESSAGES:
            self._seen.clear()
        self._seen[key] = record.created, 0
        if held:
            record.msg = f"{record.msg} (and {held} more like it)"
        return True


def configure(process: str, level: str = "info") -> None:
    """Set up logging once per process; `process` is on every line. Third-party loggers speak from warning up."""
    numeric = logging.getLevelNamesMapping()[level.upper()]
    logging.basicConfig(
        level=max(numeric, logging.WARNING), stream=sys.stderr, format="%(asctime)s %(name)s %(levelname)s %(message)s"
    )
    for handler in logging.getLogger().handlers:
        handler.addFilter(Calm())
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.dev.ConsoleRenderer() if sys.stderr.isatty() else structlog.processors.JSONRenderer(),
        ],
        wrapper_class=structlog.make_filtering_bound_logger(numeric),
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=True,
    )
    structlog.contextvars.bind_contextvars(process=process)
