"""The manifest of a run, `run.json`: what the run is (its identity) and what is known of how it came about.

Identity: model (weights, revision), data revision, elicitation and seed. Recorded, but no identity: versions,
device, batch size, command, times.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from mpeval.errors import UserError
from mpeval.types import Card, Elicitation, ModelAdapter, Struct

SCHEMA = 1
"""Version of a run's two files. Raise it with any change that an older mpeval would misread."""

MANIFEST = "run.json"


class Session(msgspec.Struct, omit_defaults=True):
    """One call of the command that worked on the run: recorded, never compared."""

    started: str
    """ISO 8601, UTC."""
    command: str
    versions: dict[str, str]
    device: str
    dtype: str
    batch_size: int
    """0: auto."""
    limit: int | None = None
    own_file: str | None = None
    """Where the data lay, of a run on a file of the user's own."""
    ended: str | None = None
    """None: still at work, or killed."""
    generated: int = 0
    """Samples answered in this session."""


class Shard(Struct, frozen=True):
    """Which part of a run's samples a folder holds."""

    index: int
    """From 1."""
    count: int
    samples: int
    """Of all shards together."""

    def __str__(self) -> str:
        return f"{self.index}/{self.count}"


class Manifest(Struct, frozen=True):
    """What a run is."""

    schema: int
    model: str
    benchmark: str
    protocol: str
    """The protocol it was made for; its elicitation is in `identity`."""
    identity: dict[str, Any]
    expected: int
    """The most samples that a command asked for; fewer rows mean an unfinished run."""
    sessions: tuple[Session, ...] = ()
    shard: Shard | None = None
    """None: the whole run. A shard has the whole run's identity."""

    @property
    def elicitation(self) -> Elicitation:
        return msgspec.convert(self.identity["elicitation"], Elicitation)


def run_identity(adapter: ModelAdapter, card: Card, elicitation: Elicitation, seed: int) -> dict[str, Any]:
    """All that decides the answers, as JSON values.

    Fields of the elicitation at their defaults are left out: a field added later leaves old runs as they are.
    """
    return msgspec.to_builtins(
        {
            "model": {"name": adapter.name, **adapter.identity()},
            "benchmark": {"name": card.name, "revision": card.revision},
            "elicitation": elicitation,
            "seed": seed,
        }
    )


def identity_hash(identity: Mapping[str, Any]) -> str:
    """SHA-256 of the identity's canonical JSON, 64 hexadecimal digits."""
    return hashlib.sha256(msgspec.json.encode(identity, order="sorted")).hexdigest()


def run_folder(out: Path, identity: Mapping[str, Any], shard: Shard | None = None) -> Path:
    """`OUT/MODEL/BENCHMARK/ELICITATION-HASH`: readable, and another identity gets another folder.

    A shard has a folder of its own beside it, `ELICITATION-HASH-shard-2of4`, since a run has one writer.
    """
    parts = (identity["model"]["name"], identity["benchmark"]["name"], identity["elicitation"]["name"])
    model, benchmark, elicitation = (re.sub(r"[^\w.+-]+", "-", part).strip("-.") for part in parts)
    name = f"{elicitation}-{identity_hash(identity)[:8]}"
    return out / model / benchmark / (name if shard is None else f"{name}-shard-{shard.index}of{shard.count}")


def read_manifest(path: Path) -> Manifest:
    """Read a run's manifest. Raises `UserError` where it is missing, damaged or of another schema."""
    file = path / MANIFEST
    try:
        content = msgspec.json.decode(file.read_bytes())
        check_schema(file, content["schema"])
        manifest = msgspec.convert(content, Manifest)
        for what in ("model", "benchmark"):
            named, identified = getattr(manifest, what), manifest.identity[what]["name"]
            if named != identified:
                raise UserError(f"{file} has been edited: its {what} is {named}, in its identity {identified}")
        return manifest
    except FileNotFoundError as error:
        raise UserError(f"{path} is no run: it has no {MANIFEST}") from error
    except OSError as error:
        raise UserError(f"cannot read {file}: {error.strerror}") from error
    except (msgspec.MsgspecError, KeyError, TypeError) as error:
        raise UserError(f"{file} is damaged ({error}): restore it, or start over with --fresh") from error


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Replace the manifest in one step: a reader sees the old one or the new one, never half of it."""
    temporary = path / f"{MANIFEST}.tmp"
    try:
        with temporary.open("wb") as file:
            file.write(msgspec.json.format(msgspec.json.encode(manifest), indent=2) + b"\n")
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path / MANIFEST)
    except OSError:  # a full disk
        temporary.unlink(missing_ok=True)
        raise


def difference(there: Any, here: Any, name: str = "") -> str:
    """The first difference of two identities, in words; empty where they are equal."""
    if isinstance(there, dict) and isinstance(here, dict):
        for key in sorted(there.keys() | here.keys()):
            found = difference(there.get(key), here.get(key), f"{name}.{key}" if name else key)
            if found:
                return found
        return ""
    return "" if there == here else f"{name}: {there} there, {here} here"


def check_schema(file: Path, schema: object) -> None:
    """Raise `UserError` for a file of another schema version than this program writes."""
    if schema != SCHEMA:
        raise UserError(f"{file} has schema {schema}, this mpeval reads {SCHEMA}: use the mpeval that wrote it")
