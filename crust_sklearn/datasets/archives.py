"""Archives, unpacked whole or not at all, and nowhere but in their folder."""

from __future__ import annotations

import errno
import gzip
import lzma
import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from pathlib import Path, PurePosixPath, PureWindowsPath
from typing import Any

from .download import RemoteFile, check_options, fetch_file, locked


def fetch_folder(remote: RemoteFile, folder: Path, root: str, **options: Any) -> Path:
    """Return the folder that an archive unpacks to, after downloading it if it is not there.

    The archive is removed when its files are there. Other processes wait meanwhile.

    Parameters
    ----------
    remote : RemoteFile
        An archive, as in :func:`unpack`.
    folder : Path
        Where the archive is brought, and `root` appears.
    root : str
        The folder that all files of the archive lie in.
    **options
        Of :func:`~crust_sklearn.datasets.download.fetch_file`.

    Returns
    -------
    path : Path
        ``folder / root``.
    """
    check_options(**options)
    path = folder / root
    if path.exists():
        return path
    folder.mkdir(parents=True, exist_ok=True)
    with locked(path):
        if not path.exists():
            archive = fetch_file(remote, folder, **options)
            unpack(archive, folder, root)
            archive.unlink()
    return path


def unpack(archive: Path, folder: Path, root: str) -> Path:
    """Unpack an archive beside, and move its folder in one step to where it belongs.

    Parameters
    ----------
    archive : Path
        A tar, compressed or not, or a zip.
    folder : Path
        Where `root` is to appear. It must not be there yet.
    root : str
        The folder that all files of the archive lie in.

    Returns
    -------
    path : Path
        ``folder / root``.

    Raises
    ------
    ValueError
        If the archive holds paths that lead out of the folder, links or devices, or no `root`;
        if it is damaged.
    OSError
        If the disk is full. Nothing unpacked is left, then or after any other error; what a killed
        process left is removed by the next call.
    """
    aside = folder / f"{root}.part"
    shutil.rmtree(aside, ignore_errors=True)
    aside.mkdir()
    try:
        if zipfile.is_zipfile(archive):
            _unpack_zip(archive, aside)
        else:
            _unpack_tar(archive, aside)
        if not (aside / root).is_dir():
            raise ValueError(f"{archive.name} has no folder {root!r}.")
        if hasattr(os, "sync"):
            os.sync()  # files first, then their name: also a power cut leaves all or nothing
        os.replace(aside / root, folder / root)
    except OSError as error:
        if error.errno != errno.ENOSPC:
            raise
        raise OSError(
            errno.ENOSPC,
            f"The disk of {folder} is full: {archive.name} was not unpacked. It stays there, and "
            "what was unpacked of it is removed. Make room and call again.",
        ) from error
    finally:
        shutil.rmtree(aside, ignore_errors=True)
    return folder / root


def _unpack_tar(archive: Path, folder: Path) -> None:
    def check(member: tarfile.TarInfo, path: str) -> tarfile.TarInfo:
        if member.issym() or member.islnk():
            raise _make_error(archive, member.name)
        _check_inside(archive, member.name)
        return tarfile.data_filter(member, path)

    try:
        with tarfile.open(archive) as file:
            file.extractall(folder, filter=check)
    except tarfile.FilterError as error:
        raise _make_error(archive, error.tarinfo.name) from error
    except (tarfile.TarError, EOFError, gzip.BadGzipFile, zlib.error, lzma.LZMAError) as error:
        raise ValueError(f"{archive} is damaged: {error}. Remove it.") from error


def _unpack_zip(archive: Path, folder: Path) -> None:
    try:
        with zipfile.ZipFile(archive) as file:
            for member in file.infolist():
                kind = stat.S_IFMT(member.external_attr >> 16)
                if kind not in (0, stat.S_IFREG, stat.S_IFDIR):
                    raise _make_error(archive, member.filename)
                _check_inside(archive, member.filename)
            file.extractall(folder)
    except (zipfile.BadZipFile, RuntimeError, zlib.error) as error:
        # Encrypted, or packed in a way that is not known.
        raise ValueError(
            f"{archive} is damaged, or cannot be unpacked: {error}. Remove it."
        ) from error


def _check_inside(archive: Path, name: str) -> None:
    # Also the paths of the other system: a backslash, a drive.
    for path in (PurePosixPath(name), PureWindowsPath(name)):
        if path.anchor or ".." in path.parts:
            raise _make_error(archive, name)


def _make_error(archive: Path, name: str) -> ValueError:
    return ValueError(
        f"{archive} is not unpacked: its member {name!r} is a link or a device, or leads out of "
        "the folder. The data sets' own archives have no such member: do not use this one."
    )
