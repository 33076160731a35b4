"""A model small enough to be measured in a test."""

from __future__ import annotations

from functools import cache
from typing import Any

from mpeval.bench.subject import checked
from mpeval.registry import ModelOptions, resolve_model


@cache
def tiny() -> Any:
    entry, argument = resolve_model("random-weights:tiny")
    return checked(entry.load(argument, ModelOptions(device="cpu", dtype="float32")))
