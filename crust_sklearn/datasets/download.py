"""Files from the net: by HTTPS, resumed, checked, and whole under their own name or not there."""

from __future__ import annotations

import errno
import hashlib
import logging
import os
import shutil
import ssl
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.client import HTTPException
from numbers import Integral
from pathlib import Path
from typing import IO, Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlsplit
from urllib.request import HTTPRedirectHandler, HTTPSHandler, Request, build_opener

from tqdm import tqdm

from .._validation import check_number
from .extras import import_extra

CHUNK = 1 << 18
LONGEST_DELAY = 60.0
# Request time-out, too many requests; the others of 500 and more are the server's.
_PASSING = (408, 429)
_NO_SPACE = (errno.ENOSPC, errno.EDQUOT)
_NET_ERRORS = (URLError, HTTPException, ConnectionError, TimeoutError, ssl.SSLError)

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class RemoteFile:
    """A file that is published somewhere, and how to know it.

    Parameters
    ----------
    name : str
        Its name on disk.
    url : str
        Where it is, by https.
    size : int
        Bytes.
    sha256, md5 : str, default=None
        Its sum, in lower case: SHA-256, or MD5 where no other is published.
    """

    name: str
    url: str
    size: int
    sha256: str | None = None
    md5: str | None = None

    def get_provenance(self) -> dict[str, Any]:
        """Return the entry of this file in a data set's provenance."""
        sums = {"sha256": self.sha256} | ({} if self.md5 is None else {"md5": self.md5})
        return {"name": self.name, "url": self.url, "bytes": self.size} | sums

    def find_fault(self, path: Path) -> str | None:
        """Return what is wrong with a file that should be this one; None if it is."""
        if (size := path.stat().st_size) != self.size:
            return f"it has {size} bytes instead of {self.size}"
        for algorithm, right in (("sha256", self.sha256), ("md5", self.md5)):
            if right is not None and (found := compute_sum(path, algorithm)) != right:
                return f"its {algorithm.upper()} is {found} instead of {right}"
        return None


def compute_sum(path: Path, algorithm: str = "sha256") -> str:
    """Return the sum of a file, in hexadecimal digits."""
    with open(path, "rb") as file:
        return hashlib.file_digest(
            file, lambda: hashlib.new(algorithm, usedforsecurity=False)
        ).hexdigest()


def describe_file(path: Path) -> dict[str, Any]:
    """Return the entry of a file on disk in a data set's provenance."""
    size = path.stat().st_size
    return {"name": path.name, "url": None, "bytes": size, "sha256": compute_sum(path)}


def fetch_file(
    remote: RemoteFile,
    folder: Path,
    *,
    n_retries: int = 3,
    delay: float = 1.0,
    timeout: float = 30.0,
) -> Path:
    """Return a file's path in a folder, after downloading it if it is not there.

    What is received goes to ``NAME.part``, on disk before it is checked; after a cut, also one of
    this process, the download goes on from there where the server can. A file whose size and sum
    are right gets its own name in one step; any other is removed. Other processes that want the
    same file wait, and find it.

    Parameters
    ----------
    remote : RemoteFile
    folder : Path
        Made if it is missing. A file there, of the right name, is checked and taken.
    n_retries : int, default=3
        How often a request that brings nothing new is made again, after a cut, a silence or an
        error of the server. One that brings something starts the count anew.
    delay : float, default=1.0
        Seconds before the first of these; doubled before each further one, up to a minute.
    timeout : float, default=30.0
        Seconds of silence after which a connection counts as cut.

    Returns
    -------
    path : Path

    Raises
    ------
    OSError
        If the server has no such file, or another one; if it does not answer; if the disk is full.
        After a full disk, ``NAME.part`` stays, and the next call goes on from there.
    ValueError
        If the address is not one of https.

    Notes
    -----
    Plain http is never used: neither instead of https nor where a redirect leads there. The
    proxies and certificates of the environment are: ``HTTPS_PROXY``, ``NO_PROXY``,
    ``SSL_CERT_FILE``.
    """
    check_options(n_retries=n_retries, delay=delay, timeout=timeout)
    if urlsplit(remote.url).scheme != "https":
        raise ValueError(f"url={remote.url!r} is not https. Data sets are loaded by https alone.")
    path = folder / remote.name
    if path.exists() and remote.find_fault(path) is None:
        return path  # without a lock: the folder may be one that only others can write to
    folder.mkdir(parents=True, exist_ok=True)
    with locked(path):
        if path.exists():
            if (fault := remote.find_fault(path)) is None:
                return path
            warnings.warn(f"{path} is damaged: {fault}. It is loaded again.", stacklevel=2)
        _download(remote, path, n_retries, delay, timeout)
    return path


