"""One comparison of `mpeval verify`: how far a number of ours lies from the released program's."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Check:
    """The largest difference of one kind of number in one file."""

    where: str
    """The file, relative to the verified folder."""
    what: str
    """The kind of number, such as `logits` or `f1`."""
    difference: float
    """Largest absolute difference; for things that must be equal, how many are not."""
    tolerance: float
    note: str = ""
    skipped: bool = False
    """Nothing was compared: `note` says what is not there."""

    @property
    def ok(self) -> bool:
        """False for NaN too."""
        return self.difference <= self.tolerance
