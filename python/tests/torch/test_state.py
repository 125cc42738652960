"""What users do to modules: copy, pickle, cast, save, load, move, change, share between threads."""

from __future__ import annotations

import copy
import pickle
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch
from matrices import KINDS, dense_matrix, random_codes, relative_error
from torch import nn

from helix_substrate.errors import CorruptDataError
from helix_substrate.torch import Codes, HelixEmbedding, HelixLinear
from helix_substrate.torch import prepared as prepared_matrices

ROWS, COLUMNS = 46, 36


def linear_of(kind: str, seed: int = 0) -> tuple[HelixLinear, torch.Tensor]:
    codes = random_codes(kind, ROWS, COLUMNS, seed)
    return HelixLinear.from_codes(codes, COLUMNS, ROWS), dense_matrix(codes, ROWS, COLUMNS)


def assert_is(module: HelixLinear, dense: torch.Tensor) -> None:
    x = torch.randn(3, COLUMNS)
    assert relative_error(module(x), x.double() @ dense.double().T) <= 1e-5
    assert relative_error(module.dequantize(), dense) <= 1e-6


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("how", ["deepcopy", "pickle"])
def test_copies(kind: str, how: str) -> None:
    module, dense = linear_of(kind)
    module(torch.randn(1, COLUMNS))
    twin = copy.deepcopy(module) if how == "deepcopy" else pickle.loads(pickle.dumps(module))
    twin.codebook.zero_()
    assert_is(module, dense)
    assert twin(torch.randn(2, COLUMNS)).shape == (2, ROWS)


@pytest.mark.parametrize("kind", ["sidecar", "u16", "i16", "12 bit"])
def test_saved_state_loads_as_weights_only(kind: str, tmp_path: Path) -> None:
    source, dense = linear_of(kind)
    torch.save(source.state_dict(), tmp_path / "state.pt")
    target, _ = linear_of("plain")
    target.load_state_dict(torch.load(tmp_path / "state.pt", weights_only=True))
    assert_is(target, dense)
    assert_is(target.share_memory(), dense)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("assign", [False, True])
def test_state_dict_into_a_module_of_another_layout(kind: str, assign: bool) -> None:
    source, dense = linear_of(kind)
    state = copy.deepcopy(source.state_dict())
    assert set(state) == {
        part for part, tensor in source.codes._asdict().items() if tensor is not None
    }
    target, _ = linear_of("scales" if kind == "pairs" else "pairs")
    target(torch.randn(1, COLUMNS))
    kept = target.codebook.clone(), target.codebook
    target.load_state_dict(state, assign=assign)
    assert_is(target, dense)
    assert torch.equal(*kept)  # loading writes into no tensor that somebody else may hold
    assert all(torch.equal(target.state_dict()[key], state[key]) for key in state)


def test_state_dict_that_lacks_a_part_or_breaks_the_format() -> None:
    module, _ = linear_of("sidecar")
    state = module.state_dict()
    for part, message in (("indices", "Missing key"), ("sidecar_values", "half of a sidecar")):
        partial = {key: value for key, value in state.items() if key != part}
        with pytest.raises(RuntimeError, match=message):
            linear_of("sidecar", 1)[0].load_state_dict(partial)
    short, _ = linear_of("short codebook")
    state = short.state_dict()
    state["indices"] = torch.full_like(state["indices"], 3)
    with pytest.raises(RuntimeError, match="index 3 into a codebook of 3 entries"):
        linear_of("short codebook", 1)[0].load_state_dict(state)


@pytest.mark.parametrize("kind", KINDS)
def test_a_shell_on_meta_is_filled(kind: str) -> None:
    source, dense = linear_of(kind)
    spec = {key: (value.dtype, tuple(value.shape)) for key, value in source.state_dict().items()}
    with torch.device("meta"):
        shell = HelixLinear.from_spec(COLUMNS, ROWS, spec, dtype=torch.bfloat16)
    assert shell.codebook.is_meta
    assert shell.weight.shape == (ROWS, COLUMNS)
    assert shell.weight.dtype == torch.bfloat16
    assert shell(torch.empty(5, COLUMNS, device="meta")).shape == (5, ROWS)
    assert {key: value.dtype for key, value in shell.state_dict().items()} == {
        key: dtype for key, (dtype, _) in spec.items()
    }
    shell.load_state_dict(source.state_dict(), assign=True)
    assert_is(shell.float(), dense)


