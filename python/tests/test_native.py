"""The compiled module against numpy."""

from __future__ import annotations

import os
import sys
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

native = pytest.importorskip("helix_substrate._native", exc_type=ImportError)

from compressed_parts import Parts, make_parts, relative_error  # noqa: E402

from helix_substrate.errors import CorruptDataError, InvalidArgumentError  # noqa: E402

CASES = {
    "plain": {},
    "outliers": {"outliers": 40},
    "scales": {"outliers": 40, "scales": True},
    "low rank": {"rank": 3, "scales": True, "outliers": 5},
    "small codebook": {"k": 7},
    "vectors": {"d": 2, "outliers": 9},
    "packed": {"layout": "packed", "k": 3000},
    "packed vectors": {"layout": "packed", "k": 900, "d": 4, "scales": True},
    "u16": {"layout": "u16", "k": 5000, "outliers": 11},
    "i16": {"layout": "i16", "k": 60000},
}
ROWS, COLUMNS = 70, 132
BOUNDS = {"f32": 1e-5, "bf16": 2e-3}


def matrix_of(parts: Parts, **others):
    return native.Matrix(
        parts.rows,
        parts.columns,
        parts.codebook,
        parts.stored_indices,
        **{**parts.others, **others},
    )


def multiply(matrix, x: np.ndarray, rows: int, dtype="F32", precision="f32", threads=0):
    y = np.empty((len(x), rows), x.dtype)
    matrix.multiply(x.ctypes.data, y.ctypes.data, len(x), dtype, precision, threads)
    return y


