import errno
import os
import subprocess
import sys
import time

import pytest

from tinygrad_edu import files
from tinygrad_edu.files import visible, write_atomically

posix = pytest.mark.skipif(os.name != "posix", reason="permissions and links of POSIX")


@pytest.mark.parametrize("failing", ["fsync", "replace"])
@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_while_writing_keeps_the_old_file_alone(tmp_path, monkeypatch, failing, error):
    def fails(*args):
        raise error

    write_atomically(tmp_path / "w", b"old")
    monkeypatch.setattr(os, failing, fails)
    with pytest.raises(error):
        write_atomically(tmp_path / "w", b"new")
    assert os.listdir(tmp_path) == ["w"]
    assert (tmp_path / "w").read_bytes() == b"old"


@pytest.mark.parametrize("failing", ["fsync", "replace", "open"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EACCES])
def test_an_error_names_the_file_and_not_the_temporary_one(tmp_path, monkeypatch, failing, number):
    def fails(*args):
        raise OSError(number, os.strerror(number), *([args[0], None, args[1]] if failing == "replace" else []))

    monkeypatch.setattr(*((files, "open") if failing == "open" else (os, failing)), fails, raising=False)
    with pytest.raises(OSError) as caught:
        write_atomically(tmp_path / "w", b"content")
    assert str(caught.value) == f"[Errno {number}] {os.strerror(number)}: {str(tmp_path / 'w')!r}"
    assert caught.value.errno == number and os.listdir(tmp_path) == []


@pytest.mark.parametrize(
    ("text", "seen"),
    [("caf\xe9 \u2202f\n", None), ("\x1b[31m\r\t\0", r"\x1b[31m\r\t\x00"), ("\x9b\ud800\u202e", r"\x9b\ud800\u202e")],
)
def test_what_is_printed_does_not_steer_the_terminal(text, seen):
    assert visible(text) == (text if seen is None else seen)


def test_the_bytes_are_on_the_disk_before_the_name_changes(tmp_path, monkeypatch):
    fsync, replace, seen = os.fsync, os.replace, []

    def synced(descriptor):
        kind = "folder" if os.path.isdir(f"/proc/self/fd/{descriptor}") else os.fstat(descriptor).st_size
        seen.append(("fsync", kind))
        fsync(descriptor)

    def replaced(source, target):
        seen.append(("replace", os.path.getsize(source)))
        replace(source, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", replaced)
    write_atomically(tmp_path / "w", b"content")
    assert seen[:2] == [("fsync", 7), ("replace", 7)]
    if os.name == "posix":
        assert [what for what, _ in seen] == ["fsync", "replace", "fsync"]
    if sys.platform == "linux":
        assert seen[2] == ("fsync", "folder")


@pytest.fixture(scope="module")
def gone():
    """The number of a process that is no more."""
    with subprocess.Popen([sys.executable, "-c", ""]) as process:
        pass
    return process.pid


@posix
def test_left_over_temporary_files_of_this_path_are_removed(tmp_path, gone):
    ours, young = [f".w.{gone}.0123abcd.tmp", f".w.{gone}.89ef0123.tmp"], f".w.{os.getpid()}.0123abcd.tmp"
    others = [f".w.x.{gone}.0123abcd.tmp", f".x.{gone}.0123abcd.tmp", "w.tmp", ".w.tmp", f".w.{gone}.tmp"]
    for name in [*ours, young, *others]:
        (tmp_path / name).write_bytes(b"half")
    write_atomically(tmp_path / "w", b"content")
    assert sorted(os.listdir(tmp_path)) == sorted(["w", young, *others])


def test_files_of_the_first_version_are_removed_after_a_day(tmp_path):
    names = ["w.0123456789abcdef.part", "w.fedcba9876543210.part", "x.0123456789abcdef.part", "w.part"]
    for name in names:
        (tmp_path / name).write_bytes(b"half")
    os.utime(tmp_path / names[0], (0, time.time() - 90_000))
    write_atomically(tmp_path / "w", b"content")
    assert sorted(os.listdir(tmp_path)) == sorted(["w", *names[1:]])


def test_folders_are_made_if_that_is_asked(tmp_path):
    path = tmp_path / "new" / "inner" / "w"
    with pytest.raises(FileNotFoundError, match="inner; make it first"):
        write_atomically(path, b"content")
    for content in (b"content", b"again"):
        write_atomically(path, content, folders=True)
        assert path.read_bytes() == content
    with pytest.raises(OSError, match="below a file"):
        write_atomically(path / "below a file" / "w", b"content", folders=True)


@posix
def test_a_pipe_is_not_written_to(tmp_path):
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ValueError, match="pipe is a folder or a device or a pipe"):
        write_atomically(tmp_path / "pipe", b"content")


@pytest.mark.parametrize("system", ["posix", "other"])
def test_temporary_files_of_unknown_processes_are_removed_after_a_day(tmp_path, monkeypatch, system):
    def kill(pid, signal):
        assert system == "posix"
        raise PermissionError  # it lives, and is another user's

    left = [tmp_path / f".w.1234.0000000{i}.tmp" for i in range(2)]
    for file, days in zip(left, (0.9, 1.1), strict=True):
        file.write_bytes(b"half")
        os.utime(file, (0, time.time() - days * 86_400))
    monkeypatch.setattr(os, "kill", kill)
    monkeypatch.setattr(os, "name", system)
    files.remove_left_over(left[0], 1234)
    files.remove_left_over(left[1], 1234)
    assert [file.exists() for file in left] == [True, False]


@posix
def test_two_programs_write_to_one_path(tmp_path):
    code = """
import sys
from tinygrad_edu.files import visible, write_atomically
for _ in range(150):
    write_atomically(sys.argv[1], sys.argv[2].encode() * 100_000)
"""
    writers = [subprocess.Popen([sys.executable, "-c", code, tmp_path / "w", letter]) for letter in "ab"]
    seen = set()
    while any(writer.poll() is None for writer in writers):
        if (tmp_path / "w").exists():
            content = (tmp_path / "w").read_bytes()
            seen.add(content[:1])
            assert content in (b"a" * 100_000, b"b" * 100_000)
    assert [writer.wait() for writer in writers] == [0, 0]
    assert seen == {b"a", b"b"}
    assert os.listdir(tmp_path) == ["w"]


@pytest.mark.parametrize("name", ["w" * 255, "\N{GREEK SMALL LETTER OMEGA}" * 127])
def test_every_name_that_the_system_takes(tmp_path, name):
    (tmp_path / name).write_bytes(b"")
    write_atomically(tmp_path / name, b"content")
    assert (tmp_path / name).read_bytes() == b"content"


@posix
def test_permissions_are_those_of_a_new_file_or_of_the_old_one(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    write_atomically(tmp_path / "w", b"content")
    assert (tmp_path / "w").stat().st_mode == (tmp_path / "plain").stat().st_mode
    (tmp_path / "w").chmod(0o600)
    write_atomically(tmp_path / "w", b"again")
    assert (tmp_path / "w").stat().st_mode & 0o777 == 0o600


@posix
def test_a_symbolic_link_stays_and_its_target_is_replaced(tmp_path):
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to("real/w")
    for content in (b"first", b"second"):  # the link dangles at first
        write_atomically(tmp_path / "link", content)
        assert (tmp_path / "link").is_symlink()
        assert (tmp_path / "real" / "w").read_bytes() == content
    assert os.listdir(tmp_path / "real") == ["w"]
