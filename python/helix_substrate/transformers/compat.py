"""Everything in which transformers' versions differ. Nothing else asks for a version."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import torch
import transformers
from packaging.version import Version

VERSION = Version(transformers.__version__)
# From 5.0 on, tensors are loaded through renamings and converters; before, by name.
HAS_CONVERSIONS = VERSION.major >= 5
# 5.3 reads files by several threads ahead of what is compressed, 5.23 does not.
READS_AHEAD_OF_COMPRESSION = HAS_CONVERSIONS and VERSION.minor < 23
# 5.3 merges experts' exact tensors whatever a quantizer says.
CAN_KEEP_EXPERTS_APART = not READS_AHEAD_OF_COMPRESSION
ASYNC_SWITCH = "HF_DEACTIVATE_ASYNC_LOAD"


def conversions_of(model: Any) -> tuple[list[Any], list[Any]]:
    """Fresh (renamings, converters) from file names to the names of `model`."""
    if not HAS_CONVERSIONS:
        return [], []
    from transformers.conversion_mapping import get_model_conversion_mapping
    from transformers.core_model_loading import WeightConverter, WeightRenaming

    mapping = get_model_conversion_mapping(model)
    renamings = [entry for entry in mapping if isinstance(entry, WeightRenaming)]
    return renamings, [entry for entry in mapping if isinstance(entry, WeightConverter)]


def rename(
    key: str, renamings: list[Any], converters: list[Any], prefix: str | None, known: Any
) -> tuple[str, str | None]:
    """The model's name for the file's `key`, and the pattern of the converter that takes it."""
    if HAS_CONVERSIONS:
        from transformers.core_model_loading import rename_source_key

        return rename_source_key(key, renamings, converters, prefix, known)
    if prefix and known is not None and key not in known:
        if f"{prefix}.{key}" in known:
            return f"{prefix}.{key}", None
        if key.removeprefix(f"{prefix}.") in known:
            return key.removeprefix(f"{prefix}."), None
    return key, None


def file_names(model: Any, names: list[str]) -> list[str]:
    """The names in a saved file of tensors that the model calls `names`."""
    if not HAS_CONVERSIONS:
        return names
    from transformers.core_model_loading import revert_weight_conversion

    # One tensor each, so that what comes back can be told apart by identity.
    tensors = {name: torch.empty(0) for name in names}
    saved = {id(tensor): key for key, tensor in revert_weight_conversion(model, tensors).items()}
    return [saved.get(id(tensors[name]), name) for name in names]


def original_sources(entry: Any) -> list[str]:
    """The source patterns of a renaming or converter, as they were written."""
    return list(getattr(entry, "_original_source_patterns", None) or entry.source_patterns)


def without_second_names(model: Any, keys: list[str]) -> list[str]:
    """`keys` less those of modules that are in the model under an earlier path as well."""
    first: dict[int, str] = {}
    for path, module in model.named_modules(remove_duplicate=False):
        first.setdefault(id(module), path)
    paths = set(first.values())
    return [key for key in keys if key.rpartition(".")[0] in paths]


def without_expert_merging(conversions: list[Any]) -> list[Any]:
    """The loader's list without the converters that fuse experts."""
    fused = ("experts.gate_up_proj", "experts.down_proj")
    return [entry for entry in conversions if not str(entry.target_patterns[0]).endswith(fused)]


def ignore_keys(model: Any, attribute: str, keys: list[str]) -> None:
    """Adds exact keys to a model's `_keys_to_ignore_on_load_*`, of this instance alone."""
    known = getattr(model, attribute, None)
    known = [] if known is None else known
    patterns = [f"^{re.escape(key)}$" for key in keys]
    setattr(model, attribute, type(known)([*known, *patterns]))


def inner_models(model: Any) -> list[tuple[str, Any]]:
    """`model` and every PreTrainedModel in it, by path."""
    from transformers import PreTrainedModel

    return [(n, inner) for n, inner in model.named_modules() if isinstance(inner, PreTrainedModel)]


def tied_weights(model: Any) -> dict[str, str]:
    """{target: source} of the parameters that the model ties, by full names."""
    if HAS_CONVERSIONS:
        return dict(model.all_tied_weights_keys)
    text = model.config.get_text_config(decoder=True)
    table = model.get_input_embeddings() if getattr(text, "tie_word_embeddings", True) else None
    head = model.get_output_embeddings() if table is not None else None
    names = {id(module): name for name, module in model.named_modules()}
    if head is None or id(head) not in names or id(table) not in names:
        return {}
    return {f"{names[id(head)]}.weight": f"{names[id(table)]}.weight"}


