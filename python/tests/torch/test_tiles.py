"""The plain PyTorch path, which serves devices without compiled kernels, forced on a CPU."""

from __future__ import annotations

import pytest
import torch
from matrices import KINDS, dense_matrix, random_codes, relative_error

from helix_substrate.torch import HelixEmbedding, HelixLinear, operators, prepared, tiles

ROWS, COLUMNS = 46, 36


@pytest.fixture(params=[4 * COLUMNS, 7 * COLUMNS + 5, 1, 1 << 22], autouse=True)
def plain_path(monkeypatch, request) -> None:
    """No compiled module, and tiles of 4 rows, 7 rows, 1 row and everything."""
    monkeypatch.setattr(prepared, "native", None)
    monkeypatch.setattr(tiles, "TILE_WEIGHTS", request.param)
    monkeypatch.setattr(operators, "_said", {"cpu"})


@pytest.mark.parametrize("kind", KINDS)
def test_everything_a_module_does(kind: str) -> None:
    codes = random_codes(kind, ROWS, COLUMNS, seed=1)
    dense = dense_matrix(codes, ROWS, COLUMNS)
    bias = torch.randn(ROWS)
    module = HelixLinear.from_codes(codes, COLUMNS, ROWS, bias)
    assert (module.dequantize() - dense).abs().max() <= 1e-6 * dense.abs().max()
    for dtype, limit in ((torch.float32, 1e-6), (torch.bfloat16, 6e-3), (torch.float64, 1e-6)):
        x = torch.randn(3, COLUMNS).to(dtype).requires_grad_()
        g = torch.randn(3, ROWS).to(dtype)
        y = module(x)
        y.backward(g)
        assert y.dtype == x.grad.dtype == dtype
        assert relative_error(y, x.double() @ dense.double().T + bias) <= limit
        assert relative_error(x.grad, g.double() @ dense.double()) <= limit
    embedding = HelixEmbedding.from_codes(codes, ROWS, COLUMNS)
    ids = torch.tensor([[45, 0, 3], [3, 3, 44]])
    assert (embedding(ids) - dense[ids]).abs().max() <= 1e-6 * dense.abs().max()
    assert embedding(ids[:0]).shape == (0, 3, COLUMNS)


def test_float16_with_outliers_beyond_its_range() -> None:
    codes = random_codes("sidecar", ROWS, COLUMNS)
    codes.sidecar_values[0] = 2e5
    dense = dense_matrix(codes, ROWS, COLUMNS)
    module = HelixLinear.from_codes(codes, COLUMNS, ROWS)
    x = (torch.randn(5, COLUMNS) / 64).half()
    found, wanted = module(x), x.double() @ dense.double().T
    assert relative_error(found, wanted) <= 2e-3
    row = int(codes.sidecar_positions[0]) // COLUMNS
    others = [r for r in range(ROWS) if r != row]
    assert relative_error(found[:, others], wanted[:, others]) <= 2e-3


def test_the_choice_is_told_once(monkeypatch) -> None:
    monkeypatch.setattr(operators, "_said", set())
    module = HelixLinear.from_codes(random_codes("plain", ROWS, COLUMNS), COLUMNS, ROWS)
    with pytest.warns(UserWarning, match="decodes by tiles in PyTorch on device 'cpu'") as told:
        module(torch.randn(1, COLUMNS))
        module(torch.randn(1, COLUMNS))
    assert len(told) == 1


def test_only_a_tile_is_decoded_at_a_time(monkeypatch) -> None:
    monkeypatch.setattr(tiles, "TILE_WEIGHTS", 5 * COLUMNS)
    seen = []
    decode_rows = tiles.decode_rows
    monkeypatch.setattr(
        tiles, "decode_rows", lambda *a: seen.append(a[3] - a[2]) or decode_rows(*a)
    )
    module = HelixLinear.from_codes(random_codes("plain", ROWS, COLUMNS), COLUMNS, ROWS)
    module(torch.randn(2, COLUMNS))
    assert seen == [5] * 9 + [1]
