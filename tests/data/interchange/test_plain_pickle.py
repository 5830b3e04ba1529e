from __future__ import annotations

import collections
import io
import os
import pickle
import pickletools
import subprocess
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mmemo.data.interchange.plain_pickle import load_plain_pickle
from mmemo.errors import ManifestError


def same(left: Any, right: Any) -> bool:
    if isinstance(right, np.ndarray):
        return (
            isinstance(left, np.ndarray)
            and left.dtype == right.dtype
            and left.shape == right.shape
            and all(same(a, b) for a, b in zip(left.flat, right.flat, strict=True))
        )
    if isinstance(right, dict):
        return list(left) == list(right) and all(same(left[key], right[key]) for key in right)
    if isinstance(right, list | tuple):
        return type(left) is type(right) and all(same(a, b) for a, b in zip(left, right, strict=True))
    return bool(left == right) and type(left) is type(right)


PLAIN = {
    "floats": np.linspace(-1, 1, 24, dtype=np.float32).reshape(2, 3, 4),
    "fortran": np.asfortranarray(np.arange(6.0).reshape(2, 3)),
    "big-endian": np.arange(3, dtype=">i4"),
    "text": np.array(["joy", "änger", ""]),
    "no bytes": b"",
    "bytes": np.array([b"ab", b"c"]),
    "flags": np.array([True, False]),
    "objects": np.array([["a", None], [np.float32(2.5), [1, 2]]], dtype=object),
    "nothing": np.zeros((0, 5), np.float32),
    "scalar": np.float64(3.25),
    "single": np.array(7, np.int64),
    "plain": [1, -2.5, "x", None, True, b"raw", (1, (2,)), {1, 2}, 10**30],
    "nested": {"train": {"id": ["a$_$1"], "x": np.ones(2, np.uint8)}},
}


@pytest.mark.parametrize("protocol", range(6))
def test_arrays_and_plain_containers_of_every_protocol(tmp_path: Path, protocol: int) -> None:
    file = tmp_path / "x.pkl"
    file.write_bytes(pickle.dumps(PLAIN, protocol))
    assert same(load_plain_pickle(file), PLAIN)


def test_files_written_with_numpy_1_name_another_module(tmp_path: Path) -> None:
    data = pickle.dumps({"x": np.arange(3)}, 2).replace(b"numpy._core", b"numpy.core")
    assert b"numpy.core.multiarray" in data
    (tmp_path / "x.pkl").write_bytes(data)
    assert same(load_plain_pickle(tmp_path / "x.pkl"), {"x": np.arange(3)})


class Attack:
    """Runs a command when it is unpickled, in one of several ways."""

    def __init__(self, call: Any, *arguments: Any) -> None:
        self.call, self.arguments = call, arguments

    def __reduce__(self) -> Any:
        return self.call, self.arguments


class Subclass(np.ndarray):
    pass


def attacks(victim: Path) -> dict[str, bytes]:
    """Programs that make the file ``victim`` if they are run, and some that only try to break NumPy."""
    command = f"touch {victim}"
    nested = np.empty(1, object)
    nested[0] = Attack(os.system, command)
    return {
        "os.system": pickle.dumps(Attack(os.system, command)),
        "inside a mapping": pickle.dumps({"train": {"id": ["a"], "audio": Attack(os.system, command)}}),
        "inside an array of objects": pickle.dumps(nested),
        "eval": pickle.dumps(Attack(eval, f"__import__('os').system({command!r})")),
        "exec": pickle.dumps(Attack(exec, f"open({str(victim)!r}, 'w')")),
        "a subprocess": pickle.dumps(Attack(subprocess.Popen, ["touch", str(victim)])),
        "opening a file": pickle.dumps(Attack(io.open, str(victim), "w")),
        "by getattr": b"cbuiltins\ngetattr\n(cos\nsystem\nS'x'\ntR.",
        "an old instruction for instances": b"(S'%s'\nios\nsystem\n." % command.encode(),
        "an old instruction for objects": b"(cos\nsystem\nS'%s'\no." % command.encode(),
        "by stack, new style": b"\x80\x04\x8c\x02os\x8c\x06system\x93\x8c\x04true\x85R.",
        "an attribute's attribute": b"\x80\x04\x8c\x05numpy\x8c\x10ndarray.__class__\x93.",
        "numpy's own loader": b"cnumpy\nload\n(S'/etc/passwd'\ntR.",
        "numpy's own executor": b"cnumpy.testing._private.utils\nrunstring\n(S'1'\n(dtR.",
        "a persistent id": b"Pos.system\n.",
        "an extension": b"\x80\x02\x82\x01.",
        "changing what a name means": b"cnumpy.core.multiarray\n_reconstruct\n}S'__call__'\ncos\nsystem\nsb.",
        "setting an attribute of a name": b"\x80\x02cnumpy\nndarray\nN}X\x01\x00\x00\x00xK\x01s\x86b.",
        "a type as a value": b"cnumpy\ndtype\n.",
        "a mapping by a type": b"\x80\x02}cnumpy\ndtype\nK\x01s.",
        "a class of the standard library": pickle.dumps(collections.OrderedDict(a=1)),
        "a subclass of arrays": pickle.dumps(np.arange(3).view(Subclass)),
        "an array of records": pickle.dumps(np.zeros(2, [("a", "f4"), ("b", "O")])),
        # an array of objects whose "objects" are raw memory: NumPy's own unpickler would follow these pointers
        "objects from memory": pickle.dumps(np.array(["AAAAAAAA"], dtype="S8"), 2).replace(b"X\x02\x00\x00\x00S8", b"X\x02\x00\x00\x00O8"),
        "too little memory": pickle.dumps(np.arange(4), 4).replace(b"K\x04\x85", b"K\x7f\x85"),
    }  # fmt: skip


