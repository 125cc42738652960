"""A loaded model does what a dense one does: copies, devices, compilation, training, threads."""

import copy
import io
import pickle
from concurrent.futures import ThreadPoolExecutor

import pytest
import torch
from small_models import IDS, MAJOR, logits_of, same_tensors

from helix_substrate import HxqConfig
from helix_substrate.torch import CompressedModule, HelixLinear
from helix_substrate.transformers.shells import shells_of

NAMES = ["llama", "qwen2", "gpt2"]


@pytest.fixture
def model(compressed, load):
    return load("llama", compressed("llama"))


@pytest.mark.parametrize("name", NAMES)
def test_copies(name, compressed, load):
    model = load(name, compressed(name))
    want = logits_of(model, name)
    twin = copy.deepcopy(model)
    assert torch.equal(logits_of(twin, name), want)
    thawed = pickle.loads(pickle.dumps(model))
    assert torch.equal(logits_of(thawed, name), want)
    buffer = io.BytesIO()
    torch.save(model, buffer)
    buffer.seek(0)
    assert torch.equal(logits_of(torch.load(buffer, weights_only=False), name), want)


def test_a_copy_of_a_tied_model_is_tied_to_its_own_embedding(dense, load):
    model = load("qwen2", dense("qwen2"), quantization_config=HxqConfig(embeddings=True))
    for twin in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert twin.lm_head._tied[0] is twin.model.embed_tokens
        assert twin.lm_head._tied[0] is not model.model.embed_tokens
        assert torch.equal(logits_of(twin, "qwen2"), logits_of(model, "qwen2"))


def test_state_dict_goes_round(model, compressed, load):
    other = load("llama", compressed("llama"))
    with torch.no_grad():
        for module in shells_of(other).values():
            module.codebook.zero_()
    assert not same_tensors(other.state_dict(), model.state_dict())
    other.load_state_dict(model.state_dict())
    assert same_tensors(other.state_dict(), model.state_dict())
    assert torch.equal(logits_of(other, "llama"), logits_of(model, "llama"))


@pytest.mark.parametrize("place", ["cpu", "auto", {"": "cpu"}])
@pytest.mark.parametrize("name", NAMES)
def test_device_maps(name, place, compressed, load):
    pytest.importorskip("accelerate")
    if place == "auto" and torch.cuda.is_available():
        pytest.skip("auto means the GPU here")
    mapped = load(name, compressed(name), device_map=place)
    assert torch.equal(logits_of(mapped, name), logits_of(load(name, compressed(name)), name))


@pytest.mark.parametrize("buffers", [False, True])
def test_layers_offloaded_to_disk(buffers, compressed, load, tmp_path):
    pytest.importorskip("accelerate")
    if MAJOR < 5 and not buffers:
        pytest.skip("that version drops buffers that are not offloaded")
    places = {"model.embed_tokens": "cpu", "model.norm": "cpu", "lm_head": "cpu"}
    places |= {"model.rotary_emb": "cpu", "model.layers.0": "cpu", "model.layers.1": "disk"}
    options = {"device_map": places, "offload_folder": tmp_path, "offload_buffers": buffers}
    offloaded = load("llama", compressed("llama"), **options)
    shell = offloaded.model.layers[1].mlp.up_proj
    assert (shell.codebook.device.type == "meta") == buffers
    want = logits_of(load("llama", compressed("llama")), "llama")
    for _ in range(2):
        assert torch.equal(logits_of(offloaded, "llama"), want)


def test_dispatched_afterwards(model):
    accelerate = pytest.importorskip("accelerate")
    want = logits_of(model, "llama")
    accelerate.cpu_offload(model, offload_buffers=True)
    assert model.model.layers[0].mlp.up_proj.codebook.device.type == "meta"
    assert torch.equal(logits_of(model, "llama"), want)


def test_pipelines(model):
    from transformers import pipeline

    run = pipeline("text-generation", model=model, tokenizer=letters())
    made = run("abc", max_new_tokens=4, do_sample=False)[0]["generated_text"]
    ids = model.generate(**letters()("abc", return_tensors="pt"), max_new_tokens=4, do_sample=False)
    assert made == letters().decode(ids[0], skip_special_tokens=True)


