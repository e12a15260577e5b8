"""Files are fetched from a server on this machine that logs what it is asked for."""

from __future__ import annotations

import email.utils
import errno
import fcntl
import hashlib
import os
import re
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import yaml

from genograph import cli
from genograph.config import Config, load_config, parse_config
from genograph.download import download
from genograph.errors import InputError
from genograph.prepare import prepare
from tests import tiny

CONTENT = bytes(range(256)) * 4000  # 1,024,000 bytes
SHA256 = hashlib.sha256(CONTENT).hexdigest()
HALF = len(CONTENT) // 2


@dataclass
class Site:
    """What the server has, how it behaves, and what it was asked for and sent."""

    files: dict[str, bytes] = field(default_factory=dict)
    etag: str | None = '"v1"'
    modified: float | None = None
    ranges: bool = True
    breaks_after: int | None = None  # bytes of a body, then the connection is closed
    encoding: str | None = None
    status: int | None = None
    ranges_asked: list[str | None] = field(default_factory=list)
    bytes_sent: list[int] = field(default_factory=list)
    url: str = ""

    def first_bytes(self, asked: str | None, condition: str | None) -> int:
        """Where an answer starts: 0 unless a range of the same version was asked for."""
        if not (asked and self.ranges and condition in (self.etag, self.date)):
            return 0
        return int(re.fullmatch(r"bytes=(\d+)-", asked)[1])

    @property
    def date(self) -> str | None:
        return self.modified and email.utils.formatdate(self.modified, usegmt=True)


def handler(site: Site) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            asked = self.headers["Range"]
            site.ranges_asked.append(asked)
            content = site.files.get(self.path)
            if content is None or site.status:
                self.send_error(site.status or 404)
                return
            start = site.first_bytes(asked, self.headers["If-Range"])
            body = content[start:]
            self.send_response(206 if start else 200)
            if start:
                self.send_header("Content-Range", f"bytes {start}-{len(content) - 1}/{len(content)}")
            for name, value in (
                ("ETag", site.etag),
                ("Last-Modified", site.date),
                ("Content-Encoding", site.encoding),
                ("Content-Length", str(len(body))),
            ):
                if value:
                    self.send_header(name, value)
            self.end_headers()
            body = body[: site.breaks_after]
            site.bytes_sent.append(len(body))
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            pass

    return Handler


@pytest.fixture
def site(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "*")
    site = Site({"/a.bw": CONTENT})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler(site))
    site.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield site
    server.shutdown()
    thread.join()
    server.server_close()


def config(folder: Path, site: Site, *names: str, checksum: str | None = f"sha256:{SHA256}") -> Config:
    wanted = [{"file": f"data/{name}", "url": f"{site.url}/{name}", "checksum": checksum} for name in names]
    return parse_config(tiny.config_tree() | {"downloads": wanted}, folder)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in (folder / "data").iterdir())


def interrupt(tmp_path: Path, site: Site, after: int = HALF) -> None:
    """Fetch until the server closes the connection."""
    site.breaks_after = after
    with pytest.raises(InputError, match="broke"):
        list(download(config(tmp_path, site, "a.bw")))
    site.breaks_after = None
    site.ranges_asked.clear()
    site.bytes_sent.clear()


def test_a_missing_file_is_fetched_whole_and_nothing_else_is_left(tmp_path, site):
    (result,) = download(config(tmp_path, site, "a.bw"))
    assert result.file == tmp_path / "data" / "a.bw"
    assert result.fetched
    assert result.file.read_bytes() == CONTENT
    assert names(tmp_path) == ["a.bw"]


def test_a_file_is_made_with_the_rights_of_any_other(tmp_path, site):
    list(download(config(tmp_path, site, "a.bw")))
    (tmp_path / "other").touch()
    assert (tmp_path / "data" / "a.bw").stat().st_mode == (tmp_path / "other").stat().st_mode


def test_an_md5_is_a_checksum_too(tmp_path, site):
    checksum = f"md5:{hashlib.md5(CONTENT).hexdigest()}"
    assert next(download(config(tmp_path, site, "a.bw", checksum=checksum))).fetched


def test_a_file_that_is_there_and_right_is_not_asked_for(tmp_path, site):
    list(download(config(tmp_path, site, "a.bw")))
    (result,) = download(config(tmp_path, site, "a.bw"))
    assert not result.fetched
    assert len(site.ranges_asked) == 1


def test_a_file_that_differs_from_its_checksum_is_replaced(tmp_path, site, caplog):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.bw").write_bytes(b"an older version")
    (result,) = download(config(tmp_path, site, "a.bw"))
    assert result.file.read_bytes() == CONTENT
    assert "a.bw differs from its checksum: fetching it" in caplog.text


