import errno
import io
import shutil
import stat
import tarfile
import zipfile
from concurrent.futures import ThreadPoolExecutor

import pytest

from crust_sklearn.datasets import archives
from crust_sklearn.datasets.archives import fetch_folder, unpack

FILES = {"set/a.txt": b"first", "set/deep/b.txt": b"second"}


def make_tar(files, members=(), mode="w:gz"):
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode=mode) as file:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            file.addfile(member, io.BytesIO(content))
        for member in members:
            file.addfile(member)
    return buffer.getvalue()


def make_zip(files, members=()):
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as file:
        for name, content in files.items():
            file.writestr(name, content)
        for member in members:
            file.writestr(member, b"set/a.txt")
    return buffer.getvalue()


MAKERS = {"set.tar.gz": make_tar, "set.zip": make_zip}
both = pytest.mark.parametrize("name", MAKERS)


def make_link(kind, name="set/link", target="a.txt"):
    member = tarfile.TarInfo(name)
    member.type, member.linkname = kind, target
    return member


def make_zip_link(kind):
    member = zipfile.ZipInfo("set/link")
    member.external_attr = (kind | 0o777) << 16
    return member


def list_tree(folder):
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if ".lock" not in p.name)


TREE = ["set", "set/a.txt", "set/deep", "set/deep/b.txt"]


@both
def test_unpacks_the_folder(tmp_path, name):
    archive = tmp_path / name
    archive.write_bytes(MAKERS[name](FILES))
    assert unpack(archive, tmp_path, "set") == tmp_path / "set"
    assert list_tree(tmp_path) == sorted([*TREE, name])
    assert {path: (tmp_path / path).read_bytes() for path in FILES} == FILES


@both
@pytest.mark.parametrize(
    "path", ["../outside", "set/../../outside", "/outside", "..\\outside", "C:\\outside"]
)
def test_path_that_leads_out_is_refused(tmp_path, name, path):
    folder = tmp_path / "inside"
    folder.mkdir()
    archive = tmp_path / name
    archive.write_bytes(MAKERS[name](FILES | {path: b"x"}))
    with pytest.raises(ValueError, match="is not unpacked: its member .*outside"):
        unpack(archive, folder, "set")
    assert list_tree(tmp_path) == ["inside", name]


@pytest.mark.parametrize(
    "member",
    [
        make_link(tarfile.SYMTYPE),
        make_link(tarfile.SYMTYPE, target="/etc/passwd"),
        make_link(tarfile.LNKTYPE, target="set/a.txt"),
        make_link(tarfile.FIFOTYPE),
        make_link(tarfile.CHRTYPE),
    ],
    ids=["link", "link outside", "hard link", "pipe", "device"],
)
def test_tar_with_links_and_devices_is_refused(tmp_path, member):
    archive = tmp_path / "set.tar"
    archive.write_bytes(make_tar(FILES, [member], "w"))
    with pytest.raises(ValueError, match="its member 'set/link' is a link or a device"):
        unpack(archive, tmp_path, "set")
    assert list_tree(tmp_path) == ["set.tar"]


@pytest.mark.parametrize("kind", [stat.S_IFLNK, stat.S_IFIFO])
def test_zip_with_links_is_refused(tmp_path, kind):
    archive = tmp_path / "set.zip"
    archive.write_bytes(make_zip(FILES, [make_zip_link(kind)]))
    with pytest.raises(ValueError, match="its member 'set/link' is a link or a device"):
        unpack(archive, tmp_path, "set")
    assert list_tree(tmp_path) == ["set.zip"]


