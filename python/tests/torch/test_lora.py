"""Adapters without PEFT."""

from __future__ import annotations

import copy
import hashlib
import pickle
from pathlib import Path

import pytest
import torch
from matrices import relative_error
from torch import nn

from helix_substrate.torch import (
    CompressedModule,
    HelixLinear,
    HelixLinearSTE,
    adapters,
    compress_modules,
    dequantize,
    load_adapters,
    merge_adapters,
    prepare_for_lora,
    remove_adapters,
    save_adapters,
    unmerge_adapters,
)


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.up_proj, self.down_proj = nn.Linear(32, 64), nn.Linear(64, 32)
        self.again = self.up_proj
        self.norm = nn.LayerNorm(32)
        self.head = nn.Linear(32, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(x + self.down_proj(nn.functional.silu(self.up_proj(x))))
        return self.head(x + self.down_proj(nn.functional.silu(self.again(x))))


@pytest.fixture
def model() -> Net:
    torch.manual_seed(0)
    net = Net()
    compress_modules(net)
    return net


def hash_of(model: nn.Module) -> str:
    """Of every code in the model, whatever wraps it."""
    digest = hashlib.sha256()
    for module in model.modules():
        if isinstance(module, CompressedModule):
            for tensor in module.state_dict().values():
                digest.update(tensor.contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


def trained(model: nn.Module, steps: int = 60) -> tuple[list[float], nn.Module]:
    """Losses of learning four random classes of random points, and the model."""
    torch.manual_seed(1)
    x, classes = torch.randn(64, 32), torch.randint(0, 4, (64,))
    wanted = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(wanted, lr=1e-2)
    losses = []
    for _ in range(steps):
        loss = nn.functional.cross_entropy(model(x), classes)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(float(loss.detach()))
    return losses, model


def test_training_moves_the_adapters_alone(model) -> None:
    before, x = hash_of(model), torch.randn(3, 32)
    y = model(x)
    assert prepare_for_lora(model, rank=4, alpha=8) == ["up_proj", "down_proj"]
    assert model.up_proj is model.again
    assert torch.equal(model(x), y)
    frozen = {n: p.clone() for n, p in model.named_parameters() if not p.requires_grad}
    assert {n for n, p in model.named_parameters() if p.requires_grad} == {
        "up_proj.lora_A",
        "up_proj.lora_B",
        "down_proj.lora_A",
        "down_proj.lora_B",
    }
    losses, _ = trained(model)
    assert losses[-1] < 0.6 * losses[0]
    assert hash_of(model) == before
    assert all(torch.equal(p, frozen[n]) for n, p in model.named_parameters() if n in frozen)


def test_gradients_are_those_of_the_dequantised_model(model) -> None:
    prepare_for_lora(model, rank=4)
    for module in adapters(model).values():
        nn.init.normal_(module.lora_B)
    twin = copy.deepcopy(model)
    for module in adapters(twin).values():
        module.base = dequantize(nn.Sequential(module.base))[0]
    x = torch.randn(7, 32, requires_grad=True)
    other = x.detach().clone().requires_grad_()
    model(x).square().sum().backward()
    twin(other).square().sum().backward()
    assert relative_error(x.grad, other.grad) <= 2e-6
    mine, theirs = adapters(model), adapters(twin)
    for name in mine:
        for part in ("lora_A", "lora_B"):
            wanted = getattr(theirs[name], part).grad
            assert relative_error(getattr(mine[name], part).grad, wanted) <= 2e-6


def test_merge_and_unmerge(model) -> None:
    prepare_for_lora(model, rank=4, alpha=8)
    trained(model)
    before, x = hash_of(model), torch.randn(50, 32)
    y = model(x)
    merge_adapters(model)
    merged = model(x)
    assert hash_of(model) != before
    assert 0 < relative_error(merged, y) < 0.02
    with pytest.raises(RuntimeError, match="merged already"):
        model.up_proj.merge_lora()
    with pytest.raises(RuntimeError, match="is merged"):
        model.up_proj.enable_lora()
    unmerge_adapters(model)
    assert hash_of(model) == before
    assert torch.equal(model(x), y)
    with pytest.raises(RuntimeError, match="no adapter is merged"):
        model.up_proj.unmerge_lora()
    merge_adapters(model)
    remove_adapters(model)
    assert type(model.up_proj) is HelixLinear
    assert model.up_proj is model.again
    assert torch.equal(model(x), merged)


def test_what_a_merge_loses_is_told() -> None:
    module = HelixLinearSTE(HelixLinear.from_dense(nn.Linear(64, 96))).enable_lora(4)
    nn.init.normal_(module.lora_B, std=0.1)
    wanted = module.base.dequantize() + module.delta_weight()
    lost = module.merge_lora()
    found = relative_error(module.base.dequantize(), wanted)
    assert -20 * torch.log10(torch.tensor(found)) == pytest.approx(lost["snr_db"], abs=0.1)


def test_saved_adapters_load_to_the_same_output(model, tmp_path: Path) -> None:
    fresh, x = copy.deepcopy(model), torch.randn(5, 32)
    prepare_for_lora(model, ["up_proj"], rank=3, alpha=5, dropout=0.1)
    trained(model)
    model.eval()
    y = model(x)
    path = tmp_path / "adapters.safetensors"
    save_adapters(model, path)
    assert [p.name for p in tmp_path.iterdir()] == [path.name]
    fresh.eval()
    assert not torch.allclose(fresh(x), y)
    assert load_adapters(fresh, path) == ["up_proj"]
    assert torch.equal(fresh(x), y)
    assert fresh.again is fresh.up_proj
    assert (fresh.up_proj.rank, fresh.up_proj.alpha) == (3, 5.0)
    assert fresh.up_proj.dropout.p == 0.1
    assert not fresh.up_proj.dropout.training
    nn.init.zeros_(fresh.up_proj.lora_B)
    assert load_adapters(fresh, path) == ["up_proj"]  # in place of what is there
    assert torch.equal(fresh(x), y)


def test_files_that_do_not_fit_change_nothing(model, tmp_path: Path) -> None:
    from safetensors.torch import save_file

    path = tmp_path / "a.safetensors"
    with pytest.raises(ValueError, match="no adapters to save"):
        save_adapters(model, path)
    other = Net()
    other.up_proj = nn.Linear(32, 96)
    other.extra = nn.Linear(32, 64)
    compress_modules(other)
    state = {name: id(module) for name, module in model.named_modules()}
    for target, message in (("up_proj", "lora_B does not fit"), ("extra", "no compressed module")):
        wrapped = copy.deepcopy(other)
        prepare_for_lora(wrapped, [target])
        save_adapters(wrapped, path)
        with pytest.raises(ValueError, match=message):
            load_adapters(model, path)
    save_file({"x": torch.zeros(1)}, path)
    with pytest.raises(ValueError, match="not a file of helix-lora adapters"):
        load_adapters(model, path)
    assert {name: id(module) for name, module in model.named_modules()} == state


def test_targets(model) -> None:
    for targets, wanted in (
        (["down_proj"], ["down_proj"]),
        (["*up*"], ["up_proj"]),
        (["again"], ["up_proj"]),
        (["up_proj", "down_proj"], ["up_proj", "down_proj"]),
    ):
        assert prepare_for_lora(copy.deepcopy(model), targets) == wanted
    with pytest.raises(ValueError, match="no HelixLinear among the modules"):
        prepare_for_lora(model, ["head"])
    assert all(parameter.requires_grad for parameter in model.parameters())


def test_one_module_by_hand() -> None:
    base = HelixLinear.from_dense(nn.Linear(32, 64))
    module = HelixLinearSTE(base)
    x = torch.randn(3, 32)
    assert torch.equal(module(x), base(x))
    for call in (module.merge_lora, module.delta_weight, module.adapter_state_dict):
        with pytest.raises(RuntimeError, match="enable_lora"):
            call()
    with pytest.raises(ValueError, match="rank 0"):
        module.enable_lora(0)
    module.enable_lora(rank=2, alpha=6, dropout=0.5)
    nn.init.normal_(module.lora_B)
    wanted = base(x) + 3 * (x @ module.lora_A.T) @ module.lora_B.T
    assert torch.allclose(module.eval()(x), wanted, atol=1e-5)
    assert not torch.allclose(module.train()(x), wanted)
    assert module.weight.shape == (64, 32)
    for twin in (copy.deepcopy(module), pickle.loads(pickle.dumps(module))):
        assert torch.allclose(twin.eval()(x), wanted, atol=1e-5)
    half = copy.deepcopy(module).eval().bfloat16()
    assert half(x.bfloat16()).dtype == torch.bfloat16
    assert relative_error(half(x.bfloat16()), wanted) < 0.02
    module.disable_lora()
    assert torch.equal(module(x), base(x))


def test_adapters_compile(model) -> None:
    prepare_for_lora(model, rank=2)
    for module in adapters(model).values():
        nn.init.normal_(module.lora_B)
    torch._dynamo.reset()
    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    x = torch.randn(4, 32)
    assert torch.allclose(compiled(x), model(x), atol=1e-5)
    compiled(x).sum().backward()
    assert all(module.lora_A.grad is not None for module in adapters(model).values())


def test_conv1d_modules() -> None:
    pytest.importorskip("transformers.pytorch_utils")
    from transformers.pytorch_utils import Conv1D

    model = nn.Sequential(Conv1D(64, 32), nn.Tanh(), Conv1D(32, 64))
    compress_modules(model, conv1d=True)
    before, x = hash_of(model), torch.randn(5, 32)
    prepare_for_lora(model, rank=2)
    for module in adapters(model).values():
        nn.init.normal_(module.lora_B, std=0.1)
    wanted = model(x)
    merge_adapters(model)
    assert 0 < relative_error(model(x), wanted) < 0.03
    unmerge_adapters(model)
    assert hash_of(model) == before
    assert torch.equal(model(x), wanted)


def test_adapter_numbers_that_do_not_fit() -> None:
    module = HelixLinearSTE(HelixLinear.from_dense(nn.Linear(32, 64))).enable_lora(2)
    state = {key: value + 1 for key, value in module.adapter_state_dict().items()}
    module.load_adapter_state_dict(state)
    assert torch.equal(module.lora_B, torch.ones(64, 2))
    with pytest.raises(ValueError, match=r"lora_A of \[2, 32\]: got \[3, 32\]"):
        module.load_adapter_state_dict({**state, "lora_A": torch.zeros(3, 32)})


def test_a_merge_that_undoes_another_can_be_unmerged_too() -> None:
    module = HelixLinearSTE(HelixLinear.from_dense(nn.Linear(32, 64))).enable_lora(2)
    nn.init.normal_(module.lora_B, std=0.1)
    state = {key: value.clone() for key, value in module.adapter_state_dict().items()}
    module.merge_lora()
    merged = module.base.dequantize()
    module.disable_lora()
    module.enable_lora(2).load_adapter_state_dict({**state, "lora_B": -state["lora_B"]})
    assert module.merge_lora()["snr_db"] > 30
    module.unmerge_lora()
    assert torch.equal(module.base.dequantize(), merged)