def test_a_broken_connection_says_how_far_it_came_and_leaves_no_file(tmp_path, site):
    site.breaks_after = HALF
    with pytest.raises(InputError, match=r"broke after 512,000 bytes of 1,024,000\. Run it again"):
        list(download(config(tmp_path, site, "a.bw")))
    assert names(tmp_path) == [".a.bw.partial", ".a.bw.partial.json"]


@pytest.mark.parametrize("etag", ['"v1"', None, 'W/"weak"'])
def test_only_the_rest_of_a_stopped_download_is_sent(tmp_path, site, etag):
    site.etag, site.modified = etag, 1e9
    interrupt(tmp_path, site)
    (result,) = download(config(tmp_path, site, "a.bw"))
    assert site.ranges_asked == [f"bytes={HALF}-"]
    assert site.bytes_sent == [len(CONTENT) - HALF]
    assert result.file.read_bytes() == CONTENT
    assert names(tmp_path) == ["a.bw"]


def test_a_download_may_be_stopped_many_times(tmp_path, site):
    for _ in range(3):
        interrupt(tmp_path, site, after=100_000)
    list(download(config(tmp_path, site, "a.bw")))
    assert site.ranges_asked == ["bytes=300000-"]


def test_a_server_that_sends_no_ranges_sends_the_whole(tmp_path, site):
    interrupt(tmp_path, site)
    site.ranges = False
    (result,) = download(config(tmp_path, site, "a.bw"))
    assert site.bytes_sent == [len(CONTENT)]
    assert result.file.read_bytes() == CONTENT


def test_a_server_that_names_no_version_is_asked_for_the_whole(tmp_path, site):
    site.etag = None
    interrupt(tmp_path, site)
    list(download(config(tmp_path, site, "a.bw")))
    assert site.ranges_asked == [None]


def test_no_rest_is_added_to_another_version(tmp_path, site):
    interrupt(tmp_path, site)
    site.etag, site.files["/a.bw"] = '"v2"', CONTENT[::-1]
    (result,) = download(config(tmp_path, site, "a.bw", checksum=None))
    assert result.file.read_bytes() == CONTENT[::-1]


def test_no_rest_is_added_to_what_came_from_another_url(tmp_path, site):
    interrupt(tmp_path, site)
    site.files["/moved/a.bw"] = CONTENT
    tree = [{"file": "data/a.bw", "url": f"{site.url}/moved/a.bw", "checksum": f"sha256:{SHA256}"}]
    list(download(parse_config(tiny.config_tree() | {"downloads": tree}, tmp_path)))
    assert site.ranges_asked == [None]


def test_what_is_longer_than_the_file_is_fetched_anew(tmp_path, site):
    interrupt(tmp_path, site)
    with (tmp_path / "data" / ".a.bw.partial").open("ab") as partial:
        partial.write(CONTENT)
    assert next(download(config(tmp_path, site, "a.bw"))).file.read_bytes() == CONTENT
    assert site.ranges_asked == [None]


