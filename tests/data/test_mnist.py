import os
import signal
import struct
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
from demo_runs import write_mnist
from mnist_mirror import (
    ARRAYS,
    BAD,
    GOOD,
    NAMES,
    ZIPPED,
    assert_loaded,
    good,
    make_arrays,
    redirecting_for_ever,
    send,
    silent,
    stalling,
    write,
)

from tinygrad_edu.data import MNISTNotFoundError, load_digits, load_mnist, mnist, synthetic_digits

REAL = os.environ.get("TINYGRAD_EDU_DATA")

pytestmark = pytest.mark.usefixtures("cache")


def cached(folder):
    return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.exists() else {}


COMPLETE = {f"{name}.gz" for name in NAMES}


@pytest.mark.parametrize("answer", GOOD)
def test_download_fills_the_cache(serve, cache, answer):
    (server,) = serve(answer)
    result = load_mnist()
    assert_loaded(result)
    assert_loaded((result.train_images, result.train_labels, result.test_images, result.test_labels))
    assert set(cached(cache)) == COMPLETE
    count = len(server.requests)
    assert_loaded(load_mnist(download=False))
    assert len(server.requests) == count


@pytest.mark.parametrize("answer", BAD)
def test_second_mirror_serves_when_the_first_is_bad(serve, cache, answer, monkeypatch):
    if answer is silent:
        monkeypatch.setattr(mnist, "CONNECT_TIMEOUT", 0.5)
    bad, _ = serve(answer, good)
    assert_loaded(load_mnist())
    assert cached(cache) == {f"{name}.gz": content for name, content in ZIPPED.items()}
    assert set(bad.requests) == {NAMES[0]} or answer is redirecting_for_ever


@pytest.mark.parametrize("answer", BAD)
def test_nothing_stays_of_a_failed_download(serve, cache, answer, monkeypatch):
    if answer is silent:
        monkeypatch.setattr(mnist, "CONNECT_TIMEOUT", 0.5)
    serve(answer)
    with pytest.raises(MNISTNotFoundError) as error:
        load_mnist()
    message = str(error.value)
    assert f"{mnist.MIRRORS[0]}{NAMES[0]}.gz: " in message
    for advice in (str(cache), "TINYGRAD_EDU_DATA", "synthetic_digits", *COMPLETE):
        assert advice in message
    assert cached(cache) == {}


def test_what_a_mirror_says_does_not_steer_the_terminal(serve, cache):
    serve(lambda request, name: request.send_error(404, "\x1b[31mgone\x07\x9b2J"))
    with pytest.raises(MNISTNotFoundError, match=r"\\x1b\[31mgone\\x07\\x9b2J") as error:
        load_mnist()
    assert str(error.value).replace("\n", "").isprintable()


@pytest.mark.parametrize("length", ["9" * 30, "9" * 5000, "\xb2"])
def test_a_length_that_is_no_length(serve, cache, length):
    serve(lambda request, name: send(request, ZIPPED[name], length), good)
    assert_loaded(load_mnist())


@pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="pipes of POSIX")
def test_a_pipe_in_the_cache_is_not_waited_for(serve, cache):
    cache.mkdir(parents=True)
    os.mkfifo(cache / NAMES[0])
    with pytest.raises(MNISTNotFoundError, match="is a folder or a device or a pipe"):
        load_mnist(download=False)
    serve(good)
    assert_loaded(load_mnist())


def test_nothing_listens(serve, cache):
    first, second = serve(good, good)
    for server in (first, second):
        server.shutdown()
        server.server_close()
    with pytest.raises(MNISTNotFoundError) as error:
        load_mnist()
    assert all(f"{mirror}{NAMES[0]}.gz: " in str(error.value) for mirror in mnist.MIRRORS)
    assert isinstance(error.value, OSError) and cached(cache) == {}


