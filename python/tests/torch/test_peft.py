"""PEFT on compressed models: tests/fixtures/tiny-llama, its linears compressed in place."""

from __future__ import annotations

import copy
import hashlib
from pathlib import Path

import pytest
import torch
from matrices import relative_error
from torch import nn

pytest.importorskip("transformers.pytorch_utils")  # a folder of tests is called transformers too
transformers = pytest.importorskip("transformers")
peft = pytest.importorskip("peft")

from helix_substrate.torch import (  # noqa: E402  HelixConv1D needs transformers
    CompressedModule,
    HelixConv1D,
    HelixEmbedding,
    HelixLinear,
    compress_modules,
    dequantize,
)

pytestmark = pytest.mark.filterwarnings("ignore")

FIXTURE = Path(__file__).resolve().parents[3] / "tests" / "fixtures" / "tiny-llama"
IDS = torch.randint(3, 300, (2, 12), generator=torch.Generator().manual_seed(3))
LINEARS = 14


@pytest.fixture(scope="module")
def compressed() -> nn.Module:
    dense = transformers.AutoModelForCausalLM.from_pretrained(FIXTURE, dtype=torch.float32)
    assert len(compress_modules(dense).modules) == LINEARS
    return dense.eval()


@pytest.fixture
def model(compressed) -> nn.Module:
    return copy.deepcopy(compressed)


def hash_of(model: nn.Module) -> str:
    digest = hashlib.sha256()
    for module in model.modules():
        if isinstance(module, CompressedModule):
            for tensor in module.codes:
                digest.update(b"" if tensor is None else tensor.numpy().tobytes())
    return digest.hexdigest()


def logits(model: nn.Module) -> torch.Tensor:
    with torch.no_grad():
        return model.eval()(IDS).logits


def with_lora(model: nn.Module, **options) -> nn.Module:
    torch.manual_seed(0)
    options = {"r": 4, "target_modules": "all-linear"} | options
    return peft.get_peft_model(model, peft.LoraConfig(**options))


def stir(model: nn.Module, seed: int = 5, size: float = 0.05, name: str = "lora_B") -> None:
    """Gives the adapters something to say."""
    random = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for key, parameter in model.named_parameters():
            if name in key:
                parameter.add_(torch.randn(parameter.shape, generator=random) * size)


def loss_of(model: nn.Module) -> torch.Tensor:
    return model(IDS, labels=IDS).loss


def test_all_linear_attaches_everywhere_and_decodes_nothing(model, monkeypatch) -> None:
    decoded = []
    decode = CompressedModule.dequantize
    monkeypatch.setattr(
        CompressedModule, "dequantize", lambda m, *_: decoded.append(m) or decode(m)
    )
    before = logits(model)
    wrapped = with_lora(model)
    layers = [m for m in wrapped.modules() if isinstance(m, peft.tuners.lora.Linear)]
    assert len(layers) == LINEARS
    assert all(isinstance(layer.base_layer, HelixLinear) for layer in layers)
    assert torch.equal(logits(wrapped), before)
    assert not decoded


def test_gradients_are_those_of_the_dequantised_model(model) -> None:
    twin = dequantize(copy.deepcopy(model))
    wrapped, other = with_lora(model), with_lora(twin)
    stir(wrapped)
    stir(other)
    loss_of(wrapped).backward()
    loss_of(other).backward()
    theirs = dict(other.named_parameters())
    compared = 0
    for name, parameter in wrapped.named_parameters():
        if parameter.requires_grad:
            assert relative_error(parameter.grad, theirs[name].grad) <= 1e-5, name
            compared += 1
    assert compared == 2 * LINEARS


class Repeat(torch.utils.data.Dataset):
    """A toy task: to repeat a number over and over."""

    def __len__(self) -> int:
        return 64

    def __getitem__(self, n: int) -> dict[str, torch.Tensor]:
        ids = torch.full((8,), 10 + n % 16)
        return {"input_ids": ids, "labels": ids}


