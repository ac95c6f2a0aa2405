"""What goes wrong on the user's side: said in one sentence, with what to do about it, and without a stack trace."""

from __future__ import annotations


class StackError(Exception):
    """The local stack cannot do what was asked; the message says why and what helps."""