def own_tied_weights(inner: Any) -> dict[str, str]:
    """The pairs that this (inner) model itself declares, patterns spelt out; {} before 5.0."""
    return inner.get_expanded_tied_weights_keys(all_submodels=False) if HAS_CONVERSIONS else {}


def set_own_tied_weights(inner: Any, pairs: dict[str, str]) -> None:
    """Makes these the pairs that the model declares. Names are patterns there: end them."""
    plain = all(name.endswith(("weight", "bias")) for pair in pairs.items() for name in pair)
    end = "" if plain else "$"
    inner._tied_weights_keys = {target + end: source + end for target, source in pairs.items()}


def leave_untied(model: Any) -> None:
    """Before 5.0 a head is tied by assigning its weight, which would encode it anew."""
    from helix_substrate.torch import CompressedModule

    ends = (model.get_output_embeddings(), model.get_input_embeddings())
    if not HAS_CONVERSIONS and any(isinstance(end, CompressedModule) for end in ends):
        model._tie_or_clone_weights = _do_not_tie


def let_tie(model: Any) -> None:
    """Undoes `leave_untied`."""
    vars(model).pop("_tie_or_clone_weights", None)


def _do_not_tie(output_embeddings: Any, input_embeddings: Any) -> None:
    """In the place of a method, so without self."""


def read_one_by_one() -> str | None:
    """Makes this version's loader read a tensor when its turn comes. Returns what to restore."""
    before = os.environ.get(ASYNC_SWITCH)
    if READS_AHEAD_OF_COMPRESSION:
        os.environ[ASYNC_SWITCH] = "1"
    return before


def restore_reading(before: str | None) -> None:
    """Undoes `read_one_by_one`."""
    if READS_AHEAD_OF_COMPRESSION:
        if before is None:
            os.environ.pop(ASYNC_SWITCH, None)
        else:
            os.environ[ASYNC_SWITCH] = before


def checkpoint_files(model: Any) -> list[str]:
    """The weight files of a checkpoint, for versions that do not pass them to quantizers."""
    from transformers.utils import SAFE_WEIGHTS_INDEX_NAME, SAFE_WEIGHTS_NAME, cached_file

    name = model.config.name_or_path
    single = cached_file(name, SAFE_WEIGHTS_NAME, _raise_exceptions_for_missing_entries=False)
    if single is not None:
        return [single]
    index = cached_file(name, SAFE_WEIGHTS_INDEX_NAME, _raise_exceptions_for_missing_entries=False)
    if index is None:
        return []
    shards = json.loads(Path(index).read_text(encoding="utf-8"))["weight_map"].values()
    return [str(Path(index).parent / shard) for shard in sorted(set(shards))]


class Dtypes:
    """The dtypes that a model's parameters should have, for versions that miss some.

    5.3 does not cast exact tensors whose key it renames. 4.57 casts everything, codebooks too,
    unless it is told not to cast at all.
    """

    def __init__(self, model: Any) -> None:
        self.wanted = {name: tensor.dtype for name, tensor in model.named_parameters()}
        self._setting: Any = None

    def stop_casting(self, model: Any) -> None:
        """Before 5.0, between the first hook and loading."""
        self._setting = getattr(model.config, "_pre_quantization_dtype", self._setting)
        model.config._pre_quantization_dtype = None

    def restore(self, model: Any) -> None:
        """Casts what came in another dtype, once everything is loaded."""
        if HAS_CONVERSIONS and not READS_AHEAD_OF_COMPRESSION:
            return
        if not HAS_CONVERSIONS:
            for _, inner in inner_models(model):
                inner.config._pre_quantization_dtype = self._setting
        for name, tensor in model.named_parameters():
            wanted = self._wanted(model, name)
            if wanted is not None and tensor.is_floating_point() and tensor.dtype != wanted:
                tensor.data = tensor.data.to(wanted)

    def _wanted(self, model: Any, name: str) -> Any:
        dtype = self.wanted.get(name)
        kept = [*(getattr(model, "_keep_in_fp32_modules_strict", None) or ())]
        if dtype == torch.float16:
            kept += getattr(model, "_keep_in_fp32_modules", None) or ()
        in_16_bits = dtype in (torch.float16, torch.bfloat16)
        return torch.float32 if in_16_bits and any(re.search(k, name) for k in kept) else dtype
