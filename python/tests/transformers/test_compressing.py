"""Options of HxqConfig, and what may go wrong while a dense model is compressed."""

import pytest
import torch
from safetensors.torch import load_file, save_file
from small_models import IDS, MAJOR, MODELS, logits_of, make, same_tensors, save_dense

import helix_substrate
from helix_substrate import HxqConfig, InvalidArgumentError, UnsupportedError
from helix_substrate.torch import CompressedModule, HelixConv1D, HelixEmbedding, HelixLinear
from helix_substrate.transformers import compat
from helix_substrate.transformers.shells import shells_of


@pytest.fixture
def compress(dense, load):
    def get(name="llama", folder=None, **options):
        return load(name, folder or dense(name), quantization_config=HxqConfig(**options))

    return get


def test_codebook_size(compress):
    sizes = {len(shell.codes.codebook) for shell in shells_of(compress(codebook_size=32)).values()}
    assert sizes == {32}


def test_more_than_256_entries_are_packed(compress, tmp_path, load, verify, quantization):
    model = compress(codebook_size=300, outliers="none")
    model.save_pretrained(tmp_path)
    fields = quantization(tmp_path)
    assert fields["index_packing"] == "12bit"
    assert fields["module_shapes"]["model.layers.0.mlp.up_proj"] == [96, 64]
    assert same_tensors(load("llama", tmp_path).state_dict(), model.state_dict())
    verify(tmp_path)


def test_module_k_map_by_name_and_glob(compress, tmp_path, quantization):
    sizes = {"*.mlp.*": 64, "model.layers.0.mlp.up_proj": 16}
    model = compress(module_k_map=sizes)
    sizes = {path: len(shell.codes.codebook) for path, shell in shells_of(model).items()}
    assert sizes["model.layers.0.mlp.up_proj"] == 16
    assert sizes["model.layers.1.mlp.up_proj"] == 64
    assert sizes["model.layers.0.self_attn.q_proj"] == 256
    model.save_pretrained(tmp_path)
    written = quantization(tmp_path)["module_k_map"]
    assert written == {path: size for path, size in sizes.items() if size != 256}


@pytest.mark.parametrize(
    ("pattern", "left"),
    [("*.layers.0.*", 7), ("q_proj", 12), ("model.layers.1.mlp", 11), ("model.layers.1", 7)],
)
def test_modules_to_not_convert(compress, pattern, left):
    model = compress(modules_to_not_convert=[pattern])
    assert len(shells_of(model)) == left


def test_outliers_and_column_scales(compress):
    codes = [s.codes for s in shells_of(compress(outliers=9, column_scales="none")).values()]
    assert {part.sidecar_positions.numel() for part in codes} == {9}
    assert all(part.channel_scales is None for part in codes)
    codes = [shell.codes for shell in shells_of(compress(outliers="none")).values()]
    assert all(part.sidecar_positions is None for part in codes)


def test_a_pattern_that_matches_nothing_is_told(compress, caplog):
    from transformers.utils import logging

    logging.set_verbosity_warning()
    logging.enable_propagation()
    with caplog.at_level("WARNING"):
        compress(modules_to_not_convert=["no_such_module"])
    logging.disable_propagation()
    logging.set_verbosity_error()
    assert "no_such_module" in caplog.text


def test_options_that_make_no_sense_are_refused(dense):
    with pytest.raises(InvalidArgumentError, match="codebook size"):
        MODELS["llama"][0].from_pretrained(
            dense("llama"), quantization_config=HxqConfig(codebook_size=1)
        )


def test_embeddings_and_head(compress, tmp_path, load, verify):
    model = compress(embeddings=True, lm_head=True)
    assert isinstance(model.model.embed_tokens, HelixEmbedding)
    assert isinstance(model.lm_head, HelixLinear)
    assert model.lm_head._tied is None
    model.save_pretrained(tmp_path)
    again = load("llama", tmp_path)
    assert same_tensors(model.state_dict(), again.state_dict())
    verify(tmp_path)


def test_conv1d_becomes_a_module_of_its_own(compress):
    model = compress("gpt2")
    assert all(isinstance(shell, HelixConv1D) for shell in shells_of(model).values())


def test_the_requested_dtype_does_not_change_the_codes(dense, load, compress):
    halved = load("llama", dense("llama"), dtype=torch.bfloat16, quantization_config=HxqConfig())
    full = compress("llama")
    assert halved.dtype == torch.bfloat16
    assert halved.model.norm.weight.dtype == torch.bfloat16
    for path, shell in shells_of(full).items():
        other = halved.get_submodule(path)
        assert other.module_dtype == torch.bfloat16
        assert same_tensors(shell.state_dict(), other.state_dict()), path


def test_a_sixteen_bit_source(tmp_path, load):
    save_dense("llama", tmp_path / "dense", torch.bfloat16)
    helix_substrate.compress(tmp_path / "dense", tmp_path / "offline", progress=False)
    loaded = load("llama", tmp_path / "dense", quantization_config=HxqConfig())
    assert same_tensors(loaded.state_dict(), load("llama", tmp_path / "offline").state_dict())


def test_device_maps(dense, load, compress):
    pytest.importorskip("accelerate")
    options = {"device_map": "auto", "quantization_config": HxqConfig()}
    mapped = load("llama", dense("llama"), **options)
    if not torch.cuda.is_available():
        assert same_tensors(mapped.state_dict(), compress("llama").state_dict())