def test_a_stop_while_the_checksum_is_taken_costs_no_second_transfer(tmp_path, site, monkeypatch):
    def stop(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("pooch.core.hash_matches", stop)
        with pytest.raises(KeyboardInterrupt):
            list(download(config(tmp_path, site, "a.bw")))
    assert names(tmp_path) == [".a.bw.partial", ".a.bw.partial.json"]
    assert next(download(config(tmp_path, site, "a.bw"))).fetched
    assert len(site.ranges_asked) == 1


def test_a_file_system_without_links_serves_too(tmp_path, site, monkeypatch):
    def refuse(*_: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    list(download(config(tmp_path, site, "a.bw")))
    assert names(tmp_path) == ["a.bw"]


def test_another_checksum_is_an_error_with_both_and_nothing_is_kept(tmp_path, site):
    site.files["/a.bw"] = CONTENT[::-1]
    with pytest.raises(InputError) as caught:
        list(download(config(tmp_path, site, "a.bw")))
    message = str(caught.value)
    for told in (f"{tmp_path}/data/a.bw", SHA256, hashlib.sha256(CONTENT[::-1]).hexdigest(), "Run it again"):
        assert told in message
    assert "\n" not in message
    assert names(tmp_path) == []


def test_a_wrong_file_stays_as_it_was_if_what_comes_is_wrong_too(tmp_path, site):
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a.bw").write_bytes(b"mine")
    site.files["/a.bw"] = b"theirs"
    with pytest.raises(InputError):
        list(download(config(tmp_path, site, "a.bw")))
    assert (tmp_path / "data" / "a.bw").read_bytes() == b"mine"


def test_without_a_checksum_the_sha256_is_told_once_with_a_warning(tmp_path, site, caplog):
    (result,) = download(config(tmp_path, site, "a.bw", checksum=None))
    assert result.sha256 == SHA256
    assert f"unverified: the config has no checksum. To pin what came: checksum: sha256:{SHA256}" in caplog.text
    assert next(download(config(tmp_path, site, "a.bw", checksum=None))).fetched is False
    assert len(site.ranges_asked) == 1


def test_a_packed_file_is_kept_as_the_server_has_it(tmp_path, site):
    site.encoding = "gzip"  # as some servers say of every file.gz
    assert next(download(config(tmp_path, site, "a.bw"))).file.read_bytes() == CONTENT


def test_of_two_files_the_one_that_came_stays(tmp_path, site):
    with pytest.raises(InputError, match=r"127.0.0.1 answers 404 Not Found for http.*/b.bw. Correct the URL"):
        list(download(config(tmp_path, site, "a.bw", "b.bw")))
    assert names(tmp_path) == ["a.bw"]


@pytest.mark.parametrize(("status", "told"), [(403, "wants an account"), (503, "try later")])
def test_a_server_that_refuses_is_told_in_one_line(tmp_path, site, status, told):
    site.status = status
    with pytest.raises(InputError, match=told):
        list(download(config(tmp_path, site, "a.bw")))


def test_a_refusal_leaves_what_came_before_to_go_on_with(tmp_path, site):
    interrupt(tmp_path, site)
    site.status = 503
    with pytest.raises(InputError):
        list(download(config(tmp_path, site, "a.bw")))
    site.status = None
    list(download(config(tmp_path, site, "a.bw")))
    assert site.bytes_sent == [len(CONTENT) - HALF]


def test_a_server_that_is_not_there_is_told_in_one_line(tmp_path, site):
    site.url = "http://127.0.0.1:9"
    with pytest.raises(InputError, match=r"no connection to 127\.0\.0\.1"):
        list(download(config(tmp_path, site, "a.bw")))


def test_a_place_that_cannot_be_written_is_told_in_one_line(tmp_path, site):
    (tmp_path / "data").write_text("a file where a folder should be")
    with pytest.raises(InputError, match=r"data/a.bw cannot be written: .* Name a place that may be written to."):
        list(download(config(tmp_path, site, "a.bw")))


def test_a_full_disk_keeps_what_came(tmp_path, site, monkeypatch):
    def fill(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("genograph.download._CHUNK", 100_000)
        patch.setattr("rich.progress.Progress.update", fill)
        with pytest.raises(InputError, match=r"No space left on device\. Free some space and run it again: it goes on"):
            list(download(config(tmp_path, site, "a.bw")))
    list(download(config(tmp_path, site, "a.bw")))
    assert site.ranges_asked == [None, "bytes=100000-"]


def test_two_downloads_of_one_file_at_once_are_refused(tmp_path, site):
    interrupt(tmp_path, site)
    with (tmp_path / "data" / ".a.bw.partial").open("ab") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        with pytest.raises(InputError, match="is being fetched by another process"):
            list(download(config(tmp_path, site, "a.bw")))


@pytest.mark.parametrize(
    ("override", "told"),
    [
        ("downloads=[{file: a, url: 'ftp://x/y'}]", r"downloads\[0\].url: "),
        ("downloads=[{file: a, url: 'https://x/y', checksum: 0123}]", r"downloads\[0\].checksum: "),
        ("downloads=[{file: a, url: 'https://x/y', sha256: a}]", r"downloads\[0\]: no key 'sha256'. Known: file, url"),
        ("downloads=[{file: a, url: 'https://x/y'}, {file: ./a, url: 'https://x/z'}]", "a comes twice"),
        ("downloads=[]", "has nothing to fetch"),
    ],
)
def test_a_mistake_in_downloads_is_named(tmp_path, override, told):
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny.config_tree()))
    with pytest.raises(InputError, match=told):
        list(download(load_config(tmp_path / "config.yaml", [override])))


def test_the_verb_tells_what_it_did_and_ends_with_2_on_an_error(tmp_path, site, monkeypatch, capsys):
    wanted = [{"file": f"{name}.bw", "url": f"{site.url}/{name}.bw"} for name in "ab"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(tiny.config_tree() | {"downloads": wanted}))
    monkeypatch.setattr("sys.argv", ["genograph", "download", str(tmp_path / "config.yaml")])
    with pytest.raises(SystemExit, match="2"):
        cli.main()
    streams = capsys.readouterr()
    assert streams.out == f"fetched    {tmp_path / 'a.bw'}\n"
    assert [line for line in streams.err.splitlines() if line.startswith("genograph: ")] == [
        f"genograph: {tmp_path / 'b.bw'}: 127.0.0.1 answers 404 Not Found for {site.url}/b.bw. "
        "Correct the URL in the config, or try later."
    ]


def test_prepare_says_what_would_fetch_a_missing_file(tmp_path):
    path = tiny.write_world(tmp_path)
    (tmp_path / "genome.fa").unlink()
    wanted = "downloads=[{file: genome.fa, url: 'https://example.org/genome.fa'}]"
    with pytest.raises(
        InputError, match=r"no such file.* Fetch the 1 missing files of downloads: genograph download CONFIG"
    ):
        prepare(load_config(path, [wanted]))