def check_options(*, n_retries: int = 3, delay: float = 1.0, timeout: float = 30.0) -> None:
    """Raise for options of :func:`fetch_file` that are out of range."""
    check_number("n_retries", n_retries, kind=Integral, low=0)
    check_number("delay", delay, low=0)
    check_number("timeout", timeout, low=0, open_low=True)


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Hold what is to appear at a path against other processes and threads."""
    filelock = import_extra("filelock", "filelock")
    lock = filelock.FileLock(path.with_name(f".{path.name}.lock"))
    try:
        lock.acquire(timeout=0)
    except filelock.Timeout:
        logger.info("Waiting for another process, which brings %s.", path)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _download(remote: RemoteFile, path: Path, n_retries: int, delay: float, timeout: float) -> None:
    part = path.with_name(f"{path.name}.part")
    is_resumed = _get_size(part) > 0
    _receive_all(remote, part, n_retries, delay, timeout)
    fault = remote.find_fault(part)
    if fault is not None and is_resumed:
        # What was left there may be of another time, or end in zeros after a power cut.
        part.unlink()
        _receive_all(remote, part, n_retries, delay, timeout)
        fault = remote.find_fault(part)
    if fault is not None:
        part.unlink()
        raise OSError(
            f"{remote.url} is not the file that is expected: {fault}. It was damaged or replaced, "
            "there or on the way. Nothing of it was kept or opened. Try again later; if it stays "
            "so, tell the package's developers."
        )
    os.replace(part, path)


def _get_size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _receive_all(
    remote: RemoteFile, part: Path, n_retries: int, delay: float, timeout: float
) -> None:
    """Ask for what is missing until there are as many bytes as there should be."""
    if _get_size(part) > remote.size:
        part.unlink()
    furthest, tries = _get_size(part), 0
    while _get_size(part) < remote.size:
        reason = _try_to_receive(remote, part, timeout)
        size = _get_size(part)
        if size == remote.size:
            return
        if size > furthest:
            furthest, tries = size, 0
        elif tries == n_retries:
            raise OSError(
                f"{remote.url} could not be loaded: {reason}. The last {tries + 1} tries brought "
                f"nothing new. {_tell_rest(part)}"
            )
        else:
            tries += 1
        warnings.warn(f"{remote.url}: {reason}. Go on from byte {size}.", stacklevel=4)
        time.sleep(min(delay * 2 ** max(tries - 1, 0), LONGEST_DELAY))


def _try_to_receive(remote: RemoteFile, part: Path, timeout: float) -> str:
    """Receive what comes, and return why it ended; raise for what a further try cannot mend."""
    _check_space(remote, part)
    try:
        _receive(remote, part, timeout)
    except HTTPError as error:
        error.close()
        return _judge_status(remote, part, error)
    except _NET_ERRORS as error:
        if isinstance(getattr(error, "reason", error), ssl.SSLCertVerificationError):
            raise OSError(
                f"The certificate of {remote.url} is not trusted ({error}). Behind a proxy that "
                "has a certificate of its own, name it in the environment variable SSL_CERT_FILE."
            ) from error
        return f"{type(error).__name__}: {error}"
    except OSError as error:
        if error.errno in _NO_SPACE:
            raise _make_space_error(remote, part, 0) from error
        raise
    return "the connection was cut"


def _receive(remote: RemoteFile, part: Path, timeout: float) -> None:
    """Write what the server sends behind what is there, or from the start where it sends all."""
    start = _get_size(part)
    with _open(remote.url, start, timeout) as response:
        if response.status != 206:
            start = 0  # a server may ignore the range, and sends all
        elif not response.headers.get("Content-Range", "").startswith(f"bytes {start}-"):
            part.unlink()
            raise HTTPException("the server sends another range than it was asked for")
        length = response.headers.get("Content-Length")
        if length is not None and start + int(length) != remote.size:
            raise OSError(_tell_other_size(remote, start + int(length)))
        with (
            open(part, "ab" if start else "wb") as file,
            tqdm(
                desc=remote.name,
                total=remote.size,
                initial=start,
                unit="B",
                unit_scale=True,
                disable=None,  # shown on a terminal alone
            ) as bar,
        ):
            while chunk := response.read1(CHUNK):
                if (start := start + len(chunk)) > remote.size:
                    raise OSError(_tell_other_size(remote, f"more than {remote.size}"))
                file.write(chunk)
                bar.update(len(chunk))
            file.flush()
            os.fsync(file.fileno())


class _HTTPSRedirects(HTTPRedirectHandler):
    """Follows redirects to https alone."""

    def redirect_request(
        self, req: Request, fp: IO[bytes], code: int, msg: str, headers: Any, newurl: str
    ) -> Request | None:
        if urlsplit(newurl).scheme != "https":
            fp.close()
            raise OSError(
                f"{req.full_url} redirects to {newurl}, which is not https. Data sets are loaded "
                "by https alone."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _open(url: str, start: int, timeout: float) -> Any:
    headers = {"User-Agent": "crust_sklearn"} | ({"Range": f"bytes={start}-"} if start else {})
    # Made anew for each call: the environment may name other proxies and certificates by now.
    context = ssl.create_default_context()
    opener = build_opener(HTTPSHandler(context=context), _HTTPSRedirects())
    return opener.open(Request(url, headers=headers), timeout=timeout)


def _judge_status(remote: RemoteFile, part: Path, error: HTTPError) -> str:
    """Return what is to be said of a status that may pass; raise for the others."""
    if error.code == 416 and part.exists():
        part.unlink()
        return "the server has no such range"
    if error.code >= 500 or error.code in _PASSING:
        return f"the server answers {error.code} ({error.reason})"
    raise OSError(
        f"{error.url} answers {error.code} ({error.reason}): the file may have moved. If you have "
        f"it from elsewhere, put it at {part.with_suffix('')}; it is checked there, and taken."
    ) from error


def _check_space(remote: RemoteFile, part: Path) -> None:
    missing = remote.size - _get_size(part)
    if (free := shutil.disk_usage(part.parent).free) < missing:
        raise _make_space_error(remote, part, free)


def _make_space_error(remote: RemoteFile, part: Path, free: int) -> OSError:
    missing = remote.size - _get_size(part)
    message = (
        f"The disk of {part.parent} is full: {remote.name} needs {missing} bytes more, and "
        f"{free} are free. Make room, or give another data_home. {_tell_rest(part)}"
    )
    return OSError(errno.ENOSPC, message)


def _tell_other_size(remote: RemoteFile, size: int | str) -> str:
    return (
        f"{remote.url} sends {size} bytes, and {remote.name} has {remote.size}: it is another "
        "file, or a page in its place."
    )


def _tell_rest(part: Path) -> str:
    if not (size := _get_size(part)):
        return "Nothing was kept."
    return f"{part.name} keeps the {size} bytes that came, and the next call goes on from there."
