"""encode() and CompressedTensor against numpy."""

from __future__ import annotations

import copy
import itertools
import pickle

import numpy as np
import pytest

pytest.importorskip("helix_substrate._native", exc_type=ImportError)

from compressed_parts import make_parts, relative_error

import helix_substrate as helix

RNG = np.random.default_rng(0)
WEIGHTS = RNG.standard_normal((96, 130)).astype(np.float32)


def meaning_of(tensor: helix.CompressedTensor) -> np.ndarray:
    """The dense matrix that docs/format.md gives these parts."""
    dense = tensor.codebook[tensor.indices].astype(np.float32)
    if tensor.sidecar_positions is not None:
        dense.ravel()[tensor.sidecar_positions] = tensor.sidecar_values
    if tensor.channel_scales is not None:
        dense = dense / tensor.channel_scales
    return dense


def least_error(values: np.ndarray, k: int) -> float:
    """Of every way to cut the sorted values into k runs, the least squared error."""
    ordered = np.sort(values.astype(np.float64))
    best = np.inf
    for cuts in itertools.combinations(range(1, len(ordered)), k - 1):
        runs = np.split(ordered, cuts)
        best = min(best, sum(((run - run.mean()) ** 2).sum() for run in runs))
    return float(best)


@pytest.mark.parametrize("k", [2, 3])
def test_the_codebook_is_the_optimum(k: int) -> None:
    values = RNG.standard_normal((3, 8)).astype(np.float32)
    tensor = helix.encode(values, codebook_size=k, outliers="none", column_scales="none")
    error = ((tensor.decode().astype(np.float64) - values) ** 2).sum()
    assert error == pytest.approx(least_error(values.ravel(), k), rel=1e-6)


@pytest.mark.parametrize(
    "options",
    [{}, {"outliers": 30}, {"outliers": 0.001}, {"outliers": "none"}, {"codebook_size": 16}],
    ids=str,
)
def test_parts_decode_and_metrics_agree(options: dict) -> None:
    weights = WEIGHTS.copy()
    weights[3, 5] = 1e5
    tensor = helix.encode(weights, **options)
    dense = tensor.decode()
    assert (dense == meaning_of(tensor)).all()
    error = (dense.astype(np.float64) - weights) ** 2
    norm = (weights.astype(np.float64) ** 2).sum()
    assert tensor.metrics.snr_db == pytest.approx(10 * np.log10(norm / error.sum()))
    assert tensor.metrics.relative_squared_error == pytest.approx(error.sum() / norm)
    assert tensor.metrics.max_error == pytest.approx(np.sqrt(error.max()))
    assert tensor.metrics.stored_bytes == tensor.nbytes
    assert tensor.metrics.bits_per_weight == pytest.approx(8 * tensor.nbytes / weights.size)
    assert tensor.metrics.weight_count == weights.size


def test_outliers_are_kept_exactly() -> None:
    weights = WEIGHTS.copy()
    weights[3, 5] = 1e5
    tensor = helix.encode(weights, outliers=30, column_scales="none")
    assert len(tensor.sidecar_positions) == len(tensor.sidecar_values) == 30
    assert (weights.ravel()[tensor.sidecar_positions] == tensor.sidecar_values).all()
    assert tensor.decode()[3, 5] == np.float32(1e5)
    assert helix.encode(weights, outliers="none").sidecar_positions is None