@both
@pytest.mark.parametrize("change", [lambda c: c[: len(c) // 2], lambda c: b"no archive"])
def test_damaged_archive_leaves_nothing(tmp_path, name, change):
    archive = tmp_path / name
    archive.write_bytes(change(MAKERS[name](FILES)))
    with pytest.raises(ValueError, match="is damaged"):
        unpack(archive, tmp_path, "set")
    assert list_tree(tmp_path) == [name]


@both
def test_archive_without_the_folder(tmp_path, name):
    archive = tmp_path / name
    archive.write_bytes(MAKERS[name]({"other/a.txt": b"x"}))
    with pytest.raises(ValueError, match="has no folder 'set'"):
        unpack(archive, tmp_path, "set")


@both
def test_full_disk_leaves_the_archive_alone(tmp_path, name, monkeypatch):
    archive = tmp_path / name
    archive.write_bytes(MAKERS[name](FILES))
    calls = []

    def copy(*args, **options):
        calls.append(args)
        if len(calls) == 2:
            raise OSError(errno.ENOSPC, "No space left on device")
        return original(*args, **options)

    owner, function = (tarfile, "copyfileobj") if name.endswith("gz") else (shutil, "copyfileobj")
    original = getattr(owner, function)
    with monkeypatch.context() as patch:
        patch.setattr(owner, function, copy)
        with pytest.raises(OSError, match="is full: .* was not unpacked. It stays") as info:
            unpack(archive, tmp_path, "set")
    assert info.value.errno == errno.ENOSPC
    assert list_tree(tmp_path) == [name]


@both
def test_what_a_killed_process_left_is_not_taken(tmp_path, name, server):
    """Neither the half that it unpacked, nor a file there that the archive does not have."""
    remote = server.publish(name, MAKERS[name](FILES))
    left = tmp_path / "set.part" / "set"
    left.mkdir(parents=True)
    (left / "half.txt").write_bytes(b"x")
    assert fetch_folder(remote, tmp_path, "set") == tmp_path / "set"
    assert list_tree(tmp_path) == TREE


@both
def test_archive_is_fetched_and_unpacked_once(tmp_path, name, server):
    remote = server.publish(name, MAKERS[name](FILES))
    for _ in range(2):
        fetch_folder(remote, tmp_path, "set")
    assert server.requests == [(name, None)]
    assert list_tree(tmp_path) == TREE


@both
def test_threads_fetch_and_unpack_an_archive_once(tmp_path, name, server):
    remote = server.publish(name, MAKERS[name](FILES))
    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(lambda _: fetch_folder(remote, tmp_path, "set"), range(4)))
    assert found == [tmp_path / "set"] * 4
    assert server.requests == [(name, None)]
    assert list_tree(tmp_path) == TREE


def test_what_is_there_is_taken_where_nothing_can_be_written(tmp_path, server, monkeypatch):
    remote = server.publish("set.zip", make_zip(FILES))
    fetch_folder(remote, tmp_path, "set")
    monkeypatch.setattr(archives, "locked", lambda path: pytest.fail("a lock was written"))
    assert fetch_folder(remote, tmp_path, "set") == tmp_path / "set"


def test_archive_of_a_wrong_sum_is_not_opened(tmp_path, server, monkeypatch):
    content = make_zip(FILES)
    remote = server.publish("set.zip", content)
    server.files["set.zip"] = content[:-1] + b"x"
    monkeypatch.setattr(archives, "unpack", lambda *args: pytest.fail("it was opened"))
    with pytest.raises(OSError, match="is not the file that is expected"):
        fetch_folder(remote, tmp_path, "set")
    assert list_tree(tmp_path) == []


def test_an_archive_packed_in_ways_that_are_not_known_leaves_nothing(tmp_path):
    content = bytearray(make_zip({"set/a.txt": b"first"}))
    central = content.index(b"PK\x01\x02")
    for at in (8, central + 10):  # the method, in both headers
        content[at : at + 2] = (99).to_bytes(2, "little")
    (tmp_path / "set.zip").write_bytes(content)
    with pytest.raises(ValueError, match="cannot be unpacked"):
        unpack(tmp_path / "set.zip", tmp_path, "set")
    packed = bytearray(make_tar({"set/a.txt": bytes(range(256)) * 99}, mode="w:xz"))
    packed[60:90] = bytes(30)
    (tmp_path / "set.tar.xz").write_bytes(packed)
    with pytest.raises(ValueError, match="is damaged"):
        unpack(tmp_path / "set.tar.xz", tmp_path, "set")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["set.tar.xz", "set.zip"]
