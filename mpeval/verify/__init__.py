"""Parity with the released model and scorers, on this machine.

A folder of the parity format is recognised by what it holds: `golden.npz` or `native.npz` (the model),
`cases.json` (preprocessing), files of the scorers, or `recording.json` (a recording of a released checkpoint, without
its weights). `verify_folder` finds them at any depth.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from mpeval.errors import UserError
from mpeval.verify.check import Check

SHIPPED = Path(__file__).parent / "data"
"""A small part of the parity data: two models (one with a tied head, one on video), preprocessing, scorers."""

RECORDING = "recording.json"


def verify_folder(folder: Path, model: str | None = None, device: str = "auto") -> Iterator[tuple[str, list[Check]]]:
    """Check every part of `folder`: its path relative to `folder`, and its checks, as each is done.

    model: the checkpoint that recordings in the folder were made of (`molmopoint-8b:DIR`), and device where it runs;
    without it they are checked as far as goes without weights. Raises `UserError` where there is nothing to check, and
    for data that are missing or damaged.
    """
    if not folder.is_dir():
        raise UserError(f"{folder} is no folder: give one of the parity format, or none for what mpeval ships")
    if model is not None and next(folder.rglob(RECORDING), None) is None:
        raise UserError(f"{folder} holds no {RECORDING}: --model is for recordings; leave it out")
    found = False
    for part in sorted(each for each in [folder, *folder.rglob("*")] if each.is_dir()):
        for checked, checks in _verify_part(part, model, device):
            found = True
            name = folder.name if checked == folder else str(checked.relative_to(folder))
            yield name, [replace(check, where=f"{name}/{Path(check.where).name}") for check in checks]
    if not found:
        raise UserError(f"{folder} holds no golden.npz, cases.json, scorers' files or recording: nothing to verify")


def _verify_part(folder: Path, model: str | None, device: str) -> Iterator[tuple[Path, list[Check]]]:
    """What was checked in one folder, nothing if it is not of the format."""
    try:
        if (folder / RECORDING).exists():
            from mpeval.verify.recording import verify_recording

            yield from verify_recording(folder, model, device)
        elif (folder.parent / RECORDING).exists():
            return  # a case of it
        elif checks := _verify_plain(folder):
            yield folder, checks
    except KeyError as error:
        raise UserError(f"{folder} is not of the parity format: {error} is missing from its data") from error


def _verify_plain(folder: Path) -> list[Check]:
    """The checks of a folder that needs no other. torch is imported only where it is needed."""
    if (folder / "golden.npz").exists() or (folder / "native.npz").exists():
        if not (folder / "config.json").exists():
            raise UserError(f"{folder} has no config.json: where it is a recording's, {RECORDING} is missing above it")
        from mpeval.verify.model import verify_model

        return verify_model(folder)
    if (folder / "cases.json").exists():
        from mpeval.verify.preprocess import verify_preprocess

        return verify_preprocess(folder)
    from mpeval.verify.metrics import verify_metrics

    return verify_metrics(folder)
