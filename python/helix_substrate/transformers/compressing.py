"""Compresses a dense model while it loads, one tensor at a time."""

from __future__ import annotations

import ctypes
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, nn
from transformers.pytorch_utils import Conv1D
from transformers.utils import logging

from helix_substrate.torch import CompressedModule, HelixConv1D, HelixEmbedding, HelixLinear
from helix_substrate.torch.encoding import encode
from helix_substrate.transformers import compat
from helix_substrate.transformers.config import HxqConfig
from helix_substrate.transformers.contents import PartReader
from helix_substrate.transformers.experts import HelixExperts, is_fused_experts
from helix_substrate.transformers.layout import StoredTensor, read_headers
from helix_substrate.transformers.naming import Names
from helix_substrate.transformers.plan import Plan
from helix_substrate.transformers.shells import can_run_compressed, replace
from helix_substrate.transformers.ties import Ties

logger = logging.get_logger(__name__)
Options = dict[str, Any]
DEFAULT_CODEBOOK = 256


class CompressingLoading:
    """One load of a dense checkpoint that compresses.

    Plans everything from the headers, then takes the tensors as the loader brings them.
    """

    def __init__(self, model: Any, files: Iterable[str] | None, config: HxqConfig) -> None:
        self.model = model
        self.names = Names(model)
        self.ties = Ties(model)
        self._tensors = stored_tensors(model, files)
        self._plan = Plan(self._tensors, config, self._aliases())
        self._options: dict[str, Options] = {}  # by the model's name of the parameter
        self._fused: dict[str, StoredTensor] = {}  # experts: one source tensor for each parameter
        self._saved_setting: str | None = None
        self.dtypes = compat.Dtypes(model)
        self._config = config
        self._asked: dict[str, int] = {}  # codebook sizes, by the path of the module
        self.tied: list[str] = []  # parameters that went with the one they are tied to

    def prepare(self) -> None:
        for key in self._tensors:
            self._plan_tensor(key)
        self._skip_tied_copies()
        for pattern in self._plan.unused_patterns():
            logger.warning(f"HxqConfig: {pattern!r} matches no tensor of the checkpoint")
        # Whatever dtype is asked for, codes are made from what the file has, and F32 holds that.
        exact = {f"^{name.replace('.', chr(92) + '.')}$" for name in self.names_to_compress()}
        known = self.model._keep_in_fp32_modules_strict
        self.model._keep_in_fp32_modules_strict = {*(known or ()), *exact}
        self._saved_setting = compat.read_one_by_one()

    def finish(self) -> None:
        compat.restore_reading(self._saved_setting)
        self.dtypes.restore(self.model)
        compat.leave_untied(self.model)
        other = [path for path, size in self._asked.items() if size != DEFAULT_CODEBOOK]
        names = compat.file_names(self.model, [f"{path}.codebook" for path in other])
        sizes = [self._asked[path] for path in other]
        modules = [name.rpartition(".")[0] for name in names]
        self._config.module_k_map = dict(zip(modules, sizes, strict=True)) or None

    def names_to_compress(self) -> set[str]:
        return {*self._options, *self._fused}

    # The plan

    def _aliases(self) -> dict[str, str]:
        names = {key: self.names.unfused(key) for key in self._tensors}
        return {key: name for key, name in names.items() if name != key}

    def _plan_tensor(self, key: str) -> None:
        name = self.names.to_model(key)
        if not self.names.is_known(name):
            return
        path, _, leaf = name.rpartition(".")
        module = self.model.get_submodule(path)
        if is_fused_experts(module) and leaf in ("gate_up_proj", "down_proj"):
            if self.names.expert_leaves():
                self._fused.setdefault(name, self._tensors[key])
            return
        if leaf != "weight" or not can_run_compressed(module) or self.names.is_converted(key):
            return
        options = self._plan.options_for(key, isinstance(module, Conv1D))
        if options is not None:
            self._options[name] = options

    def _skip_tied_copies(self) -> None:
        """A head that the model ties and that equals its embedding is not stored twice."""
        keys = {self.names.to_model(key): key for key in self._tensors}
        for target, source in self.ties.pairs.items():
            if target in keys and source in keys:
                self._options.pop(target, None)
                if not self._same(keys[target], keys[source]):
                    self._options.pop(source, None)  # as the file has both, they stay as they are

    def _same(self, a: str, b: str) -> bool:
        with PartReader() as reader:
            return torch.equal(reader.read(self._tensors[a]), reader.read(self._tensors[b]))

    # The tensors as they come

    def take(self, name: str, dense: Tensor) -> Tensor | None:
        """Compresses the parameter `name`. Returns it where it has to stay dense."""
        give_back_freed_memory()  # of the tensor before
        if name in self._fused:
            return self._take_experts(name, dense)
        path = name.rpartition(".")[0]
        module = self.model.get_submodule(path)
        if not is_finite(name, dense):
            return dense.to(module.weight.dtype)
        replace(self.model, path, compress_module(module, dense, self._options[name]))
        self._asked[path] = self._options[name]["codebook_size"]
        self.tied += self.ties.settle(lambda _: False)
        return None

    def _take_experts(self, name: str, fused: Tensor) -> Tensor | None:
        path, _, leaf = name.rpartition(".")
        block = self.model.get_submodule(path)
        if not isinstance(block, HelixExperts):
            block = HelixExperts(block, self.names.expert_leaves())
            replace(self.model, path, block)
        names = self.names.expert_leaves()[leaf]
        for index, pair in enumerate(fused):
            for part, dense in zip(names, pair.chunk(len(names)), strict=True):
                module = block.dense_matrix(part)
                key = f"{path}.{index}.{part}.weight"
                source = self._fused[name]
                options = self._plan.expert_options(key, tuple(dense.shape), source.dtype)
                if options is None or not is_finite(key, dense):
                    module.weight = nn.Parameter(dense.to(module.weight.dtype).contiguous())
                    module.weight._is_hf_initialized = True
                else:
                    module = compress_module(module, dense, options)
                    self._asked[f"{path}.{index}.{part}"] = options["codebook_size"]
                block.set_matrix(index, part, module)
        return None