def test_a_name_look_up_that_hangs_is_given_up(monkeypatch):
    released = threading.Event()
    monkeypatch.setattr("socket.getaddrinfo", lambda *arguments: released.wait(30) and [])
    monkeypatch.setattr(mnist, "MIRRORS", ("http://one.invalid/", "http://two.invalid/"))
    monkeypatch.setattr(mnist, "CONNECT_TIMEOUT", 0.1)
    with pytest.raises(MNISTNotFoundError, match=r"one.invalid.* for 0.1 s\n.*two.invalid.* for 0.1 s"):
        load_mnist()
    assert not released.is_set()
    released.set()


def test_being_offline_is_noticed_within_ten_seconds():
    source = "from tinygrad_edu.data.mnist import CONNECT_TIMEOUT, MIRRORS; print(len(MIRRORS) * CONNECT_TIMEOUT)"
    output = subprocess.run([sys.executable, "-c", source], check=True, capture_output=True).stdout
    assert float(output) <= 9


def test_works_without_tqdm(serve, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "tqdm", None)
    serve(good)
    assert_loaded(load_mnist())
    assert capsys.readouterr() == ("", "")


def test_shows_progress(serve, capsys):
    serve(good)
    load_mnist()
    assert f"{NAMES[3]}.gz: 100%" in capsys.readouterr().err


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("damage", [lambda data: data[:-1], lambda data: b"", lambda data: data[:-1] + b"?"])
def test_a_damaged_file_in_the_cache_is_downloaded_again(serve, cache, suffix, damage):
    (server,) = serve(good)
    write(cache, suffix=suffix)
    path = cache / (NAMES[2] + suffix)
    path.write_bytes(damage(path.read_bytes()))
    with pytest.raises(MNISTNotFoundError) as error:
        load_mnist(download=False)
    assert str(path) in str(error.value) and "download=False" in str(error.value)
    assert_loaded(load_mnist())
    assert server.requests == [NAMES[2]]
    assert_loaded(load_mnist(download=False))


def test_only_missing_files_are_downloaded(serve, cache):
    (server,) = serve(good)
    write(cache)
    (cache / NAMES[1]).unlink()
    assert_loaded(load_mnist())
    assert server.requests == [NAMES[1]]


def test_valid_files_of_another_data_set_do_not_pass_for_mnist_in_the_cache(cache):
    write(cache, make_arrays(seed=1))
    with pytest.raises(MNISTNotFoundError, match="not the published MNIST file"):
        load_mnist()


@pytest.mark.parametrize("blocked", ["folder", "file"])
def test_a_cache_that_cannot_be_written_costs_a_warning(serve, cache, blocked):
    serve(good)
    if blocked == "folder":
        cache.parent.parent.mkdir()
        cache.parent.write_text("in the way")
    else:
        for name in NAMES:
            (cache / f"{name}.gz").mkdir(parents=True)
    with pytest.warns(RuntimeWarning, match="could not keep") as warnings:
        assert_loaded(load_mnist())
    assert warnings[0].filename == __file__
    if blocked == "file":
        assert {path.name for path in cache.iterdir()} == COMPLETE


