import builtins
import errno
import hashlib
import io
import os
import select
import shutil
import signal
import socket
import subprocess
import sys
import threading
from functools import partial
from pathlib import Path
from types import SimpleNamespace

import pytest
from tqdm import tqdm

from crust_sklearn.datasets import download
from crust_sklearn.datasets.download import RemoteFile, fetch_file

CONTENT = bytes(range(256)) * 4000  # four times what is read at once
HALF = len(CONTENT) // 2
NAME = "set.bin"
PATIENCE = 300  # seconds; a loaded machine may take long to start a process
ROOT = Path(__file__).resolve().parents[2]

fetch = partial(fetch_file, delay=0)


@pytest.fixture
def send(answers):
    return answers[0]


@pytest.fixture
def send_status(answers):
    return answers[1]


def list_files(folder):
    return sorted(path.name for path in folder.iterdir() if not path.name.endswith(".lock"))


def assert_fetched(path, folder):
    assert path == folder / NAME
    assert path.read_bytes() == CONTENT
    assert list_files(folder) == [NAME]


def test_file_is_fetched_once(server, tmp_path):
    remote = server.publish(NAME, CONTENT)
    folder = tmp_path / "new" / "folder"
    assert_fetched(fetch(remote, folder), folder)
    assert_fetched(fetch(remote, folder), folder)
    assert server.requests == [(NAME, None)]


def test_by_md5_where_that_is_all_that_is_published(server, tmp_path):
    md5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()
    remote = server.publish(NAME, CONTENT, sha256=None, md5=md5)
    assert_fetched(fetch(remote, tmp_path), tmp_path)
    assert remote.get_provenance() == {
        "name": NAME,
        "url": server.get_url(NAME),
        "bytes": len(CONTENT),
        "sha256": None,
        "md5": md5,
    }
    with pytest.raises(OSError, match=f"its MD5 is {md5} instead of 00"):
        fetch(RemoteFile("other", remote.url, remote.size, md5="00"), tmp_path)


def test_file_that_is_there_is_taken_where_nothing_can_be_written(server, tmp_path, monkeypatch):
    remote = server.publish(NAME, CONTENT)
    (tmp_path / NAME).write_bytes(CONTENT)
    monkeypatch.setattr(download, "locked", lambda path: pytest.fail("a lock was written"))
    assert_fetched(fetch(remote, tmp_path), tmp_path)


def test_progress_is_that_of_the_whole_file(server, tmp_path, monkeypatch):
    bars = []

    class Bar(tqdm):
        def __init__(self, **options):
            assert options.pop("disable") is None  # tqdm's own choice: shown on a terminal
            super().__init__(**options, file=io.StringIO())
            bars.append(self)

    monkeypatch.setattr(download, "tqdm", Bar)
    remote = server.publish(NAME, CONTENT)
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:HALF])
    fetch(remote, tmp_path)
    [bar] = bars
    assert (bar.desc, bar.initial) == (NAME, HALF)
    assert bar.n == bar.total == len(CONTENT)


# Cuts ---------------------------------------------------------------------------------------------


def test_goes_on_after_a_cut(server, tmp_path, send):
    remote = server.publish(NAME, CONTENT, partial(send, n_sent=HALF), partial(send, n_sent=1000))
    with pytest.warns(UserWarning, match="cut. Go on from byte"):
        assert_fetched(fetch(remote, tmp_path), tmp_path)
    ranges = [None, f"bytes={HALF}-", f"bytes={HALF + 1000}-"]
    assert server.requests == [(NAME, wanted) for wanted in ranges]


def test_goes_on_after_the_process_ended(server, tmp_path):
    remote = server.publish(NAME, CONTENT)
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:HALF])
    assert_fetched(fetch(remote, tmp_path), tmp_path)
    assert server.requests == [(NAME, f"bytes={HALF}-")]


def test_part_that_is_whole_already_is_not_asked_for(server, tmp_path):
    remote = server.publish(NAME, CONTENT)
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT)
    assert_fetched(fetch(remote, tmp_path), tmp_path)
    assert server.requests == []


@pytest.mark.parametrize(
    "left",
    [b"x" * HALF, b"x" * len(CONTENT), CONTENT + b"more"],
    ids=["other half", "other file", "too long"],
)
def test_part_of_another_file_is_thrown_away(server, tmp_path, left):
    remote = server.publish(NAME, CONTENT)
    (tmp_path / f"{NAME}.part").write_bytes(left)
    assert_fetched(fetch(remote, tmp_path), tmp_path)


def test_server_that_ignores_the_range_is_read_from_the_start(server, tmp_path, send):
    whole = partial(send, has_range=False)
    remote = server.publish(NAME, CONTENT, partial(send, n_sent=HALF), whole)
    with pytest.warns(UserWarning, match=f"byte {HALF}"):
        assert_fetched(fetch(remote, tmp_path), tmp_path)
    assert [wanted for _, wanted in server.requests] == [None, f"bytes={HALF}-"]


