"""Every writer leaves the old or the new file in full: killed, on a full disk, or where a pipe is instead of a file."""

import errno
import os
import random
import re
import subprocess
import sys

import pytest
from campaign.writers import WRITERS
from drawn import f_of_xyz

from tinygrad_edu.data import mnist
from tinygrad_edu.draw import Graph, engine

pytest.importorskip("safetensors")
needs_engine = pytest.mark.skipif(engine() is None, reason="Graphviz is not installed, neither dot nor pygraphviz")


@pytest.mark.skipif(not hasattr(os, "fork"), reason="one process that is imported once and forked for each kill")
@pytest.mark.parametrize("kills", [60, pytest.param(200, marks=pytest.mark.slow)])
def test_a_killed_process_leaves_the_old_or_the_new_file(tmp_path, kills):
    rng, inside, done, left = random.Random(0), 0, 0, set()
    versions, longest = dict.fromkeys(WRITERS, 0), dict.fromkeys(WRITERS, 0.01)  # seconds that a writer lives
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))}
    command = [sys.executable, "-m", "campaign.writers", tmp_path]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment) as parent:
        while done < kills or inside < kills // 4:
            name = list(WRITERS)[done % len(WRITERS)]
            path, written = tmp_path / name, versions[name]
            parent.stdin.write(f"{path} {written} {rng.uniform(0, longest[name])}\n")
            parent.stdin.flush()
            while (line := parent.stdout.readline().split())[0] == "written":
                written = int(line[1])
            longest[name] *= 1.5 if written == versions[name] else 0.9  # on every machine about one version is written
            versions[name] = WRITERS[name][1](path)
            assert versions[name] in (written, written + 1), name
            before, left = left, set(os.listdir(tmp_path)) - {*WRITERS, "picture.gv"}
            assert len(left) <= len(WRITERS) + 1  # the next writing removes what a kill left
            inside += bool(left - before)
            done += 1
        parent.stdin.close()
    print(f"{inside} of {done} kills fell inside the write; versions {versions}")
    assert all(versions.values())


PICTURES = {
    "page.html": lambda path, n: Graph(f_of_xyz(), title=str(n)).player(path),
    "frame00.svg": lambda path, n: Graph(f_of_xyz(), title=str(n)).frames(path.with_name("frame{:02d}.svg")),
    "source.gv": lambda path, n: Graph(f_of_xyz(), title=str(n)).save(path),
    "drawn.svg": lambda path, n: Graph(f_of_xyz(), title=str(n)).render(outfile=path, cleanup=True),
}
ALL = {name: write for name, (write, _) in WRITERS.items()} | PICTURES
every_writer = pytest.mark.parametrize(
    "name", [pytest.param(name, marks=[needs_engine] if name in PICTURES else []) for name in ALL]
)


@every_writer
def test_a_pipe_is_refused(tmp_path, monkeypatch, pipe, name):
    monkeypatch.setattr(mnist, "fetch", None), monkeypatch.setattr(mnist, "read_published", None)
    path = tmp_path / name
    pipe(path)
    with pytest.raises(
        (ValueError, RuntimeWarning), match=rf"{re.escape(str(path))} is a folder or a device or a pipe"
    ):
        ALL[name](path, 1)


@every_writer
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO])
def test_a_full_disk_keeps_the_old_file_and_is_named(tmp_path, monkeypatch, name, number):
    def fails(descriptor):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(mnist, "fetch", None), monkeypatch.setattr(mnist, "read_published", None)
    path = tmp_path / "new folder" / name if name in PICTURES else tmp_path / name
    ALL[name](path, 0)
    before = {file.name: file.read_bytes() for file in path.parent.iterdir()}
    monkeypatch.setattr(os, "fsync", fails)
    with pytest.raises((OSError, RuntimeWarning), match=re.escape(os.strerror(number))) as caught:
        ALL[name](path, 1)
    assert str(path.with_suffix("")) in str(caught.value)  # a picture's source comes first
    assert {file.name: file.read_bytes() for file in path.parent.iterdir()} == before