@pytest.mark.parametrize("cast", ["half", "bfloat16", "double", "float", "to", "to_type"])
def test_casts_leave_the_codes_exact(cast: str) -> None:
    codes = random_codes("everything", ROWS, COLUMNS)
    module = HelixLinear.from_codes(codes, COLUMNS, ROWS, torch.randn(ROWS))
    dense = dense_matrix(codes, ROWS, COLUMNS)
    before = {key: value.clone() for key, value in module.state_dict().items() if key != "bias"}
    casts = {"to": lambda: module.to(torch.float16), "to_type": lambda: module.type(torch.float64)}
    wrapped = nn.Sequential(module)
    casts.get(cast, lambda: getattr(wrapped, cast)())()
    for key, value in before.items():
        assert module.state_dict()[key].dtype == value.dtype
        assert torch.equal(module.state_dict()[key], value)
    dtype = module.weight.dtype
    assert dtype == module.bias.dtype == module.dequantize().dtype
    named = {"half": torch.float16, "bfloat16": torch.bfloat16, "float": torch.float32}
    assert dtype == named.get(cast, torch.float16 if cast == "to" else torch.float64)
    assert torch.equal(module.dequantize(), dense.to(dtype)) or "svd" in KINDS["everything"][3]
    x = torch.randn(2, COLUMNS).to(dtype)
    wanted = x.double() @ dense.double().T + module.bias.double()
    limits = {torch.float64: 1e-6, torch.float32: 1e-5}
    assert module(x).dtype == dtype
    assert relative_error(module(x), wanted) <= limits.get(dtype, 4e-3)


def test_outliers_beyond_float16_survive_half() -> None:
    codes = Codes(
        torch.tensor([0.5, -0.25]),
        torch.zeros((2, 4), dtype=torch.uint8),
        torch.tensor([5]),
        torch.tensor([1e5]),
    )
    module = HelixLinear.from_codes(codes, 4, 2).half()
    assert float(module.sidecar_values[0]) == 1e5
    found = module(torch.tensor([[0, 0.125, 0, 0]], dtype=torch.float16))
    assert found.tolist() == [[0.0625, 12496.0]]  # 12500 rounded


# Prepared matrices follow the tensors


def test_replaced_and_modified_tensors_are_noticed() -> None:
    module, dense = linear_of("sidecar")
    assert_is(module, dense)
    module.codebook.mul_(2)
    assert_is(module, dense_matrix(module.codes, ROWS, COLUMNS))
    module.sidecar_values = module.sidecar_values + 1
    assert_is(module, dense_matrix(module.codes, ROWS, COLUMNS))
    module.indices[3:9] = 7
    assert_is(module, dense_matrix(module.codes, ROWS, COLUMNS))
    module.indices = torch.zeros_like(module.indices)
    assert_is(module, dense_matrix(module.codes, ROWS, COLUMNS))
    module.codebook.data = torch.randn(256)
    assert_is(module, dense_matrix(module.codes, ROWS, COLUMNS))


def test_a_changed_bias_is_noticed() -> None:
    codes = random_codes("plain", ROWS, COLUMNS)
    module = HelixLinear.from_codes(codes, COLUMNS, ROWS, torch.zeros(ROWS))
    x = torch.randn(1, COLUMNS)
    before = module(x)
    with torch.no_grad():
        module.bias += 1
    assert relative_error(module(x), before + 1) <= 1e-6
    module.bias = None
    assert relative_error(module(x), before) <= 1e-6


def test_inference_mode() -> None:
    source, dense = linear_of("sidecar")
    with torch.inference_mode():
        module = copy.deepcopy(source)
        x = torch.randn(2, COLUMNS)
        assert relative_error(module(x), x.double() @ dense.double().T) <= 1e-5
        other, other_dense = linear_of("u16")
        module.load_state_dict(other.state_dict())
        assert relative_error(module(x), x.double() @ other_dense.double().T) <= 1e-5
        assert module.weight.T.shape == (COLUMNS, ROWS)
    x = torch.randn(2, COLUMNS)  # and outside, on tensors made inside
    assert relative_error(module(x), x.double() @ other_dense.double().T) <= 1e-5


