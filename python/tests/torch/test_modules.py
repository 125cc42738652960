from __future__ import annotations

import pytest
import torch
from matrices import KINDS, dense_matrix, random_codes, relative_error

from helix_substrate.torch import HelixEmbedding, HelixLinear

ROWS, COLUMNS = 46, 36


@pytest.fixture(params=KINDS)
def kind(request) -> str:
    return request.param


def linear_of(kind: str, bias: bool = True) -> tuple[HelixLinear, torch.Tensor, torch.Tensor]:
    codes = random_codes(kind, ROWS, COLUMNS)
    numbers = torch.randn(ROWS) if bias else None
    module = HelixLinear.from_codes(codes, COLUMNS, ROWS, numbers)
    return module, dense_matrix(codes, ROWS, COLUMNS), numbers


def test_decodes_as_the_reference_decoder(kind: str) -> None:
    module, dense, _ = linear_of(kind)
    found = module.dequantize()
    if "svd" in KINDS[kind][3]:
        assert (found - dense).abs().max() <= 1e-6 * dense.abs().max()
    else:
        assert torch.equal(found, dense)


@pytest.mark.parametrize("batch", [1, 7, 40])
def test_products(kind: str, batch: int) -> None:
    module, dense, bias = linear_of(kind)
    x = torch.randn(batch, COLUMNS)
    wanted = x.double() @ dense.double().T + bias.double()
    assert relative_error(module(x), wanted) <= 1e-5
    for dtype, limit in ((torch.bfloat16, 4e-3), (torch.float16, 2e-3)):
        rounded = x.to(dtype)
        wanted = rounded.double() @ dense.double().T + bias.double()
        found = module(rounded)
        assert found.dtype == dtype
        assert relative_error(found, wanted) <= limit


def test_rows_of_an_embedding(kind: str) -> None:
    codes = random_codes(kind, ROWS, COLUMNS)
    dense = dense_matrix(codes, ROWS, COLUMNS)
    module = HelixEmbedding.from_codes(codes, ROWS, COLUMNS)
    ids = torch.tensor([[0, 45, 7], [7, 7, 30]])
    assert (module(ids) - dense[ids]).abs().max() <= 1e-6 * dense.abs().max()
    assert torch.equal(module(ids.int()), module(ids))


def test_gradient_of_the_input_is_that_of_the_dense_matrix(kind: str) -> None:
    module, dense, bias = linear_of(kind)
    x = torch.randn(2, 5, COLUMNS, requires_grad=True)
    twin = x.detach().clone().requires_grad_()
    g = torch.randn(2, 5, ROWS)
    module(x).backward(g)
    torch.nn.functional.linear(twin, dense, bias).backward(g)
    assert relative_error(x.grad, twin.grad) <= 1e-6
    assert relative_error(module.bias.grad, g.sum((0, 1))) <= 1e-6
