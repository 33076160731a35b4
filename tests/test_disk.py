"""What the store must know of the file system."""

from __future__ import annotations

from pathlib import Path

import pytest

from mpeval.disk import check_writable, on_network
from mpeval.errors import UserError


def test_network_file_systems_are_known_by_their_mounts(tmp_path: Path) -> None:
    mounts = tmp_path / "mounts"
    mounts.write_text(
        "none / overlay rw 0 0\nhost:/x /mnt/my\\040data nfs4 rw 0 0\n/dev/sdb /mnt/my\\040data/disk ext4 rw 0 0\n"
        "bucket /mnt/bucket fuse.gcsfuse rw 0 0\n"
    )
    assert on_network(Path("/mnt/my data/runs/a"), mounts)
    assert on_network(Path("/mnt/bucket"), mounts)
    assert not on_network(Path("/mnt/my data/disk/a"), mounts)
    assert not on_network(Path("/home/me"), mounts)
    assert not on_network(Path("/home/me"), tmp_path / "absent")


def test_a_place_that_cannot_be_written_is_refused_and_a_good_one_left_empty(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="choose another --out"):
        check_writable(tmp_path / "file" / "results")
    with pytest.raises(UserError, match="choose another --out"):
        check_writable(tmp_path / ("x" * 300) / "results")
    check_writable(tmp_path / "new" / "results")
    assert [each.name for each in tmp_path.iterdir()] == ["file"]