def letters():
    """A tokenizer of single letters, which needs no file."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    vocabulary = {f"<{i}>": i for i in range(3)} | {chr(i + 30): i for i in range(3, 97)}
    vocabulary |= {f"<{i}>": i for i in range(97, 128)}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="<0>"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    inputs = {"model_input_names": ["input_ids", "attention_mask"]}
    return PreTrainedTokenizerFast(tokenizer_object=tokenizer, pad_token="<0>", **inputs)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", NAMES)
def test_compiled_in_one_graph(name, dtype, compressed, load):
    model = load(name, compressed(name), dtype=dtype)
    want = logits_of(model, name)
    torch.compiler.reset()
    step = torch.compile(model, fullgraph=True, backend="aot_eager")
    with torch.no_grad():
        got = step(input_ids=IDS, use_cache=False).logits
    assert (got.float() - want.float()).norm() <= 1e-2 * want.float().norm()


def test_it_may_be_compiled_and_trained(model):
    assert model.hf_quantizer.is_compileable
    assert model.hf_quantizer.is_trainable
    assert model.is_quantized


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing_changes_no_gradient(reentrant, model):
    def gradient(checkpointing):
        if checkpointing:
            options = {"use_reentrant": reentrant}
            model.gradient_checkpointing_enable(gradient_checkpointing_kwargs=options)
        else:
            model.gradient_checkpointing_disable()
        model.train()
        x = model.get_input_embeddings()(IDS).detach().requires_grad_()
        model(inputs_embeds=x, use_cache=False).logits.square().mean().backward()
        return x.grad

    plain = gradient(False)
    twin = copy.deepcopy(model).dequantize()
    assert torch.equal(gradient(True), plain)
    x = model.get_input_embeddings()(IDS).detach().requires_grad_()
    twin(inputs_embeds=x, use_cache=False).logits.square().mean().backward()
    assert (x.grad - plain).norm() <= 1e-4 * plain.norm()


def test_two_threads_and_two_models_give_the_results_of_one(compressed, load):
    models = {name: load(name, compressed(name)) for name in NAMES}
    inputs = [torch.randint(3, 120, (1, 9), generator=torch.manual_seed(i)) for i in range(8)]
    work = [(name, ids) for ids in inputs for name in NAMES]

    def run(job):
        with torch.no_grad():
            return models[job[0]](input_ids=job[1]).logits

    want = [run(job) for job in work]
    with ThreadPoolExecutor(4) as threads:
        for _ in range(3):
            got = list(threads.map(run, work))
            assert all(torch.equal(a, b) for a, b in zip(got, want, strict=True))


def test_dtype_changes_leave_the_codes_alone(model):
    before = {path: copy.deepcopy(dict(s.named_buffers())) for path, s in shells_of(model).items()}
    model.to(torch.bfloat16)
    for path, shell in shells_of(model).items():
        assert shell.module_dtype == torch.bfloat16
        assert same_tensors(dict(shell.named_buffers()), before[path])


def test_reading_attributes_of_weights_decodes_nothing(model, monkeypatch):
    def fail(self):
        raise AssertionError("decoded")

    monkeypatch.setattr(CompressedModule, "dequantize", fail)
    for shell in shells_of(model).values():
        assert shell.weight.dtype == torch.float32
        assert shell.weight.shape == (shell.out_features, shell.in_features)
    model.num_parameters()
    assert model.dtype == torch.float32


def test_loading_decodes_nothing(compressed, load, monkeypatch):
    def fail(self):
        raise AssertionError("decoded")

    monkeypatch.setattr(CompressedModule, "dequantize", fail)
    for name in ("llama", "gpt2", "mamba", "mamba2", "t5"):
        load(name, compressed(name))


def test_the_body_alone_of_a_model_with_a_head(compressed):
    from transformers import AutoModel

    body = AutoModel.from_pretrained(compressed("llama"))
    assert sum(isinstance(module, HelixLinear) for module in body.modules()) == 14


def test_a_new_head_on_a_compressed_body(compressed):
    from transformers import AutoModelForSequenceClassification

    model, info = AutoModelForSequenceClassification.from_pretrained(
        compressed("llama"), num_labels=3, output_loading_info=True
    )
    assert set(info["missing_keys"]) == {"score.weight"}
    assert len(shells_of(model)) == 14
    assert model(IDS).logits.shape == (1, 3)


def test_generation_with_a_static_cache(model):
    def made(**options):
        return model.generate(IDS, max_new_tokens=8, do_sample=False, **options).tolist()

    assert made(cache_implementation="static") == made()


def test_a_compressed_embedding_keeps_its_size(dense, load):
    config = HxqConfig(embeddings=True)
    model = load("llama", dense("llama"), quantization_config=config)
    with pytest.raises(ValueError, match=r"weight of \[128, 64\]"):
        model.resize_token_embeddings(140)


def test_the_dense_embedding_of_a_compressed_model_may_grow(model):
    model.resize_token_embeddings(140, mean_resizing=False)
    assert model(IDS).logits.shape[-1] == 140