def test_nothing_stays_alive_when_a_module_is_gone() -> None:
    before = len(prepared_matrices._entries)
    for _ in range(3):
        module, _ = linear_of("sidecar")
        module(torch.randn(1, COLUMNS))
    del module
    assert len(prepared_matrices._entries) == before


def test_broken_codes_are_refused_before_they_are_used() -> None:
    good = random_codes("sidecar", ROWS, COLUMNS)
    broken = {
        "index 9 into": good._replace(
            codebook=good.codebook[:9].clone(), indices=good.indices % 10
        ),
        "not strictly": good._replace(sidecar_positions=good.sidecar_positions.flip(0)),
        "lies outside": good._replace(sidecar_positions=good.sidecar_positions + ROWS * COLUMNS),
        "codebook: a value is not finite": good._replace(codebook=good.codebook / 0),
        "scale is zero": good._replace(channel_scales=torch.zeros(COLUMNS)),
    }
    for message, codes in broken.items():
        module = HelixLinear.from_codes(codes, COLUMNS, ROWS)
        with pytest.raises(CorruptDataError, match=message):
            module(torch.randn(1, COLUMNS))
        with pytest.raises(CorruptDataError, match=message):
            module.dequantize()


def test_broken_layouts_are_refused_at_once() -> None:
    good, svd = random_codes("sidecar", ROWS, COLUMNS), random_codes("svd", ROWS, COLUMNS)
    packed = random_codes("12 bit", ROWS, COLUMNS)
    broken = [
        good._replace(codebook=good.codebook.double()),
        good._replace(codebook=good.codebook[:0]),
        good._replace(codebook=good.codebook.view(4, 8, 8)),
        good._replace(codebook=good.codebook.view(64, 4)),
        good._replace(indices=good.indices.to(torch.int32)),
        good._replace(indices=good.indices[1:]),
        good._replace(indices=None),
        good._replace(sidecar_values=None),
        good._replace(sidecar_values=good.sidecar_values[1:]),
        good._replace(sidecar_positions=good.sidecar_positions.float()),
        packed._replace(indices=packed.indices[3:]),
        svd._replace(svd_s=None),
        svd._replace(svd_U=svd.svd_U[1:]),
        good._replace(channel_scales=torch.ones(COLUMNS + 1)),
    ]
    for codes in broken:
        with pytest.raises(CorruptDataError, match=f"codes of a {ROWS} x {COLUMNS} matrix"):
            HelixLinear.from_codes(codes, COLUMNS, ROWS)


# Threads


def test_threads_and_two_models_give_what_one_does() -> None:
    modules = [linear_of(kind)[0] for kind in ("sidecar", "12 bit pairs", "u16", "sidecar")]
    inputs = [torch.randn(1 + n % 5, COLUMNS) for n in range(64)]
    wanted = [modules[n % 4](x) for n, x in enumerate(inputs)]
    fresh = [copy.deepcopy(module) for module in modules]  # not prepared yet
    with ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda n: fresh[n % 4](inputs[n]), range(64)))
    assert all(torch.equal(a, b) for a, b in zip(found, wanted, strict=True))


# Ties


def test_tied_modules_share_codes() -> None:
    codes = random_codes("sidecar", ROWS, COLUMNS)
    embedding = HelixEmbedding.from_codes(codes, ROWS, COLUMNS)
    head = HelixLinear(COLUMNS, ROWS)
    head.tie_to(embedding)
    model = nn.ModuleDict({"embedding": embedding, "head": head})
    assert not [key for key in model.state_dict() if key.startswith("head")]
    twin = pickle.loads(pickle.dumps(copy.deepcopy(model)))
    twin["embedding"].codebook.mul_(2)
    assert_is(head, dense_matrix(codes, ROWS, COLUMNS))
    assert torch.equal(twin["head"].dequantize(), twin["embedding"].dequantize())
    assert not torch.equal(twin["head"].dequantize(), head.dequantize())
    model.half()
    assert head.weight.dtype == torch.float16
    with pytest.raises(ValueError, match="cannot be tied"):
        HelixLinear(ROWS, COLUMNS).tie_to(embedding)
