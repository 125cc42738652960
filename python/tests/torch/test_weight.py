"""`weight`: nothing is decoded for its shape, operations decode, assignment encodes."""

from __future__ import annotations

import copy
import pickle

import pytest
import torch
from matrices import dense_matrix, random_codes, relative_error
from torch import nn

from helix_substrate.torch import CompressedModule, HelixEmbedding, HelixLinear

ROWS, COLUMNS = 96, 64


@pytest.fixture
def module() -> HelixLinear:
    return HelixLinear.from_codes(random_codes("sidecar", ROWS, COLUMNS), COLUMNS, ROWS)


@pytest.fixture
def dense() -> torch.Tensor:
    return dense_matrix(random_codes("sidecar", ROWS, COLUMNS), ROWS, COLUMNS)


@pytest.fixture
def decodes(monkeypatch) -> list[CompressedModule]:
    """Every module that was decoded, in order."""
    seen: list[CompressedModule] = []
    decode = CompressedModule.dequantize
    monkeypatch.setattr(CompressedModule, "dequantize", lambda m, *_: seen.append(m) or decode(m))
    return seen


def hash_of(module: CompressedModule) -> list[bytes]:
    return [tensor.numpy().tobytes() for tensor in module.codes if tensor is not None]


def test_its_shape_dtype_and_device_cost_nothing(module, decodes) -> None:
    weight = module.weight
    assert isinstance(weight, torch.Tensor)
    assert (weight.shape, weight.dtype, weight.ndim) == ((ROWS, COLUMNS), torch.float32, 2)
    assert (weight.device.type, weight.numel(), weight.size(1)) == ("cpu", ROWS * COLUMNS, COLUMNS)
    assert (weight.requires_grad, weight.is_floating_point()) == (False, True)
    assert (weight.nbytes, weight.stride()) == (ROWS * COLUMNS * 4, (COLUMNS, 1))
    assert weight._is_hf_initialized
    assert not decodes


def test_operations_decode_once_and_give_plain_tensors(module, dense, decodes) -> None:
    weight = module.weight
    assert torch.equal(weight, dense)
    assert torch.equal(weight.T, dense.T)
    assert torch.equal(weight[3:5], dense[3:5])
    assert torch.equal(weight.to(torch.bfloat16), dense.to(torch.bfloat16))
    assert torch.equal(torch.linalg.norm(weight, dim=1), torch.linalg.norm(dense, dim=1))
    x = torch.randn(2, COLUMNS, requires_grad=True)
    y = nn.functional.linear(x, weight)
    assert torch.equal(y, nn.functional.linear(x, dense))
    y.sum().backward()
    assert {type(t) for t in (weight.T, weight + 0, weight.data, weight.detach(), y)} == {
        torch.Tensor
    }
    assert len(decodes) == 1


def test_what_reads_its_memory_gets_the_decoded_one(module, dense) -> None:
    weight = module.weight
    assert torch.equal(torch.from_numpy(weight.numpy()), dense)
    assert weight.tolist() == dense.tolist()
    assert weight.data_ptr() == weight.untyped_storage().data_ptr() != 0
    assert repr(weight) == repr(dense)
    for twin in (copy.deepcopy(weight), pickle.loads(pickle.dumps(weight)), weight.clone()):
        assert type(twin) is torch.Tensor
        assert torch.equal(twin, dense)


def test_modules_that_use_the_weight_themselves(dense) -> None:
    layer = nn.TransformerEncoderLayer(64, 2, 96, batch_first=True, dropout=0).eval()
    twin = copy.deepcopy(layer)
    codes = random_codes("sidecar", 96, 64)
    layer.linear1 = HelixLinear.from_codes(codes, 64, 96, twin.linear1.bias)
    twin.linear1.weight = nn.Parameter(dense)
    x = torch.randn(2, 5, 64)
    with torch.no_grad():  # takes PyTorch's fused path, which reads linear1.weight
        assert torch.allclose(layer(x), twin(x), atol=1e-5)


def test_initialisation_in_place_leaves_the_codes_alone(module, dense) -> None:
    before = hash_of(module)
    with torch.no_grad():
        nn.init.normal_(module.weight)
        module.weight.data.normal_()
        module.weight.mul_(2)
    assert hash_of(module) == before
    assert torch.equal(module.dequantize(), dense)
    with pytest.raises(RuntimeError, match="cannot be initialised"):
        module.reset_parameters()


# Assignment