def test_server_that_ignores_ranges_and_cuts_is_given_up(server, tmp_path, send):
    """Each try brings bytes, but no new ones."""
    cut = partial(send, n_sent=HALF, has_range=False)
    remote = server.publish(NAME, CONTENT, *[cut] * 9)
    with pytest.warns(UserWarning), pytest.raises(OSError, match="The last 3 tries brought noth"):
        fetch(remote, tmp_path, n_retries=2)
    assert len(server.requests) == 4


def test_range_that_the_server_does_not_have_is_started_anew(server, tmp_path, send_status):
    remote = server.publish(NAME, CONTENT, send_status(416))
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:HALF])
    with pytest.warns(UserWarning, match="no such range"):
        assert_fetched(fetch(remote, tmp_path), tmp_path)
    assert [wanted for _, wanted in server.requests] == [f"bytes={HALF}-", None]


def test_another_range_than_asked_for_is_started_anew(server, tmp_path, send):
    remote = server.publish(NAME, CONTENT, partial(send, shift=1))
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:HALF])
    with pytest.warns(UserWarning, match="another range"):
        assert_fetched(fetch(remote, tmp_path), tmp_path)


def test_no_end_of_cuts_is_an_error_that_keeps_what_came(server, tmp_path, send):
    cuts = [partial(send, n_sent=HALF), *[partial(send, n_sent=0)] * 3]
    remote = server.publish(NAME, CONTENT, *cuts)
    with pytest.warns(UserWarning), pytest.raises(OSError, match="the connection was cut") as info:
        fetch(remote, tmp_path, n_retries=2)
    assert f"{NAME}.part keeps the {HALF} bytes" in str(info.value)
    assert (tmp_path / f"{NAME}.part").read_bytes() == CONTENT[:HALF]
    assert_fetched(fetch(remote, tmp_path), tmp_path)


# Answers ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [500, 503, 429])
def test_error_that_passes_is_asked_again(server, tmp_path, send_status, status):
    remote = server.publish(NAME, CONTENT, send_status(status), send_status(status))
    with pytest.warns(UserWarning, match=f"answers {status}"):
        assert_fetched(fetch(remote, tmp_path), tmp_path)


def test_error_that_does_not_pass(server, tmp_path, send_status):
    remote = server.publish(NAME, CONTENT, *[send_status(500)] * 9)
    with pytest.warns(UserWarning), pytest.raises(OSError, match=r"500 .*Nothing was kept"):
        fetch(remote, tmp_path, n_retries=2)
    assert len(server.requests) == 3
    assert list_files(tmp_path) == []


def test_waits_twice_as_long_each_time(server, tmp_path, send_status, monkeypatch):
    waits = []
    monkeypatch.setattr(download, "time", SimpleNamespace(sleep=waits.append))
    remote = server.publish(NAME, CONTENT, *[send_status(502)] * 6)
    with pytest.warns(UserWarning):
        fetch_file(remote, tmp_path, n_retries=6, delay=3.0)
    assert waits == [3, 6, 12, 24, 48, 60]


@pytest.mark.parametrize("status", [403, 404, 410])
def test_missing_file_is_asked_for_once(server, tmp_path, send_status, status):
    remote = server.publish(NAME, CONTENT, send_status(status))
    with pytest.raises(OSError, match=f"{NAME} answers {status} .* may have moved") as info:
        fetch(remote, tmp_path)
    assert f"put it at {tmp_path / NAME};" in str(info.value)
    assert len(server.requests) == 1
    (tmp_path / NAME).write_bytes(CONTENT)
    assert_fetched(fetch(remote, tmp_path), tmp_path)


def test_wrong_sum_keeps_nothing(server, tmp_path):
    remote = server.publish(NAME, CONTENT)
    server.files[NAME] = b"x" * len(CONTENT)
    found = hashlib.sha256(server.files[NAME]).hexdigest()
    with pytest.raises(OSError, match=f"SHA256 is {found} instead of {remote.sha256}.*Nothing"):
        fetch(remote, tmp_path)
    assert list_files(tmp_path) == []


def test_part_of_another_file_does_not_excuse_a_wrong_sum(server, tmp_path):
    remote = server.publish(NAME, CONTENT)
    server.files[NAME] = b"x" * len(CONTENT)
    (tmp_path / f"{NAME}.part").write_bytes(b"y" * HALF)
    with pytest.raises(OSError, match="is not the file that is expected"):
        fetch(remote, tmp_path)
    assert [wanted for _, wanted in server.requests] == [f"bytes={HALF}-", None]
    assert list_files(tmp_path) == []