@pytest.mark.parametrize("checkpointing", [False, True])
def test_trainer(model, tmp_path: Path, checkpointing: bool) -> None:
    before = hash_of(model)
    wrapped = with_lora(model, r=8, lora_alpha=32)
    arguments = transformers.TrainingArguments(
        output_dir=str(tmp_path),
        max_steps=40,
        per_device_train_batch_size=16,
        learning_rate=1e-2,
        logging_steps=1,
        save_steps=20,
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
        gradient_checkpointing=checkpointing,
        gradient_checkpointing_kwargs={"use_reentrant": False} if checkpointing else None,
    )
    trainer = transformers.Trainer(wrapped, arguments, train_dataset=Repeat())
    trainer.train()
    losses = [entry["loss"] for entry in trainer.state.log_history if "loss" in entry]
    assert losses[-1] < 0.5 * losses[0]
    assert hash_of(wrapped) == before
    assert (tmp_path / "checkpoint-40" / "adapter_model.safetensors").is_file()


def test_saved_adapters_load_switch_and_leave(model, compressed, tmp_path: Path) -> None:
    base, wrapped = logits(compressed), with_lora(model)
    stir(wrapped)
    first = logits(wrapped)
    wrapped.save_pretrained(tmp_path)
    stored = (tmp_path / "adapter_model.safetensors").stat().st_size
    assert stored < 100_000
    loaded = peft.PeftModel.from_pretrained(copy.deepcopy(compressed), tmp_path)
    assert torch.equal(logits(loaded), first)
    loaded.add_adapter("other", peft.LoraConfig(r=2, target_modules=["q_proj", "down_proj"]))
    stir(loaded, 6, 0.2, "lora_B.other")
    loaded.set_adapter("other")
    assert relative_error(logits(loaded), first) > 1e-3
    loaded.set_adapter("default")
    assert torch.equal(logits(loaded), first)
    with loaded.disable_adapter():
        assert torch.equal(logits(loaded), base)
    assert torch.equal(logits(loaded.unload()), base)


@pytest.mark.parametrize("safe", [False, True])
@pytest.mark.parametrize("dora", [False, True])
def test_merge_unmerge_and_unload(model, safe: bool, dora: bool) -> None:
    wrapped = with_lora(model, use_dora=dora)
    stir(wrapped, size=0.2)
    before, wanted = hash_of(wrapped), logits(wrapped)
    wrapped.merge_adapter(safe_merge=safe)
    merged = logits(wrapped)
    with wrapped.disable_adapter():  # unmerges
        plain = logits(wrapped)
    assert relative_error(plain, wanted) > 0.05
    assert hash_of(wrapped) == before
    assert torch.equal(logits(wrapped), wanted)
    wrapped.merge_adapter(safe_merge=safe)
    assert torch.equal(logits(wrapped), merged)
    assert 0 < relative_error(merged, wanted) < 0.1 * relative_error(plain, wanted)
    wrapped.unmerge_adapter()
    assert hash_of(wrapped) == before
    unloaded = wrapped.merge_and_unload(safe_merge=safe)
    assert torch.equal(logits(unloaded), merged)
    assert sum(isinstance(m, HelixLinear) for m in unloaded.modules()) == LINEARS
    assert not any("lora" in name for name in unloaded.state_dict())


def test_two_adapters_merge_and_unmerge_in_order(model) -> None:
    wrapped = with_lora(model)
    wrapped.add_adapter("other", peft.LoraConfig(r=2, target_modules=["q_proj", "v_proj"]))
    stir(wrapped, size=0.1)
    before = hash_of(wrapped)
    wrapped.merge_adapter(["default", "other"])
    assert hash_of(wrapped) != before
    wrapped.unmerge_adapter()
    assert hash_of(wrapped) == before