@pytest.mark.parametrize("name", [*attacks(Path("x"))])
def test_code_in_a_pickle_is_refused_and_not_run(tmp_path: Path, name: str) -> None:
    victim, file = tmp_path / "victim", tmp_path / "bad.pkl"
    file.write_bytes(attacks(victim)[name])
    with pytest.raises(ManifestError, match=r"bad\.pkl has a fault"):
        load_plain_pickle(file)
    assert not victim.exists()


def test_the_attacks_are_real(tmp_path: Path) -> None:
    """Without protection they do what they say: else the test above could not fail."""
    victim = tmp_path / "victim"
    for name in ("os.system", "inside an array of objects", "exec", "an old instruction for instances"):
        pickle.loads(attacks(victim)[name])
        assert victim.exists(), name
        victim.unlink()


def test_the_message_names_what_was_found(tmp_path: Path) -> None:
    (tmp_path / "bad.pkl").write_bytes(pickle.dumps(Attack(os.system, "true")))
    with pytest.raises(ManifestError, match=r"it holds the name posix\.system: only arrays"):
        load_plain_pickle(tmp_path / "bad.pkl")


@pytest.mark.parametrize("content", [b"", b"no pickle", pickle.dumps(PLAIN)[:200]])
def test_damaged_files(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.pkl").write_bytes(content)
    with pytest.raises(ManifestError):
        load_plain_pickle(tmp_path / "x.pkl")
    with pytest.raises(ManifestError, match="no such file"):
        load_plain_pickle(tmp_path / "none.pkl")


def test_every_damaged_byte_is_an_error_of_ours_or_harmless(tmp_path: Path) -> None:
    data = pickletools.optimize(pickle.dumps({"x": np.arange(3), "y": ["a", {1.5}]}, 4))
    rng = np.random.default_rng(0)
    for _ in range(200):
        damaged = bytearray(data)
        damaged[rng.integers(len(damaged))] = rng.integers(256)
        (tmp_path / "x.pkl").write_bytes(damaged)
        try:
            load_plain_pickle(tmp_path / "x.pkl")
        except ManifestError:
            continue


def bombs() -> dict[str, bytes]:
    """Small pickles that stand for very much: time or memory that nobody has."""
    twice: Any = ()
    for _ in range(60):
        twice = (twice, twice)
    lists: Any = []
    for _ in range(60):
        lists = [lists, lists]
    within: list[Any] = []
    within.append(within)
    key = b"\x80\x04)" + b"2\x86" * 60  # ((((), ()), …), …), whose hash takes 2 ** 60 steps
    return {
        "tuples that hold one another": pickle.dumps({"test": {"id": twice}}),
        "lists that hold one another": pickle.dumps(lists),
        "a list within itself": pickle.dumps(within),
        "deep": b"\x80\x04" + b"]" * 100_000 + b"a" * 99_999 + b".",
        "a key": key + b"}\x94" + key[2:] + b"Ns.",
        "an item of a set": b"\x80\x04\x8f(" + key[2:] + b"\x90.",
        "a frozen set": b"\x80\x04(" + key[2:] + b"\x91.",
        "a set by its name": b"cbuiltins\nset\n]" + key[2:] + b"a\x85R.",
        "an array of bytes that are not there": b"\x80\x05\x96" + (2**40).to_bytes(8, "little") + b"x.",
        "bytes that are not there": b"\x80\x04\x8e" + (2**62).to_bytes(8, "little") + b"x.",
        "a frame that is not there": b"\x80\x04\x95" + (2**62).to_bytes(8, "little") + b"x.",
        "an array of large letters": pickle.dumps(np.array(["a"])).replace(b"\x8c\x02U1", b"\x8c\x0bU9999999999"),
    }


@pytest.mark.parametrize("name", [*bombs()])
def test_bombs_are_refused(name: str, tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(bombs()[name])
    started = time.process_time()
    with pytest.raises(ManifestError):
        load_plain_pickle(tmp_path / "x.pkl")
    assert time.process_time() - started < 20


def test_a_far_place_in_the_memo_takes_no_memory(tmp_path: Path) -> None:
    (tmp_path / "x.pkl").write_bytes(b"\x80\x04Nr\xff\xff\xff\x7f.")
    tracemalloc.start()
    try:
        assert load_plain_pickle(tmp_path / "x.pkl") is None
        assert tracemalloc.get_traced_memory()[1] < 1_000_000
    finally:
        tracemalloc.stop()


def test_the_same_container_twice_is_no_bomb(tmp_path: Path) -> None:
    shared = [1, (2, 3)]
    (tmp_path / "x.pkl").write_bytes(pickle.dumps({"a": shared, "b": [shared, shared]}))
    assert load_plain_pickle(tmp_path / "x.pkl") == {"a": shared, "b": [shared, shared]}