@pytest.mark.parametrize("how", ["data", "data +=", "attribute", "parameter", "assign_weight"])
def test_assignment_encodes(module, dense, how: str) -> None:
    module(torch.randn(1, COLUMNS))
    new = dense + torch.randn(ROWS, 1) @ torch.randn(1, COLUMNS) * 0.05
    if how == "data":
        module.weight.data = new
    elif how == "data +=":
        module.weight.data += (new - dense).requires_grad_()
    elif how == "attribute":
        module.weight = new
    elif how == "parameter":
        module.weight = nn.Parameter(new)
    else:
        assert module.encode_weight(new)["snr_db"] > 30
    assert 0 < relative_error(module.dequantize(), new) < 0.03
    x = torch.randn(2, COLUMNS)
    assert relative_error(module(x), x.double() @ module.dequantize().double().T) <= 1e-5
    assert "weight" not in dict(module.named_parameters())


def test_assignment_of_another_shape(module) -> None:
    with pytest.raises(ValueError, match=r"weight of \[96, 64\]: got \[64, 96\]"):
        module.weight.data = torch.zeros(64, 96)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
@pytest.mark.parametrize("kind", ["sidecar", "everything", "u16"])
def test_an_unmerge_gives_the_codes_back(dtype, kind: str) -> None:
    codes = random_codes(kind, ROWS, COLUMNS)
    module = HelixLinear.from_codes(codes, COLUMNS, ROWS, dtype=dtype)
    states = [hash_of(module)]
    deltas = [torch.randn(ROWS, 2) @ torch.randn(2, COLUMNS) * size for size in (0.02, 0.002, 0.1)]
    deltas = [delta.to(dtype) for delta in deltas]
    for delta in deltas:
        module.weight.data += delta
        states.append(hash_of(module))
    assert len(set(map(tuple, states))) == 4
    module = pickle.loads(pickle.dumps(copy.deepcopy(module)))
    for delta in reversed(deltas):
        assert hash_of(module) == states.pop()
        module.weight.data -= delta
    assert hash_of(module) == states.pop()


def test_another_merge_is_not_taken_for_an_unmerge(module, dense) -> None:
    first = torch.randn(ROWS, 1) @ torch.randn(1, COLUMNS) * 0.01
    for second in (first, -0.5 * first, -0.99 * first, torch.randn(ROWS, COLUMNS) * 1e-4):
        trial = copy.deepcopy(module)
        original = hash_of(trial)
        trial.weight.data += first
        trial.weight.data += second
        assert hash_of(trial) != original
        assert relative_error(trial.dequantize(), dense + first + second) < 0.05


def test_earlier_codes_can_be_taken_back_or_forgotten(module) -> None:
    original = hash_of(module)
    module.weight.data += 0.01
    module.restore_previous_codes()
    assert hash_of(module) == original
    module.weight.data += 0.01
    module.forget_previous_codes()
    with pytest.raises(RuntimeError, match="no earlier codes are kept"):
        module.restore_previous_codes()


def test_of_an_embedding_and_of_a_tied_head() -> None:
    embedding = HelixEmbedding.from_dense(nn.Embedding(ROWS, COLUMNS, padding_idx=0))
    head = HelixLinear(COLUMNS, ROWS)
    head.tie_to(embedding)
    new = torch.randn(ROWS, COLUMNS)
    head.weight.data = new
    assert relative_error(embedding(torch.arange(ROWS)), new) < 0.03
    assert torch.equal(head.dequantize(), embedding.dequantize())
    head.restore_previous_codes()
    assert relative_error(embedding(torch.arange(ROWS)), new) > 0.5
    head.encode_weight(new)
    head.forget_previous_codes()
    with pytest.raises(RuntimeError, match="no earlier codes"):
        embedding.restore_previous_codes()


def test_of_a_conv1d_is_transposed() -> None:
    pytest.importorskip("transformers.pytorch_utils")
    from transformers.pytorch_utils import Conv1D

    from helix_substrate.torch import HelixConv1D

    dense = Conv1D(96, 64)
    module = HelixConv1D.from_dense(dense)
    assert isinstance(module, Conv1D)
    assert module.weight.shape == (64, 96)
    assert module.codes.indices.shape == (96, 64)
    assert 0 < relative_error(module.weight, dense.weight) < 0.03
    x = torch.randn(2, 3, 64)
    assert relative_error(module(x), module.to_dense()(x)) <= 1e-5
    assert torch.equal(module.to_dense().weight, module.dequantize())
    before = hash_of(module)
    delta = torch.randn(64, 1) @ torch.randn(1, 96) * 0.01
    module.weight.data += delta
    assert relative_error(module.weight, dense.weight + delta) < 0.03
    module.weight.data -= delta
    assert hash_of(module) == before