def test_dora_trains(model) -> None:
    before, wrapped = hash_of(model), with_lora(model, use_dora=True, r=8)
    wanted = [parameter for parameter in wrapped.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW(wanted, lr=1e-2)
    first = float(loss_of(wrapped).detach())
    for _ in range(10):
        loss = loss_of(wrapped)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert float(loss.detach()) < 0.8 * first
    assert hash_of(wrapped) == before


@pytest.mark.parametrize("start", ["pissa", "pissa_niter_4", "olora"])
def test_starts_that_move_the_base_encode_it_anew(model, start: str) -> None:
    before, plain = hash_of(model), logits(model)
    wrapped = with_lora(model, init_lora_weights=start)
    assert hash_of(wrapped) != before
    assert 0 < relative_error(logits(wrapped), plain) < 0.05  # the loss of encoding the residual
    held, moved = hash_of(wrapped), logits(wrapped)
    loss_of(wrapped).backward()
    stir(wrapped)
    assert relative_error(logits(wrapped), moved) > 1e-3
    assert hash_of(wrapped) == held


@pytest.mark.parametrize("start", ["gaussian", "orthogonal", True])
def test_starts_that_leave_the_base_alone(model, start) -> None:
    before, plain = hash_of(model), logits(model)
    wrapped = with_lora(model, init_lora_weights=start)
    assert hash_of(wrapped) == before
    assert relative_error(logits(wrapped), plain) <= 1e-5


OTHER_TUNERS = {
    "adalora": lambda: peft.AdaLoraConfig(
        init_r=4, target_r=2, total_step=10, target_modules=["q_proj", "down_proj"]
    ),
    "ia3": lambda: peft.IA3Config(
        target_modules=["k_proj", "down_proj"], feedforward_modules=["down_proj"]
    ),
    "loha": lambda: peft.LoHaConfig(r=4, target_modules=["q_proj", "down_proj"]),
    "oft": lambda: peft.OFTConfig(oft_block_size=8, target_modules=["q_proj", "down_proj"]),
    "vera": lambda: peft.VeraConfig(r=4, target_modules=["q_proj"]),
}


@pytest.mark.parametrize("tuner", OTHER_TUNERS)
def test_other_tuners_run(model, tuner: str) -> None:
    twin = dequantize(copy.deepcopy(model))
    before = hash_of(model)
    torch.manual_seed(0)
    wrapped = peft.get_peft_model(model, OTHER_TUNERS[tuner]())
    torch.manual_seed(0)
    other = peft.get_peft_model(twin, OTHER_TUNERS[tuner]())
    loss, wanted = loss_of(wrapped.train()), loss_of(other.train())
    assert float(loss.detach()) == pytest.approx(float(wanted.detach()), rel=1e-5)
    loss.backward()
    assert any(p.grad is not None and p.grad.norm() > 0 for p in wrapped.parameters())
    assert hash_of(wrapped) == before


def test_mixed_dtypes(model) -> None:
    """Exact tensors cast to F32 around a model of another dtype, as PEFT prepares for training."""
    model = model.to(torch.bfloat16)
    for name, parameter in model.named_parameters():
        if "norm" in name or "embed" in name:
            parameter.data = parameter.data.float()
    wrapped = with_lora(model)
    assert all(p.dtype == torch.float32 for n, p in wrapped.named_parameters() if "lora" in n)
    assert loss_of(wrapped).isfinite()
    with torch.autocast("cpu", torch.bfloat16):
        loss_of(wrapped).backward()
    assert all(p.grad.isfinite().all() for p in wrapped.parameters() if p.requires_grad)


def test_compiles_with_adapters(model) -> None:
    wrapped = with_lora(model)
    stir(wrapped)
    torch._dynamo.reset()
    layer = wrapped.base_model.model.model.layers[0].mlp
    compiled = torch.compile(layer, fullgraph=True, backend="aot_eager")
    x = torch.randn(2, 5, 64)
    assert torch.allclose(compiled(x), layer(x), atol=1e-5)


def test_a_conv1d_model() -> None:
    config = transformers.GPT2Config(n_embd=48, n_head=2, n_layer=2, vocab_size=300, n_positions=32)
    model = transformers.GPT2LMHeadModel(config).eval()
    assert len(compress_modules(model, conv1d=True).modules) == 8
    twin = dequantize(copy.deepcopy(model))
    assert not any(isinstance(m, HelixConv1D) for m in twin.modules())
    assert relative_error(logits(model), logits(twin)) <= 1e-5
    wrapped = with_lora(model, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)
    other = with_lora(twin, target_modules=["c_attn", "c_proj", "c_fc"], fan_in_fan_out=True)
    stir(wrapped)
    stir(other)
    loss_of(wrapped).backward()
    loss_of(other).backward()
    theirs = dict(other.named_parameters())
    for name, parameter in wrapped.named_parameters():
        if parameter.requires_grad:
            assert relative_error(parameter.grad, theirs[name].grad) <= 1e-5, name
    before, wanted = hash_of(wrapped), logits(wrapped)
    wrapped.merge_adapter()
    assert 0 < relative_error(logits(wrapped), wanted) < 0.02
    wrapped.unmerge_adapter()
    assert hash_of(wrapped) == before


def test_mamba() -> None:
    """PEFT refuses out_proj; dt_proj is read as a weight, so an adapter on it learns nothing."""
    config = transformers.MambaConfig(
        hidden_size=32, num_hidden_layers=2, vocab_size=300, state_size=8, time_step_rank=32
    )
    model = transformers.MambaForCausalLM(config).eval()
    compress_modules(model, minimum_weights=256)
    assert sum(isinstance(m, HelixLinear) for m in model.modules()) == 8
    twin = dequantize(copy.deepcopy(model))
    assert relative_error(logits(model), logits(twin)) <= 1e-5
    with pytest.raises(ValueError, match="out_proj"):
        with_lora(copy.deepcopy(model))
    names = ["in_proj", "x_proj", "dt_proj"]
    wrapped, other = with_lora(model, target_modules=names), with_lora(twin, target_modules=names)
    stir(wrapped)
    stir(other)
    loss_of(wrapped).backward()
    loss_of(other).backward()
    theirs = dict(other.named_parameters())
    for name, parameter in wrapped.named_parameters():
        if parameter.requires_grad and "dt_proj" in name:
            assert parameter.grad is None and theirs[name].grad is None
        elif parameter.requires_grad:
            assert relative_error(parameter.grad, theirs[name].grad) <= 1e-5, name


def test_experts_in_a_list() -> None:
    class Experts(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.experts = nn.ModuleList(
                nn.ModuleDict({"w1": nn.Linear(32, 64), "w2": nn.Linear(64, 32)}) for _ in range(3)
            )

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return sum(e["w2"](torch.relu(e["w1"](x))) for e in self.experts)

    model = nn.ModuleDict({"block": Experts()})
    compress_modules(model)
    wrapped = peft.get_peft_model(model, peft.LoraConfig(r=2, target_modules=["w1", "w2"]))
    assert sum(isinstance(m, peft.tuners.lora.Linear) for m in wrapped.modules()) == 6
    stir(wrapped)
    wrapped.base_model.model["block"](torch.randn(2, 32)).sum().backward()
    assert all(p.grad is not None for p in wrapped.parameters() if p.requires_grad)


def test_adapters_on_a_compressed_embedding() -> None:
    config = transformers.LlamaConfig(
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=1,
        num_attention_heads=2,
        vocab_size=300,
        tie_word_embeddings=False,
    )
    model = transformers.LlamaForCausalLM(config).eval()
    compress_modules(model, embeddings=True)
    twin = dequantize(copy.deepcopy(model))
    assert isinstance(model.model.embed_tokens, HelixEmbedding)
    names = ["embed_tokens", "q_proj"]
    wrapped, other = with_lora(model, target_modules=names), with_lora(twin, target_modules=names)
    stir(wrapped, name="lora_")
    stir(other, name="lora_")
    loss_of(wrapped).backward()
    loss_of(other).backward()
    theirs = dict(other.named_parameters())
    for name, parameter in wrapped.named_parameters():
        if parameter.requires_grad:
            assert relative_error(parameter.grad, theirs[name].grad) <= 1e-5, name
    before, wanted = hash_of(wrapped), logits(wrapped)
    wrapped.merge_adapter()
    assert 0 < relative_error(logits(wrapped), wanted) < 0.02
    wrapped.unmerge_adapter()
    assert hash_of(wrapped) == before
