"""`genograph download`: fetch the files that a config names by URL, and hold them to their checksums.

pooch finds what is missing or wrong, verifies what came and moves it into place. Its own downloaders begin anew each
time; the one here goes on with a file that came in part. The part lies beside the file as `.NAME.partial`, and
`.NAME.partial.json` says where it is from and which version of it, so that only a rest of the same version is added.
"""

from __future__ import annotations

import errno
import fcntl
import json
import logging
import os
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any
from urllib.parse import urlsplit

import pooch
import requests
from rich.console import Console
from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TimeRemainingColumn, TransferSpeedColumn
from urllib3.exceptions import HTTPError

from genograph.config import Config, DownloadConfig
from genograph.errors import InputError

log = logging.getLogger("genograph")
_STDERR = Console(stderr=True)
_CHUNK = 1 << 20  # bytes read at a time
_TIMEOUT = 60  # seconds without an answer, or without a byte
_COLUMNS = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())


@dataclass(frozen=True, slots=True)
class Downloaded:
    """A file of `downloads`, as it lies there now.

    Attributes:
        file: Where.
        fetched: Whether it came just now; False if it was there, and right.
        sha256: Of a file that came without a checksum to compare with; else None.
    """

    file: Path
    fetched: bool
    sha256: str | None = None


def download(config: Config) -> Iterator[Downloaded]:
    """Fetch what is missing of `config.downloads`, or differs from its checksum, one after the other.

    A file has its name only when all of it came and its checksum is right. What was stopped goes on where it stopped,
    if the server allows that and still has the same version.

    Raises:
        InputError: If the config lists none, a server cannot be reached or refuses, a connection breaks, a checksum
            differs or a file cannot be written. Files that came before stay.
    """
    if not config.downloads:
        raise InputError(f"config '{config.name}' has nothing to fetch; list files and their URLs under 'downloads'.")
    pooch.get_logger().setLevel(logging.WARNING)
    for wanted in config.downloads:
        with Progress(*_COLUMNS, TimeRemainingColumn(), transient=True, console=_STDERR) as progress:
            yield _fetch(wanted, _Resuming(wanted.file, progress))


def _fetch(wanted: DownloadConfig, downloader: _Resuming) -> Downloaded:
    file = wanted.file
    try:
        pooch.retrieve(wanted.url, wanted.checksum, fname=file.name, path=file.parent, downloader=downloader)
    except InputError:
        raise
    except requests.RequestException as error:
        raise InputError(f"{file}: {_reason(error, wanted.url)}") from None
    except OSError as error:
        is_full = error.errno in (errno.ENOSPC, errno.EDQUOT)
        way_out = "Free some space and run it again: it goes on." if is_full else "Name a place that may be written to."
        raise InputError(f"{file} cannot be written: {error.strerror or error}. {way_out}") from None
    except ValueError as error:  # pooch's: another checksum
        downloader.forget()
        raise InputError(f"{file}, from {wanted.url}: {error} Run it again, or correct it in the config.") from None
    downloader.forget()
    if wanted.checksum or not downloader.fetched:
        return Downloaded(file, downloader.fetched)
    digest = pooch.file_hash(str(file))
    log.warning("%s is unverified: the config has no checksum. To pin what came: checksum: sha256:%s", file, digest)
    return Downloaded(file, True, digest)


class _Resuming:
    """A downloader for pooch, which goes on with what is there of a file."""

    def __init__(self, file: Path, progress: Progress) -> None:
        self.file = file
        self.progress = progress
        self.partial = file.with_name(f".{file.name}.partial")
        self.origin = file.with_name(f".{file.name}.partial.json")
        self.fetched = False

    def __call__(self, url: str, output_file: str, _: object) -> None:
        if self.file.exists():
            log.warning("%s differs from its checksum: fetching it.", self.file)
        with self.partial.open("ab") as partial:
            try:
                fcntl.flock(partial, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise InputError(f"{self.file} is being fetched by another process; wait for it.") from None
            begun = self._begun(url)
            try:
                if not begun or partial.tell() != begun["size"]:
                    self._receive(url, partial, begun)
            except BaseException:
                if not partial.tell():
                    self.forget()
                raise
        # Until pooch has verified it there are two names: a stop meanwhile costs no second transfer.
        Path(output_file).unlink()
        try:
            os.link(self.partial, output_file)
        except OSError:  # a file system without links
            self.partial.rename(output_file)
        self.fetched = True

    def forget(self) -> None:
        """Remove what is kept to go on with."""
        self.origin.unlink(missing_ok=True)
        self.partial.unlink(missing_ok=True)

    def _begun(self, url: str) -> dict[str, Any]:
        """What is known of the partial file: its version and full size; empty if it is not from this URL."""
        try:
            origin = json.loads(self.origin.read_text())
        except (OSError, ValueError):
            return {}
        return origin if origin.get("url") == url else {}

    def _receive(self, url: str, partial: IO[bytes], begun: dict[str, Any]) -> None:
        # A packed file is kept packed: checksums and sizes are of what the server has.
        headers = {"Accept-Encoding": "identity"}
        if begun.get("version") and 0 < partial.tell() < (begun["size"] or 0):
            headers |= {"Range": f"bytes={partial.tell()}-", "If-Range": begun["version"]}
        with requests.get(url, headers=headers, stream=True, timeout=_TIMEOUT) as response:
            response.raise_for_status()
            if "Range" in headers and response.headers.get("Content-Range", "").startswith(f"bytes {partial.tell()}-"):
                size = begun["size"]
            else:
                partial.truncate(0)
                length = response.headers.get("Content-Length")
                size = int(length) if length else None
                self.origin.write_text(json.dumps({"url": url, "version": _version(response), "size": size}))
            task = self.progress.add_task(self.file.name, total=size, completed=partial.seek(0, os.SEEK_END))
            with suppress(HTTPError):  # the connection broke
                for chunk in response.raw.stream(_CHUNK, decode_content=False):
                    partial.write(chunk)
                    self.progress.update(task, advance=len(chunk))
                if size is None or partial.tell() == size:
                    return
        raise InputError(
            f"{self.file}: the connection to {urlsplit(url).hostname} broke after {partial.tell():,} bytes"
            f"{f' of {size:,}' if size else ''}. Run it again: it goes on if the server allows that."
        )


def _version(response: requests.Response) -> str | None:
    """What `If-Range` may be asked with: a strong ETag, or the time of the last change."""
    etag = response.headers.get("ETag", "W/")
    return response.headers.get("Last-Modified") if etag.startswith("W/") else etag


def _reason(error: requests.RequestException, url: str) -> str:
    """What became of a request, in one line."""
    host = urlsplit(url).hostname
    if isinstance(error, requests.HTTPError):
        status = error.response.status_code
        way_out = (
            "If it wants an account, put the key into ~/.netrc, or fetch the file in a browser."
            if status in (401, 403)
            else "Correct the URL in the config, or try later."
        )
        return f"{host} answers {status} {error.response.reason} for {url}. {way_out}"
    if isinstance(error, requests.ConnectionError | requests.Timeout):
        return f"no connection to {host} for {url}. Check the URL and the network, and run it again."
    return f"{url} cannot be fetched: {error}"