def compress_module(module: nn.Module, dense: Tensor, options: Options) -> CompressedModule:
    """The compressed twin of `module`, which is still empty, with the weight `dense`."""
    dtype = module.weight.dtype
    if isinstance(module, nn.Embedding):
        codes, _ = encode(dense, **options)
        shell = HelixEmbedding.from_codes(codes, *dense.shape, module.padding_idx, dtype)
    elif isinstance(module, Conv1D):
        codes, _ = encode(dense.T, **options)
        shell = HelixConv1D.from_codes(codes, *dense.shape, module.bias, dtype)
    else:
        codes, _ = encode(dense, **options)
        rows, columns = dense.shape
        shell = HelixLinear.from_codes(codes, columns, rows, module.bias, dtype)
    return shell.train(module.training)


def give_back_freed_memory() -> None:
    """Lets go of what glibc keeps of freed tensors: they lie between codes that stay.

    A model of 42 million weights, 46 MB of codes, peaked at 153 MB without and at 68 MB with it.
    """
    try:
        ctypes.CDLL(None).malloc_trim(0)
    except (AttributeError, OSError, TypeError):
        return  # another C library


def is_finite(name: str, dense: Tensor) -> bool:
    finite = bool(dense.isfinite().all())
    if not finite:
        logger.warning(f"{name}: a weight is not finite; the tensor stays exact")
    return finite


def stored_tensors(model: Any, files: Iterable[str] | None) -> dict[str, StoredTensor]:
    """The tensors of the checkpoint, by key; from the model itself where there are no headers."""
    files = list(files or ())
    if files and all(file.endswith(".safetensors") for file in files):
        return read_headers(files)
    names = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
    return {
        name: StoredTensor("the model", name, names.get(p.dtype, "other"), tuple(p.shape))
        for name, p in model.named_parameters()
    }
