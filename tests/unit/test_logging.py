"""Libraries that repeat themselves are held back, and nothing else."""

from __future__ import annotations

import logging

from runtime.logging import REPEAT_SECONDS, Calm


def record(created: float, message: str = "no broker at %s", name: str = "aiokafka") -> logging.LogRecord:
    made = logging.LogRecord(name, logging.ERROR, "", 0, message, ("here",), None)
    made.created = created
    return made


def test_the_same_message_comes_once_in_a_while_and_says_how_often_it_was_held_back() -> None:
    calm = Calm()
    assert calm.filter(record(100.0))
    assert not calm.filter(record(100.1))
    assert not calm.filter(record(100.0 + REPEAT_SECONDS - 0.1))
    again = record(100.0 + REPEAT_SECONDS)
    assert calm.filter(again)
    assert again.getMessage() == "no broker at here (and 2 more like it)"
    last = record(100.0 + 2 * REPEAT_SECONDS)
    assert calm.filter(last)
    assert last.getMessage() == "no broker at here"


def test_other_messages_and_other_loggers_are_not_held_back() -> None:
    calm = Calm()
    assert calm.filter(record(100.0))
    assert calm.filter(record(100.0, message="something else at %s"))
    assert calm.filter(record(100.0, name="faust"))
