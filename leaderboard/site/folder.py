"""The site's folder: written beside its place, then put there in one step; and the shards in it."""

from __future__ import annotations

import contextlib
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from mpeval.errors import UserError

MARKER = ".mpeval-site.json"
"""In a folder that a site was written into. Only such a folder, or an empty one, is ever replaced."""


class Marker(msgspec.Struct, frozen=True):
    """What a site was built from."""

    mpeval: str
    built: str
    """ISO 8601, UTC."""
    settings: dict[str, Any]
    """What decides its content, besides mpeval itself: see `build.settings_of`."""


def read_marker(folder: Path) -> Marker | None:
    """None where there is no site, or one whose marker cannot be read."""
    try:
        return msgspec.json.decode((folder / MARKER).read_bytes(), type=Marker)
    except (OSError, msgspec.MsgspecError):
        return None


def check_replaceable(out: Path) -> None:
    """Raise `UserError` where `out` is a file, or a folder with something in it that is no site of ours."""
    try:
        foreign = out.exists() and (not out.is_dir() or (any(out.iterdir()) and not (out / MARKER).is_file()))
    except OSError as error:
        raise UserError(f"cannot read {out}: {error.strerror or error}; choose another --out") from error
    if foreign:
        raise UserError(f"{out} holds something that is no site of mpeval: choose another --out, or empty it")


@contextlib.contextmanager
def replacing(out: Path) -> Iterator[Path]:
    """Give a new folder to write the site into; it takes the place of `out` when the block ends without an error.

    Raises `UserError` for a place that cannot be written, or holds what is not ours.
    """
    check_replaceable(out)
    out = out.absolute()
    if out.is_symlink():  # the folder is replaced, not the link to it
        out = out.resolve()
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        work = Path(tempfile.mkdtemp(prefix=f".{out.name}.", dir=out.parent))
    except OSError as error:
        raise UserError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error
    try:
        new, old = work / "new", work / "old"
        new.mkdir(mode=0o755)
        yield new
        # Looked at again: the build may have taken minutes.
        check_replaceable(out)
        if out.exists():
            out.rename(old)
        new.rename(out)
    except OSError as error:
        if not out.exists() and old.exists():
            old.rename(out)
        raise UserError(f"cannot write {out}: {error.strerror or error}; choose another --out") from error
    finally:
        shutil.rmtree(work, ignore_errors=True)


def write_shard(folder: Path, name: str, content: Any) -> None:
    """Write `data/NAME.js`, a script that hands its content to the page.

    The content is JSON in a string: as an object literal, a key `__proto__` would be more than a key.
    """
    text = msgspec.json.encode(content).decode()
    quoted = text.replace("\\", "\\\\").replace("'", "\\'")
    path = folder / "data" / f"{name}.js"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"Site.register('{name}', '{quoted}');\n", encoding="utf-8")


def copy_assets(folder: Path) -> None:
    """Copy the page, its scripts and its style."""
    source = Path(__file__).parent / "assets"
    for path in sorted(source.iterdir()):
        # Not copy2: an installation's files may be read-only.
        shutil.copyfile(path, folder / path.name)
