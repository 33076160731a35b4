"""Fetching datasets from the Hub, at one commit, file by file."""

from __future__ import annotations

import hashlib
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

import msgspec

from mpeval.data.download import DownloadError, Remote, download, in_parallel, is_transport_error
from mpeval.data.names import is_inside
from mpeval.data.progress import megabytes
from mpeval.data.record import (
    OWN_FOLDER,
    PublishedFile,
    Record,
    digest_of,
    fingerprint,
    read_record,
    write_record,
)
from mpeval.data.source import DataSource, lacks, missing_files, missing_line
from mpeval.errors import UserError

THREADS = 8


def fetch(name: str, source: DataSource, folder: Path) -> Record:
    """Fetch what is needed of a repository into the folder.

    The commit is asked for once and kept; an interrupted call goes on where it was. A file of other bytes that
    mpeval did not fetch is never replaced. Raises `UserError`, without a network for instance.
    """
    before = read_record(folder)
    try:
        record = before if before and _serves(before, source) else _listing(source)
        todo = [path for path in record.files if not _is_there(path, record, before, source, folder)]
        _check_space(record, todo, folder)
        write_record(folder, record)
        _fetch_files(name, source, record, todo, folder)
    except (DownloadError, ConnectionError) as error:
        missing = missing_files(source, folder)
        raise UserError(missing_line(name, source, folder, missing, _reason(error, source))) from error
    except OSError as error:
        raise UserError(f"cannot write into {folder}: {error.strerror or error}") from error
    finished = msgspec.structs.replace(record, fingerprint=fingerprint(source.files, folder))
    write_record(folder, finished)
    return finished


def matches(path: str, pattern: str) -> bool:
    """Whether a path of a repository is meant by a source's pattern.

    As in `Path.glob`, `*` stays within a folder and `**` does not; a folder that is meant is meant with all it holds.
    """
    if "**" in pattern:
        return fnmatchcase(path, pattern.replace("**/", "*"))
    parts, wanted = path.split("/"), pattern.split("/")
    return len(parts) >= len(wanted) and all(map(fnmatchcase, parts, wanted))


def _serves(record: Record, source: DataSource) -> bool:
    """Whether a record was made for this source: then its commit and its list of files hold."""
    same = (record.repository, record.revision) == (source.repository, source.revision)
    return same and not _unmatched(record, source)


def _unmatched(record: Record, source: DataSource) -> list[str]:
    return [pattern for pattern in source.files if not any(matches(path, pattern) for path in record.files)]


def _listing(source: DataSource) -> Record:
    """Ask the Hub for the commit and its files."""
    from huggingface_hub import HfApi, RepoFile

    api = HfApi()
    try:
        commit = api.dataset_info(source.repository, revision=source.revision).sha or source.revision
        tree = list(api.list_repo_tree(source.repository, repo_type="dataset", revision=commit, recursive=True))
    except Exception as error:  # the client raises its own, httpx's and OSError
        status = getattr(getattr(error, "response", None), "status_code", None)
        raise DownloadError(_first_line(error), status) from error
    files = {
        each.path: PublishedFile(
            each.lfs.size if each.lfs else each.size,
            f"sha256:{each.lfs.sha256}" if each.lfs else f"git:{each.blob_id}",
        )
        for each in tree
        if isinstance(each, RepoFile) and any(matches(each.path, pattern) for pattern in source.files)
    }
    record = Record(source.repository, source.revision, commit, files)
    unmatched = _unmatched(record, source)
    if unmatched and not source.by_hand:
        where = f"the Hub's dataset {source.repository} at {commit[:12]}"
        raise UserError(f"{where} has no {', '.join(unmatched)}: it is laid out in another way than mpeval reads")
    if outside := [path for path in files if not is_inside(path)]:
        raise UserError(f"{source.repository} lists '{outside[0]}', which points outside of its folder")
    return record


def _is_there(path: str, record: Record, before: Record | None, source: DataSource, folder: Path) -> bool:
    """Whether a file need not be fetched. Raises `UserError` for one that fetching would overwrite."""
    file, published = folder / path, record.files[path]
    if not file.exists():
        return not lacks(path, source, folder)
    ours = before.files.get(path) if before else None
    if ours == published and file.stat().st_size == published.size:
        return True
    if digest_of(file, published.digest) == published.digest:
        return True
    if ours and digest_of(file, ours.digest) == ours.digest:
        return False  # of a commit that was asked for before
    raise UserError(f"{file} is not what {record.repository} holds at {record.commit[:12]}: move it away first")


def _check_space(record: Record, todo: list[str], folder: Path) -> None:
    needed = sum(record.files[path].size for path in todo)
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise UserError(f"{folder} has room for {free / 1e9:.1f} GB, {needed / 1e9:.1f} GB are to be fetched")


def _fetch_files(name: str, source: DataSource, record: Record, todo: list[str], folder: Path) -> None:
    from huggingface_hub import HfApi, hf_hub_url
    from huggingface_hub.utils import build_hf_headers

    api, headers = HfApi(), build_hf_headers()
    parts = folder / OWN_FOLDER / "parts"
    with megabytes(f"{name}: fetching", sum(record.files[path].size for path in todo)) as advance:

        def work(path: str) -> None:
            published = record.files[path]
            url = hf_hub_url(
                record.repository, path, repo_type="dataset", revision=record.commit, endpoint=api.endpoint
            )
            partial = parts / hashlib.sha256(f"{path} {published.digest}".encode()).hexdigest()[:32]
            remote = Remote(url, folder / path, partial, published.digest, published.size, headers)
            try:
                download(remote, advance)
            except DownloadError as error:
                raise DownloadError(f"{path}: {error}", error.status) from error

        for _ in in_parallel(work, todo, THREADS):
            pass
    shutil.rmtree(parts, ignore_errors=True)


def _reason(error: DownloadError | OSError, source: DataSource) -> str:
    """Why nothing could be fetched, and what helps."""
    from huggingface_hub import HfApi

    status = error.status if isinstance(error, DownloadError) else None
    page = f"{HfApi().endpoint}/datasets/{source.repository}"
    if status in (401, 403):
        # Also the answer about a dataset that does not exist.
        return f"the Hub does not show it to you: accept the terms at {page}, then log in with 'hf auth login'"
    if status == 404:
        return f"the Hub does not find it ({error}): look at {page}"
    return str(error)


def _first_line(error: Exception) -> str:
    from huggingface_hub.errors import OfflineModeIsEnabled

    if isinstance(error, OfflineModeIsEnabled):
        return "HF_HUB_OFFLINE is set"
    reason = (str(error).splitlines() or [""])[0] or type(error).__name__
    return f"no connection to the Hub: {reason}" if is_transport_error(error) else reason