@pytest.mark.parametrize("has_length", [True, False])
def test_longer_file_is_not_loaded(server, tmp_path, send, has_length):
    remote = server.publish(NAME, CONTENT, partial(send, has_length=has_length))
    server.files[NAME] = CONTENT + b"x"
    with pytest.raises(OSError, match="it is another file, or a page in its place"):
        fetch(remote, tmp_path)
    assert not (tmp_path / NAME).exists()


def test_page_in_place_of_the_file(server, tmp_path):
    remote = server.publish(NAME, CONTENT)
    server.files[NAME] = b"<html>Please log in.</html>"
    with pytest.raises(OSError, match=rf"sends 27 bytes, and {NAME} has {len(CONTENT)}"):
        fetch(remote, tmp_path)
    assert list_files(tmp_path) == []


def test_damaged_file_on_disk_is_loaded_again(server, tmp_path):
    remote = server.publish(NAME, CONTENT)
    (tmp_path / NAME).write_bytes(b"x" * len(CONTENT))
    with pytest.warns(UserWarning, match="its SHA256 is"):
        assert_fetched(fetch(remote, tmp_path), tmp_path)


def test_silence_counts_as_a_cut(server, tmp_path, send):
    is_over = threading.Event()

    def wait(handler, content, wanted):
        send(handler, content, wanted, n_sent=HALF)
        is_over.wait(10)

    remote = server.publish(NAME, CONTENT, wait)
    with pytest.warns(UserWarning, match=f"(?i)timed out.* byte {HALF}"):
        assert_fetched(fetch(remote, tmp_path, timeout=0.1, n_retries=100), tmp_path)
    is_over.set()


def test_nobody_answers(tmp_path, server):
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))  # bound, and not listening
        url = f"https://127.0.0.1:{free.getsockname()[1]}/{NAME}"
        with pytest.warns(UserWarning, match="refused"), pytest.raises(OSError, match="refused"):
            fetch(RemoteFile(NAME, url, 3), tmp_path, n_retries=1)


# Https --------------------------------------------------------------------------------------------


def test_http_is_refused(tmp_path):
    with pytest.raises(ValueError, match="url='http://example.org/set.bin' is not https"):
        fetch(RemoteFile(NAME, "http://example.org/set.bin", 3), tmp_path)


def test_redirect_is_followed_with_the_range(server, tmp_path, send_status):
    server.publish("moved.bin", CONTENT)
    redirect = send_status(302, Location=server.get_url("moved.bin"))
    remote = server.publish(NAME, CONTENT, redirect)
    (tmp_path / f"{NAME}.part").write_bytes(CONTENT[:HALF])
    assert_fetched(fetch(remote, tmp_path), tmp_path)
    assert server.requests == [(NAME, f"bytes={HALF}-"), ("moved.bin", f"bytes={HALF}-")]


@pytest.mark.parametrize("target", ["http://127.0.0.1:1/set.bin", "ftp://127.0.0.1:1/set.bin"])
def test_redirect_away_from_https_is_refused(server, tmp_path, send_status, target):
    remote = server.publish(NAME, CONTENT, send_status(301, Location=target))
    with pytest.raises(OSError, match=f"redirects to {target}, which is not https"):
        fetch(remote, tmp_path)
    assert list_files(tmp_path) == []


def test_redirect_in_a_circle(server, tmp_path, send_status):
    remote = server.publish(NAME, CONTENT, *[send_status(302, Location=f"/{NAME}")] * 20)
    with pytest.raises(OSError, match="answers 302"):
        fetch(remote, tmp_path)


def test_certificate_that_is_not_trusted(server, tmp_path, monkeypatch):
    remote = server.publish(NAME, CONTENT)
    monkeypatch.delenv("SSL_CERT_FILE")
    with pytest.raises(OSError, match=r"certificate of .* is not trusted.*SSL_CERT_FILE"):
        fetch(remote, tmp_path)
    assert server.requests == []


def test_proxy_of_the_environment_is_used(server, tmp_path, monkeypatch):
    asked = []

    def serve(listening):
        client, _ = listening.accept()
        with client:
            asked.append(client.recv(4096).decode().split(" HTTP")[0])
            with socket.create_connection(("127.0.0.1", server.server_port)) as target:
                client.sendall(b"HTTP/1.1 200 OK\r\n\r\n")
                to = {client: target, target: client}
                while True:
                    for source in select.select(list(to), [], [])[0]:
                        if not (data := source.recv(65536)):
                            return
                        to[source].sendall(data)

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listening.getsockname()[1]}")
        assert_fetched(fetch(server.publish(NAME, CONTENT), tmp_path), tmp_path)
        thread.join()
    assert asked == [f"CONNECT 127.0.0.1:{server.server_port}"]