def test_downloads_at_once_do_not_disturb_each_other(serve, cache):
    serve(good)
    results = []
    threads = [threading.Thread(target=lambda: results.append(load_mnist())) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 6
    for result in results:
        assert_loaded(result)
    assert set(cached(cache)) == COMPLETE


def test_nothing_stays_of_an_interrupted_write(serve, cache, monkeypatch):
    def interrupted(source, target):
        assert os.path.dirname(source) == os.path.dirname(target) == str(cache)
        raise KeyboardInterrupt

    serve(good)
    monkeypatch.setattr(os, "replace", interrupted)
    with pytest.raises(KeyboardInterrupt):
        load_mnist()
    assert cached(cache) == {}


@pytest.mark.skipif(sys.platform == "win32", reason="needs POSIX signals")
@pytest.mark.parametrize("sent", ["SIGINT", "SIGKILL"])
def test_nothing_stays_when_the_process_is_stopped(serve, cache, sent):
    (server,) = serve(stalling)
    source = (
        "import signal, sys; from tinygrad_edu.data import mnist; mnist.MIRRORS = sys.argv[1:]\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "mnist.load_mnist()"
    )
    command = [sys.executable, "-c", source, *mnist.MIRRORS]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        while not server.requests and process.poll() is None:
            time.sleep(0.01)
        time.sleep(0.2)
        process.send_signal(getattr(signal, sent))
        assert process.wait(10) != 0
    assert server.requests == [NAMES[0]]
    assert cached(cache) == {}


@pytest.mark.parametrize("suffix", [".gz", ""])
@pytest.mark.parametrize("subfolder", ["", "mnist"])
@pytest.mark.parametrize("given", ["root", "environment"])
def test_any_data_set_in_the_format_is_accepted_from_a_folder_of_the_user(
    tmp_path, monkeypatch, suffix, subfolder, given
):
    fashion = make_arrays(seed=1)
    write(tmp_path / "own" / subfolder, fashion, suffix)
    if given == "root":
        assert_loaded(load_mnist(tmp_path / "own"), fashion)
        assert_loaded(load_mnist(str(tmp_path / "own"), download=False), fashion)
    else:
        monkeypatch.setenv("TINYGRAD_EDU_DATA", str(tmp_path / "own"))
        assert_loaded(load_mnist(), fashion)


def test_order_of_places(tmp_path, monkeypatch, cache):
    first, second = make_arrays(seed=1), make_arrays(seed=2)
    root, environment = tmp_path / "root", tmp_path / "environment"
    root.mkdir()
    write(cache)
    assert_loaded(load_mnist(root))
    write(environment, second)
    monkeypatch.setenv("TINYGRAD_EDU_DATA", str(environment))
    assert_loaded(load_mnist(), second)
    assert_loaded(load_mnist(root), second)
    write(root / "mnist", first)
    assert_loaded(load_mnist(root), first)


def test_an_empty_root_is_not_written_to(serve, tmp_path, cache):
    serve(good)
    root = tmp_path / "root"
    root.mkdir()
    assert_loaded(load_mnist(root))
    assert list(root.iterdir()) == [] and set(cached(cache)) == COMPLETE


@pytest.mark.parametrize("given", ["root", "TINYGRAD_EDU_DATA"])
def test_some_files_of_four_are_an_error(serve, tmp_path, monkeypatch, given, cache):
    (server,) = serve(good)
    write(cache)
    write(tmp_path / "own")
    (tmp_path / "own" / NAMES[3]).unlink()
    if given != "root":
        monkeypatch.setenv(given, str(tmp_path / "own"))
    with pytest.raises(FileNotFoundError, match=f"{given} has some .* not {NAMES[3]} "):
        load_mnist(tmp_path / "own" if given == "root" else None)
    assert server.requests == []


def test_a_root_that_is_not_a_folder_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"root is .*typo.*, not a folder"):
        load_mnist(tmp_path / "typo")


def test_nothing_anywhere_without_download(serve):
    (server,) = serve(good)
    with pytest.raises(MNISTNotFoundError, match="download=False"):
        load_mnist(download=False)
    assert server.requests == []


@pytest.mark.parametrize(
    ("field", "array", "message"),
    [
        (0, np.zeros((19, 28, 28), np.uint8), "19 images but 20 labels"),
        (0, np.zeros((20, 32, 32), np.uint8), "found uint8 (20, 32, 32)"),
        (0, np.zeros(20, np.uint8), "found uint8 (20,)"),
        (1, np.zeros((20, 1), np.uint8), "labels of shape (n,), found uint8 (20, 1)"),
        (1, np.full(20, 10, np.uint8), "labels from 0 to 9, found 10"),
    ],
)
def test_files_of_another_format_are_refused(tmp_path, field, array, message):
    arrays = list(ARRAYS)
    arrays[field] = array
    write(tmp_path, arrays)
    with pytest.raises(ValueError) as error:
        load_mnist(tmp_path)
    assert message in str(error.value)
    assert str(tmp_path / NAMES[0]) in str(error.value) and str(tmp_path / NAMES[1]) in str(error.value)


