"""Zips as they are published, and as somebody might forge them."""

from __future__ import annotations

import contextlib
import stat
import unicodedata
import zipfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mpeval.data.archive import Archive, extract, unpacked_size
from mpeval.data.files import Files
from mpeval.data.names import is_inside, normal
from mpeval.errors import SampleError, UserError

OUTSIDE = [
    "../evil.txt",
    "a/../../evil.txt",
    "/tmp/evil.txt",
    "C:/evil.txt",
    "c:evil.txt",
    "..\\evil.txt",
    "a\\..\\..\\evil.txt",
    "C:\\evil.txt",
    "\\\\server\\share\\evil.txt",
]


def make_zip(path: Path, members: dict[str, bytes], **options: int) -> Path:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as file:
        for name, content in members.items():
            info = zipfile.ZipInfo(name)
            info.compress_type = zipfile.ZIP_DEFLATED
            info.external_attr = options.get("external_attr", 0)
            file.writestr(info, content)
    return path


def files_below(folder: Path) -> dict[str, bytes]:
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_what_is_packed_is_unpacked(tmp_path: Path) -> None:
    members = {"a/1.txt": b"one", "a/b/2.txt": b"two" * 1000, "./3.txt": b"", "__MACOSX/a/._1.txt": b"x"}
    path = make_zip(tmp_path / "x.zip", members | {"a/.DS_Store": b"x"})
    written: list[int] = []
    assert unpacked_size(path, tmp_path / "out") == 3003
    assert extract(path, tmp_path / "out", written.append) == 3
    assert files_below(tmp_path / "out") == {"a/1.txt": b"one", "a/b/2.txt": b"two" * 1000, "3.txt": b""}
    assert sum(written) == 3003
    assert unpacked_size(path, tmp_path / "out") == 0


def test_unpacking_goes_on_where_it_was(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"1.txt": b"one", "2.txt": b"two!"})
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "1.txt").write_bytes(b"ONE")  # of the right size: kept
    (tmp_path / "out" / "2.txt").write_bytes(b"tw")
    written: list[int] = []
    extract(path, tmp_path / "out", written.append)
    assert files_below(tmp_path / "out") == {"1.txt": b"ONE", "2.txt": b"two!"}
    assert written == [4]


@pytest.mark.parametrize("name", OUTSIDE)
def test_a_member_that_points_outside_stops_all(tmp_path: Path, name: str) -> None:
    path = make_zip(tmp_path / "x.zip", {"good.txt": b"good", name: b"evil"})
    with pytest.raises(UserError, match="nothing was unpacked"):
        extract(path, tmp_path / "deep" / "out")
    assert files_below(tmp_path) == {"x.zip": path.read_bytes()}
    archive = Archive(path)
    assert list(archive.members) == ["good.txt"]
    assert archive.refused == [name]


def test_a_link_stops_all(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"link": b"/etc/passwd"}, external_attr=(stat.S_IFLNK | 0o777) << 16)
    with pytest.raises(UserError, match="'link'"):
        extract(path, tmp_path / "out")
    assert Archive(path).members == {}
    assert Archive(path).refused == ["link"]


@given(st.text(st.sampled_from("ab./\\:C~é\u0301"), max_size=12))
def test_what_is_inside_stays_inside(name: str) -> None:
    if is_inside(name):
        parts = PurePosixPath(name.replace("\\", "/")).parts
        depth = 0
        for part in parts:
            depth += -1 if part == ".." else 1
            assert depth >= 0 and part != "/"
    assert normal(normal(name)) == normal(name)


NAMES = st.text(st.characters(codec="utf-8"), min_size=1, max_size=8)