def to_bf16(x: np.ndarray) -> np.ndarray:
    """Bits of the nearest BF16 numbers, ties to even."""
    bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
    return ((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16).astype(np.uint16)


def from_bf16(bits: np.ndarray) -> np.ndarray:
    return (bits.astype(np.uint32) << 16).view(np.float32)


@pytest.mark.parametrize("precision", ["f32", "bf16"])
@pytest.mark.parametrize("batch", [1, 5, 40])
@pytest.mark.parametrize("case", CASES)
def test_product(case: str, batch: int, precision: str) -> None:
    parts = make_parts(ROWS, COLUMNS, **CASES[case])
    rng = np.random.default_rng(1)
    bias = rng.standard_normal(ROWS).astype(np.float32)
    x = rng.standard_normal((batch, COLUMNS)).astype(np.float32)
    y = multiply(matrix_of(parts, bias=bias), x, ROWS, precision=precision)
    assert relative_error(y, x @ parts.dense.T + bias) <= BOUNDS[precision]


@pytest.mark.parametrize("batch", [1, 5, 40])
@pytest.mark.parametrize("case", CASES)
def test_product_with_the_transpose(case: str, batch: int) -> None:
    parts = make_parts(ROWS, COLUMNS, **CASES[case])
    g = np.random.default_rng(1).standard_normal((batch, ROWS)).astype(np.float32)
    y = np.empty((batch, COLUMNS), np.float32)
    matrix = matrix_of(parts, bias=np.ones(ROWS, np.float32))
    matrix.multiply_transposed(g.ctypes.data, y.ctypes.data, batch, "F32")
    assert relative_error(y, g @ parts.dense) <= 1e-5


@pytest.mark.parametrize("case", CASES)
def test_rows(case: str) -> None:
    parts = make_parts(ROWS, COLUMNS, **CASES[case])
    matrix = matrix_of(parts)
    dense = np.empty((ROWS, COLUMNS), np.float32)
    matrix.decode(dense.ctypes.data, "F32")
    assert np.allclose(dense, parts.dense, rtol=2e-7, atol=1e-30)
    some = np.empty((3, COLUMNS), np.float32)
    matrix.decode(some.ctypes.data, "F32", 30, 33)
    assert (some == dense[30:33]).all()
    ids = np.array([69, 0, 5, 5], np.int64)
    looked_up = np.empty((4, COLUMNS), np.float32)
    matrix.embed(ids.ctypes.data, 4, looked_up.ctypes.data, "F32")
    assert (looked_up == dense[ids]).all()


@pytest.mark.parametrize("batch", [1, 40])
def test_sixteen_bit_floats_are_rounded_once(batch: int) -> None:
    parts = make_parts(ROWS, COLUMNS, outliers=20)
    matrix = matrix_of(parts)
    x = np.random.default_rng(3).standard_normal((batch, COLUMNS)).astype(np.float32)
    half = x.astype(np.float16)
    exact = multiply(matrix, half.astype(np.float32), ROWS)
    assert (multiply(matrix, half, ROWS, "F16") == exact.astype(np.float16)).all()
    brain = to_bf16(x)
    exact = multiply(matrix, from_bf16(brain), ROWS)
    assert (multiply(matrix, brain, ROWS, "BF16") == to_bf16(exact)).all()


def test_results_do_not_depend_on_threads() -> None:
    parts = make_parts(600, 320, outliers=50)
    matrix = matrix_of(parts)
    x = np.random.default_rng(3).standard_normal((40, 320)).astype(np.float32)
    for precision in BOUNDS:
        results = [multiply(matrix, x, 600, "F32", precision, threads) for threads in (1, 2, 5)]
        assert (results[0] == results[1]).all() and (results[0] == results[2]).all()


def test_callers_at_once_get_what_one_gets() -> None:
    matrices = [matrix_of(make_parts(300, 200, seed=seed)) for seed in range(3)]
    inputs = np.random.default_rng(4).standard_normal((8, 20, 200)).astype(np.float32)
    alone = [multiply(matrix, x, 300, "F32", "bf16", 1) for matrix in matrices for x in inputs]

    def work(_: int) -> bool:
        found = [multiply(matrix, x, 300, "F32", "bf16") for matrix in matrices for x in inputs]
        return all((a == b).all() for a, b in zip(alone, found, strict=True))

    with ThreadPoolExecutor(8) as pool:
        assert all(pool.map(work, range(24)))


def test_a_forked_child_computes() -> None:
    matrix = matrix_of(make_parts(300, 200))
    x = np.ones((40, 200), np.float32)
    expected = multiply(matrix, x, 300, "F32", "f32", 3)
    child = os.fork()
    if child == 0:
        os._exit(0 if (multiply(matrix, x, 300, "F32", "f32", 3) == expected).all() else 1)
    assert os.waitpid(child, 0)[1] == 0


def test_the_interpreter_is_released() -> None:
    array = np.random.default_rng(0).standard_normal((1000, 1000)).astype(np.float32)
    started, finished, seen = threading.Event(), threading.Event(), []

    def work() -> None:
        started.set()
        native.encode(array.ctypes.data, "F32", 1000, 1000)
        finished.set()

    interval = sys.getswitchinterval()
    sys.setswitchinterval(1000)  # so that nobody gives the interpreter up unasked
    try:
        thread = threading.Thread(target=work)
        thread.start()
        started.wait()
        seen.append(finished.is_set())
        thread.join()
    finally:
        sys.setswitchinterval(interval)
    assert seen == [False]


def test_the_indices_are_kept_alive_and_not_copied() -> None:
    parts = make_parts(ROWS, COLUMNS)
    matrix = matrix_of(parts)
    parts.stored_indices[0, 0] = 0
    life = weakref.ref(parts.stored_indices)
    smallest = parts.codebook[0]
    del parts
    first = np.empty((1, COLUMNS), np.float32)
    matrix.decode(first.ctypes.data, "F32", 0, 1)
    assert first[0, 0] == smallest
    assert life() is not None
    del matrix
    assert life() is None


BROKEN = {
    "index out of range": (lambda p: {"codebook": p.codebook[:9].copy()}, "codebook's 9 entries"),
    "codebook not finite": (lambda p: {"codebook": p.codebook * np.float32(np.inf)}, "finite"),
    "codebook of rank 3": (lambda p: {"codebook": p.codebook[:, None, None].copy()}, "rank 3"),
    "indices of another shape": (lambda p: {"indices": p.stored_indices[1:].copy()}, "shape"),
    "packed of another length": (lambda p: {"indices": p.stored_indices.ravel()[5:]}, "bytes"),
    "indices of floats": (lambda p: {"indices": p.stored_indices.astype(np.float32)}, "U8"),
    "positions alone": (lambda p: {"sidecar_values": None}, "half of a sidecar"),
    "positions of floats": (
        lambda p: {"sidecar_positions": p.others["sidecar_values"].copy()},
        "I64",
    ),
    "positions not ascending": (
        lambda p: {"sidecar_positions": p.others["sidecar_positions"][::-1].copy()},
        "ascending",
    ),
    "position outside": (
        lambda p: {"sidecar_positions": p.others["sidecar_positions"] + ROWS * COLUMNS},
        "outside",
    ),
    "scale of zero": (lambda p: {"channel_scales": np.zeros(COLUMNS, np.float32)}, "zero"),
    "scales too few": (lambda p: {"channel_scales": np.ones(3, np.float32)}, "3 entries"),
    "low rank does not fit": (
        lambda p: {"svd": (np.ones((3, 1), "f4"), np.ones(1, "f4"), np.ones((1, COLUMNS), "f4"))},
        "low-rank",
    ),
}


@pytest.mark.parametrize("fault", BROKEN)
def test_broken_parts_are_refused(fault: str) -> None:
    parts = make_parts(ROWS, COLUMNS, outliers=4)
    change, message = BROKEN[fault]
    arguments = {"codebook": parts.codebook, "indices": parts.stored_indices, **parts.others}
    with pytest.raises(CorruptDataError, match=message):
        native.Matrix(ROWS, COLUMNS, **{**arguments, **change(parts)})


def test_wrong_calls_are_refused() -> None:
    matrix = matrix_of(make_parts(ROWS, COLUMNS))
    x, y = np.zeros((1, COLUMNS), np.float32), np.zeros((1, ROWS), np.float32)
    with pytest.raises(InvalidArgumentError, match="precision 'f16'"):
        matrix.multiply(x.ctypes.data, y.ctypes.data, 1, "F32", "f16", 0)
    for dtype in ("F64", "I32", "float32"):
        with pytest.raises(InvalidArgumentError, match=dtype):
            matrix.multiply(x.ctypes.data, y.ctypes.data, 1, dtype, "f32", 0)
    for wrong in (-1, ROWS):
        ids = np.array([0, wrong], np.int64)
        with pytest.raises(InvalidArgumentError, match=f"id {wrong} "):
            matrix.embed(ids.ctypes.data, 2, x.ctypes.data, "F32")
    with pytest.raises(InvalidArgumentError, match="rows"):
        matrix.decode(x.ctypes.data, "F32", ROWS, ROWS + 1)
    with pytest.raises(InvalidArgumentError, match="bias"):
        matrix_of(make_parts(ROWS, COLUMNS), bias=np.zeros(3, np.float32))
    with pytest.raises(TypeError):
        native.Matrix(ROWS, COLUMNS, ["codebook"], np.zeros((ROWS, COLUMNS), np.uint8))
