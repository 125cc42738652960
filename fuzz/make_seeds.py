"""Seed corpora for the fuzzers, from tests/golden and tests/fixtures: a folder for each target."""

from __future__ import annotations

import argparse
import hashlib
import json
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1] / "tests"
GOLDEN = TESTS / "golden"
# In the order of hxq_fuzz.cpp.
PARTS = (
    *("codebook", "indices", "sidecar_positions", "sidecar_indices", "sidecar_values", "svd_U"),
    *("svd_s", "svd_Vt", "channel_scales", "weight", "codebook_f16", "bias"),
)
DTYPES = ("F32", "U8", "I64", "U16", "I16", "I32", "F16", "BF16", "F64", "I8", "BOOL", "U32")
METHODS = ("hxq", "cdna_v3", "helix")
LISTS_MODULES, LISTS_SHAPES = 1, 2


def keep(folder: Path, content: bytes) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / hashlib.sha256(content).hexdigest()[:16]).write_bytes(content)


def module_seed(folder: Path) -> bytes | None:
    """The first module of a folder of one good file as an input of hxq_fuzz."""
    content = (folder / "model.safetensors").read_bytes()
    size = int.from_bytes(content[:8], "little")
    try:
        header = json.loads(content[8 : 8 + size])
        quantization = json.loads((folder / "config.json").read_bytes())["quantization_config"]
        method = METHODS.index(quantization["quant_method"])
    except (ValueError, KeyError, TypeError):
        return None
    flags, shape = LISTS_MODULES, [0, 0]
    for listed in (quantization.get("module_shapes") or {}).values():
        if isinstance(listed, list) and len(listed) == 2 and min(map(repr, listed)) > "0":
            flags, shape = flags | LISTS_SHAPES, [int(extent) % 256 for extent in listed]
    seed = bytearray([method, flags, *shape])
    for key, entry in header.items():
        part = key.rpartition(".")[2]
        if not isinstance(entry, dict) or part not in PARTS or entry.get("dtype") not in DTYPES:
            continue
        extents = entry["shape"]
        if len(extents) > 3 or max(extents, default=0) > 255:
            return None
        begin, end = (8 + size + offset for offset in entry["data_offsets"])
        seed += bytes([PARTS.index(part), DTYPES.index(entry["dtype"]), len(extents), *extents])
        seed += content[begin:end]
    return bytes(seed)


def templates(value: object) -> list[str]:
    """Every text under a "template" key."""
    if isinstance(value, list):
        return [text for element in value for text in templates(element)]
    if not isinstance(value, dict):
        return []
    found = [text for key, text in value.items() if key == "template" and isinstance(text, str)]
    return found + [text for element in value.values() for text in templates(element)]


def main() -> None:
    parser = argparse.ArgumentParser(description="Writes seed corpora for the fuzzers.")
    out = parser.add_argument("out", type=Path) and parser.parse_args().out
    for path in sorted(GOLDEN.rglob("*.safetensors")):
        keep(out / "header_fuzz", path.read_bytes())
    for path in sorted(GOLDEN.rglob("*.index.json")):
        keep(out / "index_fuzz", path.read_bytes())
    for path in sorted(GOLDEN.rglob("config.json")):
        keep(out / "config_fuzz", path.read_bytes())
    folders = [*(GOLDEN / "good").iterdir()]
    prefixes = ("codebook", "index", "indices", "packed", "positions", "values", "svd", "scales")
    folders += [p for p in (GOLDEN / "hostile").iterdir() if p.name.startswith(prefixes)]
    for folder in sorted(folders):
        seed = module_seed(folder) if (folder / "model.safetensors").is_file() else None
        if seed is not None:
            keep(out / "hxq_fuzz", seed)
    for path in sorted((TESTS / "fixtures" / "tokenizers").glob("*/tokenizer.json")):
        text = "\0  Café <|end|>\n\tthe 日本 \U0001f642"
        keep(out / "tokenizer_json_fuzz", path.read_bytes() + text.encode())
    for path in sorted((GOLDEN / "chat").glob("*.json")):
        for template in templates(json.loads(path.read_bytes())):
            keep(out / "chat_template_fuzz", template.encode())


if __name__ == "__main__":
    main()
