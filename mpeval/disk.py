"""What the store must know of the file system under it."""

from __future__ import annotations

import fcntl
import os
import tempfile
from pathlib import Path

from mpeval.errors import UserError

_NETWORK = {
    "nfs",
    "nfs4",
    "cifs",
    "smb3",
    "smbfs",
    "9p",
    "lustre",
    "gpfs",
    "beegfs",
    "ceph",
    "glusterfs",
    "afs",
}


def check_writable(out: Path) -> None:
    """Raise `UserError` unless runs can be stored below `out`; leaves nothing behind."""
    try:
        existing = next(each for each in (out.absolute(), *out.absolute().parents) if each.exists())
        with tempfile.TemporaryFile(dir=existing):
            pass
    except OSError as error:
        raise UserError(f"cannot write into {out}: {error.strerror}; choose another --out") from error


def lock_folder(path: Path) -> int:
    """Lock the folder itself, which leaves no file behind; the system lets go of it when the process dies."""
    handle = os.open(path, os.O_RDONLY)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError as error:
        os.close(handle)
        raise UserError(f"{path} is being written by another process: wait for it, or stop it") from error
    except OSError:
        pass  # a network file system that cannot lock folders: there SQLite's own exclusive lock holds
    return handle


def on_network(path: Path, mounts: Path = Path("/proc/mounts")) -> bool:
    """Whether a path lies on a network file system; False where the system does not say."""
    try:
        lines = mounts.read_text().splitlines()
    except OSError:
        return False
    kinds = {}
    for line in lines:
        _, point, kind = line.split()[:3]
        kinds[point.encode().decode("unicode_escape")] = kind  # a space in a path is written \040
    resolved = path.resolve()
    nearest = next((kinds[str(each)] for each in (resolved, *resolved.parents) if str(each) in kinds), "")
    return nearest in _NETWORK or nearest.startswith("fuse")