def test_more_than_256_levels_are_packed_to_12_bits() -> None:
    tensor = helix.encode(WEIGHTS, codebook_size=1000, outliers="none", column_scales="none")
    assert tensor.indices.dtype == np.uint8
    assert tensor.indices.shape == (WEIGHTS.size * 3 // 2,)
    assert tensor.metrics.snr_db > helix.encode(WEIGHTS).metrics.snr_db + 6


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_any_float_array_in_any_order(dtype: type) -> None:
    weights = WEIGHTS.astype(dtype)
    expected = helix.encode(weights.astype(np.float32))
    for array in (weights, np.asfortranarray(weights), np.repeat(weights, 2, 0)[::2]):
        tensor = helix.encode(array)
        assert (tensor.indices == expected.indices).all()
        assert (tensor.codebook == expected.codebook).all()
    assert (helix.encode(weights.tolist()).indices == expected.indices).all()


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
@pytest.mark.parametrize("shape", [(130,), (1, 130), (3, 7, 130), (0, 130), (2, 40, 130)])
def test_matmul(shape: tuple[int, ...], dtype: type) -> None:
    tensor = helix.encode(WEIGHTS)
    dense = tensor.decode().astype(np.float64)
    x = RNG.standard_normal(shape).astype(dtype)
    y = tensor.matmul(x)
    assert y.shape == (*shape[:-1], 96)
    assert y.dtype == (np.float16 if dtype is np.float16 else np.float32)
    if x.size == 0:
        return
    bound = 5e-4 if dtype is np.float16 else 1e-5
    assert relative_error(y, x.astype(np.float64) @ dense.T) <= bound
    assert (
        relative_error(tensor.matmul(x, precision="bf16"), x.astype(np.float64) @ dense.T) <= 2e-3
    )
    g = RNG.standard_normal((*shape[:-1], 96)).astype(dtype)
    back = tensor.matmul(g, transposed=True)
    assert back.shape == shape
    assert relative_error(back, g.astype(np.float64) @ dense) <= bound


def test_rows_are_an_embedding() -> None:
    tensor = helix.encode(WEIGHTS)
    ids = np.array([[5, 0, 95], [1, 1, 2]], np.int32)
    assert (tensor.rows(ids) == tensor.decode()[ids]).all()
    with pytest.raises(helix.InvalidArgumentError, match="96"):
        tensor.rows([96])
    with pytest.raises(helix.InvalidArgumentError, match="ids of float64, expected integers"):
        tensor.rows([0.5])
    assert tensor.rows(5).shape == (tensor.shape[1],)
    assert tensor.rows([]).shape == (0, tensor.shape[1])


@pytest.mark.parametrize("case", [{"rank": 2}, {"layout": "packed", "k": 999}, {"d": 2}], ids=str)
def test_stored_parts_of_every_kind(case: dict) -> None:
    parts = make_parts(30, 64, outliers=5, scales=True, **case)
    tensor = helix.CompressedTensor(parts.by_name, (30, 64))
    assert np.allclose(tensor.decode(), parts.dense, rtol=1e-6)
    assert tensor.metrics is None
    assert tensor.nbytes == sum(array.nbytes for array in parts.by_name.values())
    assert parts.by_name["codebook"].flags.writeable  # the caller's array is left alone
    assert not tensor.codebook.flags.writeable


def test_copies_and_pickles() -> None:
    tensor = helix.encode(WEIGHTS, outliers=5)
    for other in (copy.deepcopy(tensor), pickle.loads(pickle.dumps(tensor))):
        assert other.shape == tensor.shape
        assert other.metrics == tensor.metrics
        assert (other.decode() == tensor.decode()).all()
    assert repr(tensor).startswith("CompressedTensor(96 x 130, 256 levels")


def test_float16_out() -> None:
    tensor = helix.encode(WEIGHTS)
    assert (tensor.decode(np.float16) == tensor.decode().astype(np.float16)).all()


FAULTS = {
    "one dimension": (WEIGHTS[0], {}, helix.InvalidArgumentError, "two dimensions"),
    "integers": (WEIGHTS.astype(np.int32), {}, helix.UnsupportedError, "int32"),
    "one level": (WEIGHTS, {"codebook_size": 1}, helix.InvalidArgumentError, "1"),
    "too many levels": (WEIGHTS, {"codebook_size": 4097}, helix.InvalidArgumentError, "4097"),
    "outliers by another name": (WEIGHTS, {"outliers": "some"}, helix.InvalidArgumentError, "some"),
    "negative outliers": (WEIGHTS, {"outliers": -1}, helix.InvalidArgumentError, "-1"),
    "outliers true": (WEIGHTS, {"outliers": True}, helix.InvalidArgumentError, "True"),
    "share over one": (WEIGHTS, {"outliers": 1.5}, helix.InvalidArgumentError, "1.5"),
    "scales by another name": (
        WEIGHTS,
        {"column_scales": "all"},
        helix.InvalidArgumentError,
        "all",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_what_cannot_be_encoded(fault: str) -> None:
    array, options, error, message = FAULTS[fault]
    with pytest.raises(error, match=message):
        helix.encode(array, **options)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_number_that_is_not_finite_is_named(value: float) -> None:
    weights = WEIGHTS.copy()
    weights[7, 11] = value
    with pytest.raises(helix.UnsupportedError, match=r"7.*11"):
        helix.encode(weights)


def test_wrong_parts_and_operands() -> None:
    tensor = helix.encode(WEIGHTS)
    parts = tensor.parts
    with pytest.raises(helix.InvalidArgumentError, match="indexes"):
        helix.CompressedTensor({**parts, "indexes": parts["indices"]}, tensor.shape)
    with pytest.raises(helix.InvalidArgumentError, match="codebook is missing"):
        helix.CompressedTensor({"indices": parts["indices"]}, tensor.shape)
    with pytest.raises(helix.InvalidArgumentError, match="low-rank"):
        helix.CompressedTensor({**parts, "svd_s": np.ones(1)}, tensor.shape)
    with pytest.raises(helix.InvalidArgumentError, match="int64"):
        helix.CompressedTensor({**parts, "indices": np.zeros((96, 130), int)}, tensor.shape)
    with pytest.raises(helix.CorruptDataError, match="shape"):
        helix.CompressedTensor(parts, (96, 131))
    with pytest.raises(helix.InvalidArgumentError, match=r"\(4, 96\)"):
        tensor.matmul(np.zeros((4, 96)))
    with pytest.raises(AttributeError, match="codes"):
        _ = tensor.codes
