"""The options of compress, each seen in what is written."""

import json
import math
import re

import numpy as np
import pytest

from helix_program import (
    ARGUMENT,
    FIXTURES,
    MODELS,
    dense_arrays,
    files_below,
    random_matrix,
    read_json,
    receipt_of,
    sha256,
    write_model,
)
from helix_substrate.reference_decoder import read_checkpoint
from helix_substrate.reference_safetensors import read_safetensors, read_tensors

SHARED_FILES = {
    "tokenizer.json": "{}",
    "tokenizer_config.json": "{}",
    "special_tokens_map.json": "{}",
    "added_tokens.json": "{}",
    "vocab.txt": "[PAD]",
    "merges.txt": "#version",
    "tokenizer.model": "\0sentencepiece",
    "generation_config.json": '{"eos_token_id": 2}',
    "chat_template.jinja": "{{ messages }}",
    "preprocessor_config.json": "{}",
    "LICENSE": "licence",
    "README.md": "card",
    "modules.json": "[]",
    "1_Pooling/config.json": '{"pooling_mode_mean_tokens": true}',
    "2_Dense/config.json": '{"in_features": 4}',
    "2_Dense/model.safetensors": "a module of its own",
    "additional_chat_templates/tool.jinja": "{{ tools }}",
}
OTHER_WEIGHTS = [
    "pytorch_model.bin",
    "pytorch_model.bin.index.json",
    "tf_model.h5",
    "flax_model.msgpack",
    "rust_model.ot",
    "consolidated.00.pth",
    "consolidated.safetensors",
    "model-q4.gguf",
    "model.ckpt",
    "onnx/model.onnx",
    "onnx/model.onnx_data",
    "openvino/openvino_model.bin",
]


