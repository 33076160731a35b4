"""Zip archives, read in place or unpacked; names that point outside of them are refused.

Members are found by their recovered, normalised name (`mpeval.data.names`).
"""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import zipfile
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path, PurePosixPath

from mpeval.data.names import is_inside, recovered
from mpeval.errors import SampleError, UserError


def recovered_name(info: zipfile.ZipInfo) -> str:
    """A member's normalised name."""
    return recovered(info.filename)


def is_safe(info: zipfile.ZipInfo) -> bool:
    """Whether a member stays inside the folder that it is unpacked to and is a plain file or a folder."""
    plain = stat.S_IFMT(info.external_attr >> 16) in (0, stat.S_IFREG, stat.S_IFDIR)
    name = recovered_name(info)
    return plain and is_inside(name) and (name != "." or _is_folder(info))


def _is_folder(info: zipfile.ZipInfo) -> bool:
    return info.filename.endswith(("/", "\\"))


@dataclass(frozen=True)
class Member:
    """A file in a zip, read when it is asked for (a `media.Stored`)."""

    archive: Archive
    info: zipfile.ZipInfo = field(repr=False)

    def __str__(self) -> str:
        return f"{self.archive.path}:{recovered_name(self.info)}"

    def read_bytes(self) -> bytes:
        try:
            return self.archive.zip.read(self.info)
        except Exception as error:  # damaged, encrypted, an unknown method: zipfile raises nearly anything
            raise SampleError(f"cannot read {self}: {error}") from error


@dataclass(frozen=True)
class Archive:
    """A zip that stays packed. Reading is safe on many threads."""

    path: Path

    @cached_property
    def zip(self) -> zipfile.ZipFile:
        return open_zip(self.path)

    @cached_property
    def members(self) -> dict[str, Member]:
        """Normalised name -> member; folders and unsafe members are left out."""
        safe = (info for info in self.zip.infolist() if not _is_folder(info) and is_safe(info))
        return {recovered_name(info): Member(self, info) for info in safe}

    @cached_property
    def refused(self) -> list[str]:
        """Names of members that point outside of the archive, or are links."""
        return [info.filename for info in self.zip.infolist() if not is_safe(info)]


def open_zip(path: Path) -> zipfile.ZipFile:
    """Raises `UserError` for a file that is no zip, or one cut short."""
    try:
        return zipfile.ZipFile(path)
    except Exception as error:  # a damaged directory makes zipfile raise nearly anything
        raise UserError(f"{path} is not a readable zip ({error}): fetch it again") from error


def extract(path: Path, folder: Path, progress: Callable[[int], None] = lambda written: None) -> int:
    """Unpack a zip below `folder`; returns the number of files. progress is told the bytes just written.

    Nothing is written if any member points outside of the folder or is a link; a member that cannot be unpacked
    raises `UserError` too. Each file is written whole or not at all; a file of the right size is kept, so that an
    interrupted call goes on.
    """
    with open_zip(path) as archive:
        files = _files(archive, path)
        for name, info in files.items():
            if not _is_unpacked(info, folder / name):
                _write(archive, info, folder / name)
                progress(info.file_size)
        return len(files)


def unpacked_size(path: Path, folder: Path) -> int:
    """Bytes that `extract` would write. Raises what it raises for unsafe members."""
    with open_zip(path) as archive:
        files = _files(archive, path)
        return sum(info.file_size for name, info in files.items() if not _is_unpacked(info, folder / name))


def _files(archive: zipfile.ZipFile, path: Path) -> dict[str, zipfile.ZipInfo]:
    """Recovered name -> member; of two of one name the later one counts, as in every program that unpacks."""
    unsafe = [info.filename for info in archive.infolist() if not is_safe(info)]
    if unsafe:
        raise UserError(f"{path} holds '{unsafe[0]}', a link or a path out of it: nothing was unpacked")
    named = {recovered_name(info): info for info in archive.infolist() if not _is_folder(info)}
    return {name: info for name, info in named.items() if not _is_of_system(name)}


def _is_of_system(name: str) -> bool:
    """Whether macOS put it in."""
    return name.startswith("__MACOSX/") or PurePosixPath(name).name == ".DS_Store"


def _is_unpacked(info: zipfile.ZipInfo, target: Path) -> bool:
    return target.is_file() and target.stat().st_size == info.file_size


def _write(archive: zipfile.ZipFile, info: zipfile.ZipInfo, target: Path) -> None:
    partial = target.with_name(f"{target.name}.part")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with archive.open(info) as source, partial.open("wb") as sink:
            shutil.copyfileobj(source, sink, 1 << 20)
        os.replace(partial, target)
    except OSError as error:
        raise UserError(f"cannot write {target}: {error.strerror or error}") from error
    except Exception as error:  # damaged, encrypted, an unknown method
        what = f"{archive.filename}: '{info.filename}' cannot be unpacked"
        raise UserError(f"{what} ({error}): fetch it again") from error
    finally:
        with contextlib.suppress(OSError):
            partial.unlink()