def test_a_config_for_a_compressed_checkpoint_is_ignored(compressed, load):
    with pytest.warns(UserWarning, match="already has a `quantization_config`"):
        model = load("llama", compressed("llama"), quantization_config=HxqConfig(codebook_size=16))
    assert same_tensors(model.state_dict(), load("llama", compressed("llama")).state_dict())


def test_shards_are_read(tmp_path, compress):
    save_dense("llama", tmp_path, max_shard_size="50KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 2
    assert same_tensors(compress("llama", tmp_path).state_dict(), compress("llama").state_dict())


def test_a_weight_that_is_not_finite_stays_exact(tmp_path, compress):
    save_dense("llama", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    key = "model.layers.0.mlp.up_proj.weight"
    tensors[key][3, 4] = float("inf")
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    model = compress("llama", tmp_path)
    assert len(shells_of(model)) == 13
    assert torch.equal(model.get_parameter(key), tensors[key])


def test_nothing_is_compressed_that_gains_nothing(compress):
    # 16 columns of 128 rows: codebook, scales and indices are more than the F32 matrix would be
    model = compress("llama", codebook_size=4096, outliers=2000)
    assert not shells_of(model)


def test_a_tied_head_uses_the_codes_of_the_embedding(compress, tmp_path, load, verify):
    model = compress("qwen2", embeddings=True)
    head, table = model.lm_head, model.model.embed_tokens
    assert isinstance(head, CompressedModule)
    assert head._tied[0] is table
    assert not any(key.startswith("lm_head") for key in model.state_dict())
    model.save_pretrained(tmp_path)
    again = load("qwen2", tmp_path)
    assert again.lm_head._tied[0] is again.model.embed_tokens
    assert torch.equal(logits_of(model, "qwen2"), logits_of(again, "qwen2"))
    model.tie_weights()  # what a Trainer does: nothing is left to tie
    assert torch.equal(logits_of(model, "qwen2"), logits_of(again, "qwen2"))
    verify(tmp_path)
    dense = again.dequantize()
    assert dense.lm_head.weight is dense.model.embed_tokens.weight
    dense.tie_weights()
    assert (logits_of(dense, "qwen2") - logits_of(model, "qwen2")).abs().max() <= 1e-4


def test_a_head_stored_beside_its_embedding(tmp_path, compress):
    save_dense("qwen2", tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    tensors["lm_head.weight"] = tensors["model.embed_tokens.weight"].clone()
    save_file(tensors, tmp_path / "model.safetensors", {"format": "pt"})
    model = compress("qwen2", tmp_path, lm_head=True)
    assert not isinstance(model.lm_head, CompressedModule)
    assert torch.equal(model.lm_head.weight, model.model.embed_tokens.weight)


@pytest.mark.skipif(MAJOR < 5, reason="before 5.0 experts are modules anyway")
class TestExperts:
    def test_they_run_from_codes_under_the_names_of_the_file(self, compressed, load, quantization):
        names = quantization(compressed("mixtral"))["compressed_modules"]
        assert "model.layers.0.block_sparse_moe.experts.3.w2" in names
        model = load("mixtral", compressed("mixtral"))
        experts = model.model.layers[0].mlp.experts
        assert isinstance(experts.get_submodule("3.w2"), HelixLinear)
        stored = load_file(compressed("mixtral") / "model.safetensors")
        assert "model.layers.0.block_sparse_moe.experts.3.w2.indices" in stored
        assert not any("gate_up_proj" in key for key in stored)

    def test_they_go_back_to_fused_tensors(self, compressed, load, tmp_path):
        model = load("mixtral", compressed("mixtral")).dequantize()
        assert model.model.layers[0].mlp.experts.gate_up_proj.shape == (4, 192, 64)
        model.save_pretrained(tmp_path)
        key = "model.layers.0.block_sparse_moe.experts.3.w2.weight"
        assert load_file(tmp_path / "model.safetensors")[key].shape == (64, 96)
        again = load("mixtral", tmp_path)
        assert torch.equal(logits_of(model, "mixtral"), logits_of(again, "mixtral"))

    def test_some_may_stay_exact(self, compress, tmp_path, load, verify):
        model = compress("mixtral", modules_to_not_convert=["*.experts.1.*"])
        assert len(shells_of(model)) == MODELS["mixtral"][2] - 6
        model.save_pretrained(tmp_path)
        verify(tmp_path)
        if not compat.CAN_KEEP_EXPERTS_APART:
            with pytest.raises(UnsupportedError, match="only 9 of 12"):
                MODELS["mixtral"][0].from_pretrained(tmp_path)
            return
        again = load("mixtral", tmp_path)
        assert torch.equal(logits_of(model, "mixtral"), logits_of(again, "mixtral"))

    def test_gradients_pass_through_them(self, compressed, load):
        model = load("olmoe", compressed("olmoe"))
        x = model.get_input_embeddings()(IDS).detach().requires_grad_()
        model(inputs_embeds=x).logits.square().sum().backward()
        twin = load("olmoe", compressed("olmoe")).dequantize()
        y = x.detach().requires_grad_()
        twin(inputs_embeds=y).logits.square().sum().backward()
        assert (x.grad - y.grad).norm() <= 1e-4 * y.grad.norm()


def test_the_model_itself_is_left_alone(dense, compress):
    before = make("llama").state_dict()
    compress("llama")
    assert same_tensors(load_file(dense("llama") / "model.safetensors"), before)