def test_proxy_that_refuses_is_named(tmp_path, server, monkeypatch):
    def serve(listening):
        for _ in range(2):
            client, _ = listening.accept()
            with client:
                client.recv(4096)
                client.sendall(b"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n")

    with socket.create_server(("127.0.0.1", 0)) as listening:
        thread = threading.Thread(target=serve, args=(listening,))
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{listening.getsockname()[1]}")
        remote = server.publish(NAME, CONTENT)
        with pytest.warns(UserWarning, match="407 Proxy"), pytest.raises(OSError, match="407 Pro"):
            fetch(remote, tmp_path, n_retries=1)
        thread.join()
    assert server.requests == []


# The disk, and other processes --------------------------------------------------------------------


def test_full_disk_keeps_what_came_and_goes_on(server, tmp_path, monkeypatch):
    remote = server.publish(NAME, CONTENT)

    class FullDisk:
        def __init__(self, path, mode):
            self.file = builtins.open(path, mode)  # noqa: SIM115

        def __enter__(self):
            return self

        def __exit__(self, *args):
            self.file.close()

        def write(self, chunk):
            if self.file.tell() + len(chunk) > HALF:
                self.file.write(chunk[: HALF - self.file.tell()])
                raise OSError(errno.ENOSPC, "No space left on device")
            self.file.write(chunk)

    with monkeypatch.context() as patch:
        patch.setattr(download, "open", FullDisk, raising=False)
        with pytest.raises(OSError, match=f"is full: {NAME} needs {HALF} bytes more") as info:
            fetch(remote, tmp_path)
    assert info.value.errno == errno.ENOSPC
    assert f"{NAME}.part keeps the {HALF} bytes that came" in str(info.value)
    assert list_files(tmp_path) == [f"{NAME}.part"]
    assert_fetched(fetch(remote, tmp_path), tmp_path)
    assert server.requests[-1] == (NAME, f"bytes={HALF}-")


def test_too_small_a_disk_is_seen_before_anything_is_asked_for(server, tmp_path, monkeypatch):
    remote = server.publish(NAME, CONTENT)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: SimpleNamespace(free=1000))
    with pytest.raises(OSError, match=f"needs {len(CONTENT)} bytes more, and 1000 are free"):
        fetch(remote, tmp_path)
    assert server.requests == []


SCRIPT = """
import sys
from pathlib import Path
from crust_sklearn.datasets.download import RemoteFile, fetch_file
name, url, size, sha256, folder = sys.argv[1:]
print(fetch_file(RemoteFile(name, url, int(size), sha256), Path(folder), timeout=300))
"""


def start(remote, folder):
    """Fetch in another process."""
    path = os.pathsep.join([str(ROOT), os.environ.get("PYTHONPATH", "")])
    values = [remote.name, remote.url, str(remote.size), remote.sha256, str(folder)]
    return subprocess.Popen(
        [sys.executable, "-c", SCRIPT, *values],
        env=os.environ | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        text=True,
    )


def test_killed_process_leaves_what_the_next_one_goes_on_from(server, tmp_path, send):
    is_half, is_over = threading.Event(), threading.Event()

    def stop(handler, content, wanted):
        send(handler, content, wanted, n_sent=HALF)
        is_half.set()
        is_over.wait(PATIENCE)

    remote = server.publish(NAME, CONTENT, stop)
    with start(remote, tmp_path) as process:
        assert is_half.wait(PATIENCE)
        process.send_signal(signal.SIGKILL)
        assert process.wait() == -signal.SIGKILL
    is_over.set()
    assert not (tmp_path / NAME).exists()
    assert_fetched(fetch(remote, tmp_path), tmp_path)


def test_two_processes_load_a_file_once(server, tmp_path, send):
    is_asked, may_go_on = threading.Event(), threading.Event()

    def wait(handler, content, wanted):
        is_asked.set()
        may_go_on.wait(PATIENCE)
        send(handler, content, wanted)

    remote = server.publish(NAME, CONTENT, wait)
    with start(remote, tmp_path) as one:
        assert is_asked.wait(PATIENCE)
        found = []
        thread = threading.Thread(target=lambda: found.append(fetch(remote, tmp_path)))
        thread.start()  # while the other process holds the file
        may_go_on.set()
        assert one.communicate()[0].strip() == str(tmp_path / NAME)
        thread.join()
    assert_fetched(found[0], tmp_path)
    assert server.requests == [(NAME, None)]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"n_retries": -1}, "n_retries must be an integer at least 0; got -1"),
        ({"n_retries": 1.5}, "n_retries must be an integer"),
        ({"delay": -1}, "delay must be a number at least 0"),
        ({"timeout": 0}, "timeout must be a number greater than 0"),
    ],
)
def test_refuses_bad_options(tmp_path, options, message):
    with pytest.raises((TypeError, ValueError), match=message):
        fetch_file(RemoteFile(NAME, "https://example.org", 3), tmp_path, **options)
