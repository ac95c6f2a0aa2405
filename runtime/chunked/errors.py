"""What stops a leg for good: the process logs one line and exits; with 70 a supervisor starts it again."""

from __future__ import annotations


class LegError(Exception):
    """The leg must not go on; the message says what happened and where."""

    exit_code = 70  # EX_SOFTWARE: start me again


class Misconfigured(LegError):
    """Starting again will not help: somebody has to change the configuration."""

    exit_code = 2


class RecordsLost(LegError):
    """Records that the leg had not read are gone (retention, a deleted topic or group): it would skip them silently."""


class NotCoPartitioned(LegError):
    """The sources do not have the same partitions here, so state, outputs and offsets could not move together."""


class RecordTooLarge(LegError):
    """The broker does not take a record of the leg; the message names its topic and key."""
