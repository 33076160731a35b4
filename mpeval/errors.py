"""Errors that reach a user as one plain line."""

from __future__ import annotations


class UserError(Exception):
    """A user's mistake: printed as one line that says what to do; the process exits with 2."""


class SampleError(Exception):
    """One sample cannot be read or answered: it becomes that sample's row, with its error."""