class TestCodebookSizes:
    def test_packing_follows_from_the_size_asked_for(self, helix, tmp_path):
        shapes = {"small": (64, 65), "even": (64, 66), "odd": (63, 65), "few": (64, 64)}
        arrays = {f"{name}.weight": random_matrix(*shape) for name, shape in shapes.items()}
        arrays["few.weight"] = np.sign(arrays["few.weight"])
        model, out = write_model(tmp_path / "model", arrays), tmp_path / "out"
        options = ["--k", "*=700", "--k", "small=16", "--k", "f*=300", "--outliers", "none"]
        helix.succeed("compress", model, out, *options, "--column-scales", "none")
        stored = read_tensors(out)

        def facts(name):
            indices = stored[f"{name}.indices"]
            return indices.dtype, indices.data.shape, stored[f"{name}.codebook"].data.size

        assert facts("small") == ("U8", (64, 65), 16)
        assert facts("even") == ("U8", (64 * 66 * 3 // 2,), 700)
        assert facts("odd") == ("U16", (63, 65), 700)
        assert facts("few") == ("U8", (64 * 64 * 3 // 2,), 2)
        config = read_json(out / "config.json")["quantization_config"]
        sizes = {"small": 16, "even": 700, "odd": 700, "few": 300}
        assert config["module_k_map"] == sizes
        assert config["index_packing"] == "12bit"
        assert config["module_shapes"] == {"even": [64, 66], "few": [64, 64]}
        decoded = read_checkpoint(out)
        for name in sizes:
            error = decoded[f"{name}.weight"] - arrays[f"{name}.weight"]
            bound = {"small": 0.02, "few": 0}.get(name, 1e-4)
            assert np.mean(error**2) <= bound
        helix.succeed("verify", out, "--against", model)

    def test_the_last_pattern_that_matches_counts(self, helix):
        options = ["--k", "32", "--k", "*q_proj=64", "--k", "model.layers.1.*=128"]
        plan = helix.plan(FIXTURES / "tiny-llama", *options)
        layers = "model.layers"
        assert plan[f"{layers}.0.self_attn.k_proj.weight"]["k"] == 32
        assert plan[f"{layers}.0.self_attn.q_proj.weight"]["k"] == 64
        assert plan[f"{layers}.1.self_attn.q_proj.weight"]["k"] == 128

    @pytest.mark.parametrize(
        "value",
        ["1", "0", "4097", "-2", "x", "", "16.5", "16x", "*=", "*=1", "*=4097", "99999999999999"],
    )
    def test_sizes_out_of_range(self, helix, tmp_path, value):
        arguments = ["compress", FIXTURES / "tiny-llama", tmp_path / "out", f"--k={value}"]
        assert helix(*arguments).returncode == ARGUMENT
        assert list(tmp_path.iterdir()) == []

    def test_smallest_and_largest(self, helix, tmp_path):
        model = write_model(tmp_path / "model", {"up.weight": random_matrix(160, 160)})
        for k in (2, 4096):
            out = tmp_path / f"k{k}"
            helix.succeed("compress", model, out, "--k", k, "--column-scales", "none")
            assert read_tensors(out)["up.codebook"].data.size == k


class TestOutliers:
    def compress(self, helix, tmp_path, *options):
        source, out = FIXTURES / "tiny-llama", tmp_path / "out"
        helix.succeed("compress", source, out, "--force", *options)
        rows = [row for row in receipt_of(out)["tensors"] if row["action"] == "compress"]
        stored = read_tensors(out)
        weights = dense_arrays(source)
        for row in rows:
            module = row["name"].removesuffix(".weight")
            count = 0
            if f"{module}.sidecar_positions" in stored:
                positions = stored[f"{module}.sidecar_positions"].data
                values = stored[f"{module}.sidecar_values"].data
                assert (np.diff(positions) > 0).all()
                count = len(positions)
                if "none" in options:  # without column scales they are the weights themselves
                    flat = weights[row["name"]].reshape(-1)
                    assert np.array_equal(values, flat[positions])
            assert row["outlier_count"] == count
        return rows

    def test_none(self, helix, tmp_path):
        rows = self.compress(helix, tmp_path, "--outliers", "none")
        assert {row["outlier_count"] for row in rows} == {0}
        assert not [key for key in read_tensors(tmp_path / "out") if "sidecar" in key]

    def test_count(self, helix, tmp_path):
        rows = self.compress(helix, tmp_path, "--outliers", "7", "--column-scales", "none")
        assert {row["outlier_count"] for row in rows} == {7}

    def test_share(self, helix, tmp_path):
        rows = self.compress(helix, tmp_path, "--outliers", "0.5%", "--column-scales", "none")
        for row in rows:
            assert abs(row["outlier_count"] - 0.005 * math.prod(row["shape"])) <= 1

    def test_outliers_lower_the_error(self, helix, tmp_path):
        def snr(*options):
            self.compress(helix, tmp_path, *options)
            return receipt_of(tmp_path / "out")["totals"]["snr_db"]

        assert snr("--outliers", "none") + 0.1 < snr("--outliers", "1%")

    @pytest.mark.parametrize(
        "value", ["some", "-1", "1.5", "101%", "-1%", "nan%", "%", "5%%", "5 %x", "1e3"]
    )
    def test_not_a_policy(self, helix, tmp_path, value):
        message = helix.refuse(
            ARGUMENT,
            "expected auto, none, a count or a percentage",
            *("compress", FIXTURES / "tiny-llama", tmp_path / "out", f"--outliers={value}"),
        )
        assert f"--outliers {value}:" in message
        assert list(tmp_path.iterdir()) == []


class TestColumnScales:
    def write(self, folder):
        columns = np.exp(np.linspace(-1, 1, 128)).astype(np.float32)
        return write_model(folder, {"up.weight": random_matrix(512, 128) * columns})

    def test_auto_where_columns_differ(self, helix, tmp_path):
        model, out = self.write(tmp_path / "model"), tmp_path / "out"
        helix.succeed("compress", model, out)
        scales = read_tensors(out)["up.channel_scales"]
        assert (scales.dtype, scales.data.shape) == ("F32", (128,))
        assert (scales.data > 0).all()
        assert receipt_of(out)["options"]["column_scales"] == "auto"
        helix.succeed("verify", out, "--against", model)

    def test_none(self, helix, tmp_path):
        model, out = self.write(tmp_path / "model"), tmp_path / "out"
        helix.succeed("compress", model, out, "--column-scales", "none")
        assert "up.channel_scales" not in read_tensors(out)

    def test_never_for_embeddings(self, helix, tmp_path):
        out = tmp_path / "out"
        helix.succeed("compress", FIXTURES / "tiny-llama", out, "--embeddings")
        stored = read_tensors(out)
        assert "model.embed_tokens.codebook" in stored
        assert "model.embed_tokens.channel_scales" not in stored


class TestShards:
    def test_shards_and_their_index(self, helix, compressed, tmp_path):
        out = tmp_path / "out"
        helix.succeed("compress", FIXTURES / "tiny-llama", out, "--shard-size", "60kB")
        index = read_json(out / "model.safetensors.index.json")
        names = sorted(path.name for path in out.glob("*.safetensors"))
        count = len(names)
        assert count >= 3
        assert names == [f"model-{i + 1:05}-of-{count:05}.safetensors" for i in range(count)]
        shards = {name: read_safetensors(out / name) for name in names}
        held = {key: name for name, shard in shards.items() for key in shard}
        assert index["weight_map"] == held
        sizes = {
            name: sum(tensor.data.nbytes for tensor in shard.values())
            for name, shard in shards.items()
        }
        assert index["metadata"]["total_size"] == sum(sizes.values())
        assert max(sizes.values()) <= 60_000
        module_files = {}
        for key, name in held.items():
            module_files.setdefault(key.rpartition(".")[0], set()).add(name)
        assert all(len(files) == 1 for files in module_files.values())
        whole = read_checkpoint(compressed("tiny-llama"))
        parted = read_checkpoint(out)
        assert all(np.array_equal(whole[key], parted[key]) for key in whole)
        helix.succeed("verify", out, "--against", FIXTURES / "tiny-llama")

    def test_a_tensor_larger_than_a_shard_gets_one_of_its_own(self, helix, tmp_path):
        out = tmp_path / "out"
        helix.succeed("compress", FIXTURES / "llama-tied-copy", out, "--shard-size", "1kB")
        helix.succeed("verify", out, "--against", FIXTURES / "llama-tied-copy")
        shards = [set(read_safetensors(path)) for path in sorted(out.glob("*.safetensors"))]
        assert len(shards) == 11
        assert shards[0] == {"model.embed_tokens.weight"}
        assert all(len({key.rpartition(".")[0] for key in shard}) == 1 for shard in shards)

    def test_sharded_source(self, helix, compressed):
        receipt = receipt_of(compressed("qwen2-sharded-bias"))
        names = [file["name"] for file in receipt["source"]["files"]]
        assert names == [f"model-{i + 1:05}-of-00004.safetensors" for i in range(4)]
        assert (compressed("qwen2-sharded-bias") / "model.safetensors").is_file()
        assert not (compressed("qwen2-sharded-bias") / "model.safetensors.index.json").exists()

    @pytest.mark.parametrize("value", ["0", "-5GB", "5XB", "GB", "nan", "inf"])
    def test_not_a_size(self, helix, tmp_path, value):
        for command in ("compress", "decompress"):
            arguments = [FIXTURES / "tiny-llama", tmp_path / "out", f"--shard-size={value}"]
            helix.refuse(ARGUMENT, "expected a number with a unit", command, *arguments)


class TestCompanionFiles:
    def add(self, model):
        for name, text in SHARED_FILES.items():
            (model / name).parent.mkdir(exist_ok=True)
            (model / name).write_text(text)
        for name in OTHER_WEIGHTS:
            (model / name).parent.mkdir(exist_ok=True)
            (model / name).write_text("weights in another form")
        for name in ("modeling_llama.py", ".gitattributes", ".git/HEAD", ".cache/x.json"):
            (model / name).parent.mkdir(exist_ok=True)
            (model / name).write_text("not copied")

    def test_what_is_copied(self, helix, model, tmp_path):
        self.add(model)
        done = helix("compress", model, tmp_path / "out")
        assert done.returncode == 0
        files = files_below(tmp_path / "out")
        own = {"config.json", "model.safetensors", "hxq_receipt.json"}
        assert files.keys() == own | SHARED_FILES.keys()
        for name in SHARED_FILES:
            assert files[name] == (model / name).read_bytes()
        warning = next(line for line in done.stderr.splitlines() if "not copied" in line)
        assert all(name in warning for name in [*OTHER_WEIGHTS, "modeling_llama.py"])
        listed = {file["name"] for file in receipt_of(tmp_path / "out")["output"]["files"]}
        assert listed == files.keys() - {"hxq_receipt.json"}

    def test_code_only_when_asked(self, helix, model, tmp_path):
        self.add(model)
        helix.succeed("compress", model, tmp_path / "out", "--copy-code")
        assert (tmp_path / "out/modeling_llama.py").read_text() == "not copied"
        helix.succeed("decompress", tmp_path / "out", tmp_path / "dense")
        assert not (tmp_path / "dense/modeling_llama.py").exists()
        helix.succeed("decompress", tmp_path / "out", tmp_path / "code", "--copy-code")
        assert (tmp_path / "code/modeling_llama.py").exists()

    def test_decompress_copies_them_back(self, helix, model, tmp_path):
        self.add(model)
        helix.succeed("compress", model, tmp_path / "out")
        helix.succeed("decompress", tmp_path / "out", tmp_path / "dense")
        files = files_below(tmp_path / "dense")
        assert files.keys() == {"config.json", "model.safetensors"} | SHARED_FILES.keys()
        assert "hxq_receipt.json" not in files


class TestConfig:
    TEXT = (
        '{"zeta": 1, "model_type": "llama", "alpha": [1.5, 1e-05, 100000000000000000000],\n'
        ' "unknown": {"b": null, "a": "\\u00e9 Infinity"}, "limit": Infinity, "low": -Infinity,\n'
        ' "text": "caf\u00e9", "torch_dtype": "float32"}'
    )

    def test_everything_else_is_kept_in_order(self, helix, tmp_path):
        model = write_model(tmp_path / "model", {"up.weight": random_matrix(64, 64)})
        (model / "config.json").write_text(self.TEXT, encoding="utf-8")
        helix.succeed("compress", model, tmp_path / "out")
        before, after = json.loads(self.TEXT), read_json(tmp_path / "out/config.json")
        assert list(after) == [*before, "quantization_config"]
        block = after.pop("quantization_config")
        assert after == before
        assert block["quant_method"] == "hxq"
        assert block["compressed_modules"] == ["up"]
        assert (block["codebook_size"], block["n_clusters"], block["vector_dim"]) == (256, 256, 1)
        helix.succeed("decompress", tmp_path / "out", tmp_path / "dense")
        assert list(read_json(tmp_path / "dense/config.json").items()) == list(before.items())

    def test_files_of_python_are_rewritten_unchanged(self, helix, tmp_path, model):
        """indent=2, as transformers writes them: only the new block differs."""
        config = read_json(model / "config.json")
        (model / "config.json").write_text(json.dumps(config, indent=2) + "\n")
        helix.succeed("compress", model, tmp_path / "out")
        text = (tmp_path / "out/config.json").read_text()
        block = re.search(r',\n  "quantization_config": \{.*?\n  \}', text, re.DOTALL)
        assert text.replace(block.group(), "") == (model / "config.json").read_text()


class TestAlignment:
    """The public library opens the files, and every tensor but the codes lies aligned."""

    @pytest.mark.parametrize("name", MODELS)
    def test_layout(self, compressed, name):
        path = compressed(name) / "model.safetensors"
        content = path.read_bytes()
        header_bytes = int.from_bytes(content[:8], "little")
        header = json.loads(content[8 : 8 + header_bytes])
        assert header.pop("__metadata__") == {"format": "pt"}
        sizes = {"F64": 8, "I64": 8, "F32": 4, "F16": 2, "BF16": 2, "U8": 1, "U16": 2}
        codes_end, order = 0, []
        for key, entry in header.items():
            begin, end = entry["data_offsets"]
            if key.endswith(".indices"):
                assert begin == codes_end
                codes_end = end
            else:
                assert (8 + header_bytes + begin) % sizes[entry["dtype"]] == 0, key
                order.append((begin, -sizes[entry["dtype"]]))
        assert order == sorted(order)
        assert [size for _, size in order] == sorted(size for _, size in order)
        assert min([begin for begin, _ in order]) == codes_end

    @pytest.mark.parametrize("name", ["qwen2-sharded-bias", "bert", "llama-float64"])
    def test_public_library(self, compressed, name):
        numpy_library = pytest.importorskip("safetensors.numpy")
        tensors = numpy_library.load_file(compressed(name) / "model.safetensors")
        ours = read_tensors(compressed(name))
        assert tensors.keys() == ours.keys()
        for key, array in tensors.items():
            assert array.dtype == ours[key].data.dtype
            assert np.array_equal(array, ours[key].data)


def test_receipt_states_the_options(helix, tmp_path):
    options = ["--k", "128", "--k", "*up_proj=512", "--outliers", "0.25%", "--exclude", "*.1.*"]
    helix.succeed(
        *("compress", FIXTURES / "tiny-llama", tmp_path / "out"),
        *options,
        *("--include", "*embed*", "--column-scales", "none", "--shard-size", "1GiB", "--strict"),
    )
    assert receipt_of(tmp_path / "out")["options"] == {
        "k": 128,
        "k_by_pattern": [{"pattern": "*up_proj", "k": 512}],
        "outliers": "0.25%",
        "column_scales": "none",
        "include": ["*embed*"],
        "exclude": ["*.1.*"],
        "embeddings": False,
        "lm_head": False,
        "strict": True,
        "shard_bytes": 1 << 30,
    }
    assert sha256(tmp_path / "out/tokenizer.json") == sha256(FIXTURES / "tiny-llama/tokenizer.json")
