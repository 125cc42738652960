"""Small random models of every architecture that the tests run, made on the fly."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from transformers import (
    BertConfig,
    BertForMaskedLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    Mamba2Config,
    Mamba2ForCausalLM,
    MambaConfig,
    MambaForCausalLM,
    MistralConfig,
    MistralForCausalLM,
    MixtralConfig,
    MixtralForCausalLM,
    OlmoeConfig,
    OlmoeForCausalLM,
    Qwen2Config,
    Qwen2ForCausalLM,
    Qwen2MoeConfig,
    Qwen2MoeForCausalLM,
    Qwen3MoeConfig,
    Qwen3MoeForCausalLM,
    T5Config,
    T5ForConditionalGeneration,
    ViTConfig,
    ViTForImageClassification,
    Zamba2Config,
    Zamba2ForCausalLM,
)

MAJOR = int(transformers.__version__.partition(".")[0])
IDS = torch.arange(3, 15).view(1, 12)
DECODER = {
    **{"vocab_size": 128, "hidden_size": 64, "intermediate_size": 96, "num_hidden_layers": 2},
    **{"num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 64},
    **{"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0},
}
ROUTED = {**DECODER, "num_experts": 4, "num_experts_per_tok": 2}
STATES = {"vocab_size": 128, "hidden_size": 64, "state_size": 8, "num_hidden_layers": 2}
STATES |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
STATES2 = {**STATES, "num_heads": 8, "head_dim": 16, "n_groups": 1, "expand": 2, "chunk_size": 8}
SHARED = {
    **{"layers_block_type": ["mamba", "hybrid", "mamba", "hybrid"], "num_mem_blocks": 1},
    **{"mamba_d_state": 8, "mamba_expand": 2, "mamba_headdim": 16, "n_mamba_heads": 8},
    **{"mamba_ngroups": 1, "adapter_rank": 8, "chunk_size": 8, "use_mem_rope": True},
    **{"attention_head_dim": 32, "use_shared_attention_adapter": True},
}
ZAMBA2 = {**DECODER, **SHARED, "num_hidden_layers": 4, "num_key_value_heads": 4}
BERT = {"vocab_size": 128, "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4}
BERT |= {"intermediate_size": 96, "max_position_embeddings": 64}
GPT2 = {"vocab_size": 128, "n_embd": 64, "n_layer": 2, "n_head": 4, "n_positions": 64}
GPT2 |= {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
VIT = {"hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4, "patch_size": 4}
VIT |= {"intermediate_size": 96, "image_size": 16}
T5 = {"vocab_size": 128, "d_model": 64, "d_kv": 16, "d_ff": 96, "num_layers": 2, "num_heads": 4}
QWEN_MOE = {**ROUTED, "moe_intermediate_size": 48}

# name: (class, its config, how many modules are compressed by default)
MODELS = {
    "llama": (LlamaForCausalLM, LlamaConfig(**DECODER), 14),
    "llama-biased": (LlamaForCausalLM, LlamaConfig(**DECODER, attention_bias=True), 14),
    "qwen2": (Qwen2ForCausalLM, Qwen2Config(**DECODER, tie_word_embeddings=True), 14),
    "mistral": (MistralForCausalLM, MistralConfig(**DECODER), 14),
    "gpt2": (GPT2LMHeadModel, GPT2Config(**GPT2), 8),
    "bert": (BertForMaskedLM, BertConfig(**BERT), 13),
    "mamba": (MambaForCausalLM, MambaConfig(**STATES), 8),
    "mamba2": (Mamba2ForCausalLM, Mamba2Config(**STATES2), 4),
    "zamba2": (Zamba2ForCausalLM, Zamba2Config(**ZAMBA2), 32),
    "mixtral": (MixtralForCausalLM, MixtralConfig(**DECODER, num_local_experts=4), 32),
    "olmoe": (OlmoeForCausalLM, OlmoeConfig(**ROUTED), 32),
    "qwen2-moe": (
        Qwen2MoeForCausalLM,
        Qwen2MoeConfig(**QWEN_MOE, shared_expert_intermediate_size=64),
        38,
    ),
    "qwen3-moe": (Qwen3MoeForCausalLM, Qwen3MoeConfig(**QWEN_MOE, head_dim=16), 32),
    "vit": (ViTForImageClassification, ViTConfig(**VIT), 12),
    "t5": (T5ForConditionalGeneration, T5Config(**T5, decoder_start_token_id=0), 32),
}
if MAJOR < 5:
    del MODELS["zamba2"]  # that version cannot save the dense model
GENERATING = [name for name, (cls, _, _) in MODELS.items() if "CausalLM" in cls.__name__]
GENERATING.append("gpt2")


# Small matrices have no outliers of their own.
OPTIONS = {"outliers": 5}


def make(name: str, seed: int = 0) -> torch.nn.Module:
    """The dense model, with larger weights than usual and some outliers, so that errors show."""
    cls, config, _ = MODELS[name]
    torch.manual_seed(seed)
    model = cls(config).eval()
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim == 2:
                parameter.mul_(3)
                parameter.view(-1)[::1999] *= 6
    return model


def inputs_of(name: str) -> dict[str, torch.Tensor]:
    if name == "vit":
        return {"pixel_values": torch.linspace(-1, 1, 3 * 16 * 16).view(1, 3, 16, 16)}
    if name == "t5":
        return {"input_ids": IDS, "decoder_input_ids": IDS}
    return {"input_ids": IDS}


@torch.no_grad()
def logits_of(model: torch.nn.Module, name: str) -> torch.Tensor:
    return model(**inputs_of(name))[0]


def save_dense(name: str, folder: Path, dtype: torch.dtype | None = None, **options) -> Path:
    make(name).to(dtype or torch.float32).save_pretrained(folder, **options)
    return folder


def same_tensors(a: dict[str, torch.Tensor], b: dict[str, torch.Tensor]) -> bool:
    """Whether two state dicts have the same keys, dtypes and bits."""
    if a.keys() != b.keys() or any(a[key].dtype != b[key].dtype for key in a):
        return False
    return all(torch.equal(bits(a[key]), bits(b[key])) for key in a)


def bits(tensor: torch.Tensor) -> torch.Tensor:
    return tensor.detach().contiguous().flatten().view(torch.uint8)
