"""compress_modules and dequantize on models that no library knows."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from matrices import relative_error
from torch import nn

import helix_substrate
from helix_substrate.errors import UnsupportedError
from helix_substrate.torch import HelixEmbedding, HelixLinear, compress_modules, dequantize


def names_of(model: nn.Module, kind: type) -> list[str]:
    return [name for name, module in model.named_modules() if isinstance(module, kind)]


def assert_like_dequantised(model: nn.Module, x: torch.Tensor) -> None:
    twin = dequantize(copy.deepcopy(model))
    assert not names_of(twin, HelixLinear)
    assert relative_error(model(x), twin(x)) <= 1e-5


def test_an_mlp() -> None:
    model = nn.Sequential(nn.Linear(64, 96), nn.GELU(), nn.Linear(96, 64, bias=False)).eval()
    dense, x = copy.deepcopy(model), torch.randn(5, 64)
    done = compress_modules(model)
    assert done.modules == ["0", "2"]
    assert done.dense_bytes == 2 * 64 * 96 * 4
    stored = sum(b.nbytes for b in model.buffers())
    assert done.compressed_bytes == stored < done.dense_bytes / 2
    assert not model[0].training
    assert model[0].bias is not dense[0].bias
    assert torch.equal(model[0].bias, dense[0].bias)
    assert 0 < relative_error(model(x), dense(x)) < 0.02
    assert_like_dequantised(model, x)


def test_a_cnn_with_a_linear_head() -> None:
    model = nn.Sequential(
        nn.Conv2d(3, 8, 3), nn.ReLU(), nn.AdaptiveAvgPool2d(8), nn.Flatten(), nn.Linear(512, 10)
    )
    dense, x = copy.deepcopy(model), torch.randn(4, 3, 12, 12)
    assert compress_modules(model).modules == ["4"]
    assert 0 < relative_error(model(x), dense(x)) < 0.02
    assert_like_dequantised(model, x)


class Tied(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(80, 32, padding_idx=1)
        self.shared = nn.Linear(32, 32)
        self.again = self.shared
        self.attention = nn.MultiheadAttention(32, 2, batch_first=True)
        self.small = nn.Linear(32, 2)
        self.head = nn.Linear(32, 80, bias=False)
        self.head.weight = self.embedding.weight

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids)
        x = self.again(torch.tanh(self.shared(x)))
        x = x + self.attention(x, x, x)[0]
        return torch.cat([self.head(x), self.small(x)], -1)


def test_shared_modules_ties_and_what_stays_dense() -> None:
    model = Tied().eval()
    done = compress_modules(model)
    assert done.modules == ["shared"]
    assert done.left == {
        "small": "fewer than 1024 weights",
        "head": "weight shared with embedding",
    }
    assert model.shared is model.again
    assert model.head.weight is model.embedding.weight
    assert type(model.attention.out_proj).__name__ == "NonDynamicallyQuantizableLinear"
    assert_like_dequantised(model, torch.randint(0, 80, (2, 7)))


def test_tied_embeddings_share_their_codes() -> None:
    model = Tied().eval()
    model.embedding.weight.data.normal_()
    dense, ids = copy.deepcopy(model), torch.randint(0, 80, (2, 7))
    done = compress_modules(model, embeddings=True)
    assert done.modules == ["embedding", "shared", "head"]
    assert done.dense_bytes == (80 * 32 + 32 * 32) * 4
    assert isinstance(model.embedding, HelixEmbedding)
    assert "embedding.indices" in model.state_dict()
    assert "head.indices" not in model.state_dict()
    assert torch.equal(model.head.dequantize(), model.embedding.dequantize())
    assert 0 < relative_error(model(ids), dense(ids)) < 0.05
    twin = dequantize(copy.deepcopy(model))
    assert twin.head.weight is twin.embedding.weight
    assert twin.shared is twin.again
    assert twin.embedding.padding_idx == 1
    assert relative_error(model(ids), twin(ids)) <= 1e-5


def test_globs_exclude() -> None:
    layers = [nn.ModuleDict({"up": nn.Linear(32, 64), "down": nn.Linear(64, 32)}) for _ in "12"]
    model = nn.ModuleDict({"layers": nn.ModuleList(layers), "lm_head": nn.Linear(32, 64)})
    done = compress_modules(model, exclude=["*.0.*", "layers.1.down"])
    assert done.modules == ["layers.1.up", "lm_head"]
    assert set(done.left) == {"layers.0.up", "layers.0.down", "layers.1.down"}
    assert compress_modules(model).left == {}
    other = nn.ModuleDict(
        {"lm_head": nn.Linear(32, 64), "a": nn.ModuleDict({"lm_head": nn.Linear(32, 64)})}
    )
    assert compress_modules(other).modules == []


def test_options_reach_the_codec() -> None:
    model = nn.Sequential(nn.Linear(64, 64))
    compress_modules(model, codebook_size=16, outliers=5)
    assert len(model[0].codebook) == 16
    assert len(model[0].sidecar_positions) == 5


def test_what_cannot_be_replaced_stays() -> None:
    model = nn.Sequential(
        nn.Linear(64, 64, device="meta"), nn.Linear(64, 64), nn.Embedding(99, 32, max_norm=1.0)
    )
    model[1].register_forward_hook(lambda *_: None)
    done = compress_modules(model, embeddings=True)
    assert done.modules == []
    assert list(done.left.values()) == [
        "on the meta device",
        "has forward hooks",
        "max_norm changes its weight",
    ]
    with pytest.raises(ValueError, match="use from_dense"):
        compress_modules(nn.Linear(64, 64))
    with pytest.raises(ValueError, match="max_norm"):
        HelixEmbedding.from_dense(model[2])


def test_weights_that_are_not_finite_stay_dense() -> None:
    model = nn.Sequential(nn.Linear(64, 64), nn.Linear(64, 64))
    with torch.no_grad():
        model[0].weight[3, 4] = torch.nan
    with pytest.raises(UnsupportedError, match="row 3, column 4 is nan"):
        HelixLinear.from_dense(model[0])
    done = compress_modules(model)
    assert done.modules == ["1"]
    assert "row 3, column 4 is nan" in done.left["0"]
    with pytest.raises(TypeError, match=r"matrix of torch\.int64"):
        model[1].assign_weight(torch.zeros(64, 64, dtype=torch.int64))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64])
def test_dense_modules_of_every_dtype(dtype: torch.dtype) -> None:
    dense = nn.Linear(64, 96).to(dtype)
    module = HelixLinear.from_dense(dense)
    assert module.weight.dtype == module.to_dense().weight.dtype == dtype
    assert module.bias is dense.bias
    assert module.codebook.dtype == torch.float32
    assert 0 < relative_error(module.weight, dense.weight) < 0.02
    x = torch.randn(3, 64).to(dtype)
    assert relative_error(module(x), dense(x)) < 0.02


def test_on_the_arrays_of_a_compressed_tensor() -> None:
    array = np.random.default_rng(0).standard_normal((96, 64)).astype(np.float32)
    array[5, 7] = 40
    compressed = helix_substrate.encode(array)
    module = HelixLinear.from_compressed(compressed, bias=np.ones(96, np.float32))
    assert np.array_equal(module.weight.numpy(), compressed.decode())
    assert np.shares_memory(module.indices.numpy(), compressed.indices)
    x = np.random.default_rng(1).standard_normal((3, 64)).astype(np.float32)
    assert relative_error(module(torch.from_numpy(x)), torch.from_numpy(x @ array.T + 1)) < 0.02
    rows = HelixEmbedding.from_compressed(compressed)(torch.tensor([5, 95])).numpy()
    assert np.array_equal(rows, compressed.decode()[[5, 95]])
