"""Files' hashes: once a file, unless it was changed."""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from mpeval import file_hashes
from mpeval.errors import SampleError
from mpeval.file_hashes import sha256_of
from mpeval.media import Media


@pytest.fixture
def reads(monkeypatch: pytest.MonkeyPatch) -> list[Sequence[Path]]:
    """What was read. Files just written count as settled."""
    read, found = file_hashes._read, []

    def counted(files: Sequence[Path]) -> str:
        found.append(files)
        time.sleep(0.02)
        return read(files)

    monkeypatch.setattr(file_hashes, "_read", counted)
    monkeypatch.setattr(file_hashes, "SETTLED", 0)
    return found


def test_a_file_is_read_once_for_all_threads_and_questions(tmp_path: Path, reads: list[Sequence[Path]]) -> None:
    content = os.urandom(3 * file_hashes.CHUNK + 7)
    (tmp_path / "a.png").write_bytes(content)
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: Media.image(tmp_path / "a.png").sha256, range(16)))
    assert set(found) == {hashlib.sha256(content).hexdigest()} and len(reads) == 1


def test_a_changed_file_is_read_again(tmp_path: Path, reads: list[Sequence[Path]]) -> None:
    file = tmp_path / "a"
    file.write_bytes(b"one")
    first = sha256_of([file])
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert sha256_of([file]) == hashlib.sha256(b"two").hexdigest() != first


def test_a_file_changed_just_now_is_not_remembered(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its next change may carry the same time."""
    monkeypatch.setattr(file_hashes, "_KNOWN", None)
    (tmp_path / "a").write_bytes(b"one")
    assert sha256_of([tmp_path / "a"]) == hashlib.sha256(b"one").hexdigest()


def test_frames_are_one_piece_of_media(tmp_path: Path, reads: list[Sequence[Path]]) -> None:
    files = tuple(tmp_path / str(number) for number in range(3))
    for number, file in enumerate(files):
        file.write_bytes(bytes([number]) * 5)
    whole = hashlib.sha256(b"".join(file.read_bytes() for file in files)).hexdigest()
    assert Media("video", files, rate=2.0).sha256 == Media("video", files, rate=2.0).sha256 == whole
    assert len(reads) == 1


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SampleError, match=r"cannot read .*gone\.png: No such file"):
        Media.image(tmp_path / "gone.png").sha256  # noqa: B018
    with pytest.raises(SampleError, match="Is a directory"):
        sha256_of([tmp_path])
