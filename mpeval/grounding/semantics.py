"""The two released programs, which differ, as three switches behind one name.

`native` (allenai/molmo2, olmo/models/molmo_point) trained the weights and made the paper's numbers; `hf`
(olmo/hf_model) is what people download with the checkpoint.
"""

from __future__ import annotations

from dataclasses import dataclass

from mpeval.errors import UserError


@dataclass(frozen=True)
class Semantics:
    name: str
    shared_low_row: bool
    """Low-resolution tokens start from `<im_patch>`'s embedding (native), not from a row of their own (hf)."""
    add_subpatch: bool
    """The chosen ViT feature is added to SUBPATCH's embedding (native), not put in its place (hf)."""
    mask_first: bool
    """Mask forbidden patches, then take the argmax (native); hf takes the argmax first, a forbidden one is none."""


NATIVE = Semantics("native", shared_low_row=True, add_subpatch=True, mask_first=True)
HF = Semantics("hf", shared_low_row=False, add_subpatch=False, mask_first=False)


def by_name(name: str) -> Semantics:
    """`native` or `hf`. Raises `UserError` for anything else."""
    for semantics in (NATIVE, HF):
        if semantics.name == name:
            return semantics
    raise UserError(f"unknown semantics {name!r}: choose native or hf")
