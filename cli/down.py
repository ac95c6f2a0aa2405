"""`desireline down`: stop the local stack."""

from __future__ import annotations

from cli.output import local_stack, out


def down() -> None:
    """Stop the local stack and wait until all of it has ended; the data stays."""
    with local_stack():
        from deploy.local import instance
        from runtime.settings import ProcessSettings

        home = ProcessSettings().home.resolve()
        with out.status("stopping …"):
            stopped = instance.stop(home)
        out.print("stopped" if stopped else f"nothing runs in {home}", markup=False)
