"""A dataset's files, wherever they are: unpacked in its folder, or still in its zips."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from mpeval.data.names import is_inside, normal, recovered

if TYPE_CHECKING:
    from mpeval.data.archive import Archive, Member


@dataclass(frozen=True)
class Files:
    """Finds a dataset's files by normalised name.

    folder: the benchmark's. archives: names of its zips; what is unpacked wins over what is packed.
    """

    folder: Path
    archives: Sequence[str] = ()

    def find(self, name: str) -> Path | Member:
        """The file of that name, relative to the folder.

        Where there is none, the path at which it was expected, which fails as that sample's error once it is read.
        """
        expected = self.folder / name
        if not is_inside(name):
            return self.folder / "outside of the dataset" / Path(name).name
        if expected.is_file():
            return expected
        key = normal(name)
        packed = (archive.members[key] for archive in self._packed if key in archive.members)
        return self._unpacked.get(key) or next(packed, expected)

    def has(self, name: str) -> bool:
        """Whether there is a file of that name."""
        found = self.find(name)
        return not isinstance(found, Path) or found.is_file()

    @cached_property
    def refused(self) -> list[str]:
        """Members of the zips that point outside of them: they are never read."""
        return [f"{archive.path.name}: {name}" for archive in self._packed for name in archive.refused]

    @cached_property
    def _packed(self) -> list[Archive]:
        from mpeval.data.archive import Archive

        return [Archive(self.folder / name) for name in self.archives if (self.folder / name).is_file()]

    @cached_property
    def _unpacked(self) -> dict[str, Path]:
        """Normalised name -> path: an unpacked name may be spelled otherwise than the rows spell it."""
        files = (path for path in self.folder.rglob("*") if path.is_file())
        return {recovered(path.relative_to(self.folder).as_posix()): path for path in files}