@given(st.dictionaries(NAMES, st.binary(max_size=8), max_size=5))
@settings(max_examples=40, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_nothing_is_ever_written_outside(tmp_path_factory: pytest.TempPathFactory, members: dict[str, bytes]) -> None:
    root = tmp_path_factory.mktemp("fuzz")
    path = make_zip(root / "x.zip", members)
    with contextlib.suppress(UserError):
        extract(path, root / "out")
    assert [each.name for each in root.iterdir() if each.name != "out"] == ["x.zip"]


NAME = "pictures/café 東京.jpg"


def test_utf8_without_the_flag_and_decomposed_accents_are_found(tmp_path: Path) -> None:
    """Written as a Mac's archiver does: UTF-8 bytes of an NFD name, and no flag that says so."""
    decomposed = unicodedata.normalize("NFD", NAME)
    path, raw_name = tmp_path / "x.zip", decomposed.encode()
    # zipfile flags a name that is not ASCII as UTF-8: write an ASCII one of the same length, then put the bytes in.
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("p" * len(raw_name), b"picture")
    path.write_bytes(path.read_bytes().replace(b"p" * len(raw_name), raw_name))
    with zipfile.ZipFile(path) as file:
        assert file.namelist() != [decomposed]  # what zipfile makes of it
    assert list(Archive(path).members) == [NAME]
    found = Files(tmp_path, ("x.zip",))
    for asked in (NAME, decomposed):
        assert found.find(asked).read_bytes() == b"picture"
    extract(path, tmp_path / "out")
    assert files_below(tmp_path / "out") == {NAME: b"picture"}
    assert Files(tmp_path / "out").find(decomposed).read_bytes() == b"picture"


def test_a_mistaken_name_is_recovered_wherever_it_was_passed_on(tmp_path: Path) -> None:
    """Programs that take UTF-8 for cp437 write the names so when they unpack a zip, or pack it anew."""
    decomposed = unicodedata.normalize("NFD", NAME)
    mistaken = decomposed.encode().decode("cp437")
    make_zip(tmp_path / "anew.zip", {mistaken: b"picture"})
    assert Files(tmp_path, ("anew.zip",)).find(NAME).read_bytes() == b"picture"
    (tmp_path / "unpacked" / "pictures").mkdir(parents=True)
    (tmp_path / "unpacked" / mistaken).write_bytes(b"picture")
    assert Files(tmp_path / "unpacked").find(NAME).read_bytes() == b"picture"


def test_a_name_in_cp437(tmp_path: Path) -> None:
    name = "é1.txt"
    with zipfile.ZipFile(tmp_path / "y.zip", "w") as file:
        file.writestr("pp.txt"[: len(name.encode("cp437"))], b"text")
    raw = (tmp_path / "y.zip").read_bytes().replace(b"pp.txt", name.encode("cp437"))
    (tmp_path / "x.zip").write_bytes(raw)
    assert list(Archive(tmp_path / "x.zip").members) == [name]


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_members_of_one_name_the_later_counts(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", b"first")
        file.writestr("a.txt", b"second one")
    assert Archive(path).members["a.txt"].read_bytes() == b"second one"
    assert extract(path, tmp_path / "out") == 1
    assert extract(path, tmp_path / "out") == 1
    assert files_below(tmp_path / "out") == {"a.txt": b"second one"}


def test_a_zip_cut_short_is_one_line(tmp_path: Path) -> None:
    path = make_zip(tmp_path / "x.zip", {"a.txt": b"text" * 1000})
    path.write_bytes(path.read_bytes()[:-30])
    for call in (lambda: extract(path, tmp_path / "out"), lambda: Files(tmp_path, ("x.zip",)).find("a.txt")):
        with pytest.raises(UserError, match=r"x\.zip is not a readable zip .*fetch it again"):
            call()


def spoil(path: Path, offset: int = 60) -> None:
    raw = bytearray(path.read_bytes())
    raw[offset] ^= 0xFF
    path.write_bytes(raw)


def test_a_member_with_a_wrong_checksum(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:  # stored
        file.writestr("a.txt", b"text" * 100)
        file.writestr("b.txt", b"good")
    spoil(path)
    with pytest.raises(SampleError, match=r"x\.zip:a\.txt: Bad CRC"):
        Archive(path).members["a.txt"].read_bytes()
    assert Archive(path).members["b.txt"].read_bytes() == b"good"
    with pytest.raises(UserError, match=r"'a\.txt' cannot be unpacked"):
        extract(path, tmp_path / "out")
    assert files_below(tmp_path / "out") == {}


def test_an_encrypted_member(tmp_path: Path) -> None:
    path = tmp_path / "x.zip"
    with zipfile.ZipFile(path, "w") as file:
        file.writestr("a.txt", b"text")
    raw = bytearray(path.read_bytes())
    raw[6] |= 1  # the flag, in the member's header and in the directory
    raw[raw.index(b"PK\1\2") + 8] |= 1
    path.write_bytes(raw)
    with pytest.raises(SampleError, match="encrypted"):
        Archive(path).members["a.txt"].read_bytes()
    with pytest.raises(UserError, match="encrypted"):
        extract(path, tmp_path / "out")


@given(st.integers(0, 10_000), st.integers(1, 255))
@settings(max_examples=60, deadline=None)
def test_a_damaged_zip_never_raises_anything_else(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int
) -> None:
    root = tmp_path_factory.mktemp("damaged")
    path = make_zip(root / "x.zip", {"a/é.txt": b"text" * 50, "b.txt": b"more"})
    raw = bytearray(path.read_bytes())
    raw[place % len(raw)] ^= change
    path.write_bytes(raw)
    try:
        for member in Archive(path).members.values():
            try:
                member.read_bytes()
            except SampleError:
                continue
        extract(path, root / "out")
    except UserError:
        pass
    assert {each.name for each in root.iterdir()} <= {"x.zip", "out"}


def test_reading_on_many_threads(tmp_path: Path) -> None:
    members = {f"{index}.bin": bytes([index]) * 20_000 for index in range(60)}
    archive = Archive(make_zip(tmp_path / "x.zip", members))
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda name: archive.members[name].read_bytes(), members)) == list(members.values())


def test_what_is_unpacked_wins_and_nothing_is_found_outside(tmp_path: Path) -> None:
    (tmp_path / "data" / "a").mkdir(parents=True)
    make_zip(tmp_path / "data" / "x.zip", {"a/1.txt": b"packed", "a/2.txt": b"packed"})
    (tmp_path / "data" / "a" / "1.txt").write_bytes(b"unpacked")
    files = Files(tmp_path / "data", ("x.zip", "absent.zip"))
    assert files.find("a/1.txt").read_bytes() == b"unpacked"
    assert files.find("a/2.txt").read_bytes() == b"packed"
    assert files.has("a/2.txt") and not files.has("a/3.txt")
    for name in ("../x.zip", "/etc/passwd", "a/../../x.zip", str(tmp_path / "x.zip")):
        assert not files.has(name)