def test_files_of_another_dtype_are_refused(tmp_path):
    write(tmp_path)
    content = struct.pack(">HBBI", 0, 9, 1, 10) + bytes(10)
    (tmp_path / NAMES[3]).write_bytes(content)
    with pytest.raises(ValueError, match=r"test set .* found int8"):
        load_mnist(tmp_path)


def test_a_damaged_file_of_the_user_is_named(tmp_path):
    write(tmp_path)
    path = tmp_path / NAMES[1]
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=f"{NAMES[1]}.*only 19"):
        load_mnist(tmp_path)


@pytest.mark.parametrize(
    ("platform", "variables", "expected"),
    [
        ("linux", {"XDG_CACHE_HOME": "/x"}, "/x"),
        ("linux", {}, "/home/me/.cache"),
        ("darwin", {}, "/home/me/Library/Caches"),
        ("win32", {"LOCALAPPDATA": "/local"}, "/local"),
        ("win32", {}, "/home/me/.cache"),
    ],
)
@pytest.mark.skipif(sys.platform == "win32", reason="POSIX paths")
def test_cache_folder(monkeypatch, platform, variables, expected):
    monkeypatch.delenv("XDG_CACHE_HOME")
    monkeypatch.delenv("LOCALAPPDATA", raising=False)
    monkeypatch.setenv("HOME", "/home/me")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(sys, "platform", platform)
    assert mnist.cache_folder() == f"{expected}/tinygrad_edu/mnist"


@pytest.mark.skipif(not REAL, reason="needs the real files, in the folder TINYGRAD_EDU_DATA")
def test_the_real_files(tmp_path, monkeypatch):
    result = load_mnist(REAL)
    assert [array.shape for array in result] == [(60000, 28, 28), (60000,), (10000, 28, 28), (10000,)]
    assert all(array.dtype == np.uint8 for array in result)
    assert result.train_labels[:5].tolist() == [5, 0, 4, 1, 9]


@pytest.mark.skipif(not REAL, reason="needs the real files, in the folder TINYGRAD_EDU_DATA")
def test_the_real_files_pass_as_published(cache, monkeypatch):
    monkeypatch.undo()
    monkeypatch.delenv("TINYGRAD_EDU_DATA")
    monkeypatch.setenv("XDG_CACHE_HOME", str(cache.parent.parent))
    source = next(folder for folder in (Path(REAL), Path(REAL, "mnist")) if any(folder.glob("t10k-*")))
    cache.parent.mkdir(parents=True)
    cache.symlink_to(source)
    assert load_mnist(download=False).test_labels[:5].tolist() == [7, 2, 1, 0, 4]


def test_digits_from_the_files_of_mnist(cache, tmp_path):
    arrays = [*synthetic_digits(4, seed=1), *synthetic_digits(3, seed=2)]
    name, digits = load_digits("auto", write_mnist(tmp_path / "files", *arrays))
    assert name == "MNIST"
    for found, expected in zip(digits, arrays, strict=True):
        np.testing.assert_array_equal(found, expected)


def test_digits_without_files_and_network_say_so(cache, capsys):
    name, (images, labels, test_images, test_labels) = load_digits()
    assert name == "synthetic digits"
    assert "this run uses synthetic digits" in capsys.readouterr().out
    assert images.shape == (20_000, 28, 28) and labels.shape == (20_000,)
    assert test_images.shape == (4_000, 28, 28) and test_labels.shape == (4_000,)
    with pytest.raises(MNISTNotFoundError):
        load_digits("mnist")


def test_synthetic_digits_need_no_words(cache, capsys):
    assert load_digits("synthetic")[0] == "synthetic digits"
    assert capsys.readouterr().out == ""


def test_digits_that_cannot_be_had(cache, tmp_path):
    with pytest.raises(ValueError, match="source is 'cifar'; it must be 'auto', 'mnist' or 'synthetic'"):
        load_digits("cifar")
    folder = write_mnist(tmp_path / "files", *synthetic_digits(1), *synthetic_digits(1))
    with pytest.raises(ValueError, match="need 2 images to train and 1 to test, got 1 and 1"):
        load_digits("auto", folder)
