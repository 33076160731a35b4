"""Files that a dataset only links to: fetched in parallel, checked, the dead ones written down."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from functools import partial
from pathlib import Path

from mpeval import report
from mpeval.data.download import DownloadError, Remote, download, in_parallel
from mpeval.data.names import is_inside
from mpeval.data.record import OWN_FOLDER, DeadLink, write_dead_links
from mpeval.data.source import Link
from mpeval.errors import UserError

THREADS = 16

SECONDS = 120.0
"""For one file with all its attempts."""

FIRST = 8
"""So many links without an answer of any server, and it is the network that is dead."""

_HEADERS = {"User-Agent": "mpeval (fetches the pictures of a benchmark)"}
"""Some hosts answer nobody who does not say who asks."""


def fetch_links(name: str, links: Iterable[Link], folder: Path) -> list[DeadLink]:
    """Fetch what is not there yet; returns the dead ones, which `dead-links.json` in the folder names too.

    Two links to one path are one. Raises `UserError` without a network.
    """
    wanted = list({link.path: link for link in links if not (folder / link.path).is_file()}.values())
    if outside := [link for link in wanted if not is_inside(link.path)]:
        raise UserError(f"{name} links to '{outside[0].path}', which points outside of its folder")
    dead: list[DeadLink] = []
    answered = False
    with report.progress(f"{name}: fetching linked files", len(wanted)) as advance:
        for link, error in in_parallel(partial(_fetch, folder=folder), wanted, THREADS):
            advance(1)
            answered = answered or error is None or error.status is not None
            if error is not None:
                dead.append(DeadLink(link.url, link.path, str(error)))
            if not answered and len(dead) >= min(FIRST, len(wanted)):
                raise UserError(
                    f"{name}: its linked files cannot be fetched, for no server answers ({error}): with a network, run "
                    f"'mpeval data prepare {name}', which goes on"
                )
    dead.sort(key=lambda each: each.path)
    write_dead_links(folder, dead)
    return dead


def _fetch(link: Link, folder: Path) -> DownloadError | None:
    """Returns why a link is dead; None once its file is there."""
    if not link.url.startswith(("http://", "https://")):
        return DownloadError("no web address", 0)
    part = folder / OWN_FOLDER / "parts" / hashlib.sha256(f"{link.url} {link.path}".encode()).hexdigest()[:32]
    digest = f"sha256:{link.sha256.lower()}" if link.sha256 else None
    try:
        download(Remote(link.url, folder / link.path, part, digest, headers=_HEADERS, seconds=SECONDS))
    except DownloadError as error:
        part.unlink(missing_ok=True)
        return error
    return None
