"""What `save_pretrained` writes, and turning a model back into a dense one."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from helix_substrate.torch import CompressedModule, HelixConv1D
from helix_substrate.transformers import compat
from helix_substrate.transformers.config import HxqConfig
from helix_substrate.transformers.experts import HelixExperts
from helix_substrate.transformers.shells import replace, shells_of, transposed
from helix_substrate.transformers.ties import Ties


def describe(model: Any, config: HxqConfig) -> None:
    """Brings the fields of `config` in line with the codes of `model`, under the files' names."""
    shells = {path: s for path, s in shells_of(model).items() if s._tied is None}
    keys = compat.file_names(model, [f"{path}.codebook" for path in shells])
    modules = {key.rpartition(".")[0]: s for key, s in zip(keys, shells.values(), strict=True)}
    model.config.quantization_config = config  # before 5.0 the model has a copy
    config.compressed_modules = list(modules)
    config.n_clusters = config.codebook_size
    config.bits = 8
    vectors = {name: shell.codes.vector_size for name, shell in modules.items()}
    sizes = set(vectors.values())
    config.vector_dim = sizes.pop() if len(sizes) == 1 else 1
    other = {name: size for name, size in vectors.items() if size != config.vector_dim}
    set_field(config, "module_vector_dim_map", other)
    packed = {name: shell for name, shell in modules.items() if shell.codes.packed}
    shapes = {name: file_shape(shell) for name, shell in packed.items()}
    set_field(config, "module_shapes", shapes)
    set_field(config, "index_packing", "12bit" if packed else None)
    config.sidecar_enabled = any(s.codes.sidecar_positions is not None for s in shells.values())


def set_field(config: HxqConfig, name: str, value: Any) -> None:
    """Sets a field that is written only where it says something."""
    if value:
        setattr(config, name, value)
    else:
        vars(config).pop(name, None)


def file_shape(shell: CompressedModule) -> list[int]:
    """The shape of the dense matrix in a file, which for a Conv1D is (in, out)."""
    rows, columns = shell.rows, shell.columns
    return [columns, rows] if isinstance(shell, HelixConv1D) else [rows, columns]


def state_dict_of(model: Any) -> dict[str, Tensor] | None:
    """The tensors to save where they differ from those of the modules; None where they do not.

    A file has the codes of the matrix as the dense file would: a Conv1D's lie the other way.
    """
    turned = {p: s for p, s in shells_of(model).items() if isinstance(s, HelixConv1D)}
    if not turned:
        return None
    tensors = dict(model.state_dict())
    for path, shell in turned.items():
        codes = transposed(shell.codes, shell.rows, shell.columns)
        for part, tensor in codes._asdict().items():
            if tensor is not None:
                tensors[f"{path}.{part}"] = tensor
    return tensors


def make_dense(model: Any, dtype: torch.dtype | None, ties: Ties | None) -> Any:
    """Replaces every compressed module by its dense twin, ties and fused experts restored."""
    shells = shells_of(model)
    dense: dict[int, nn.Module] = {}
    for path, shell in shells.items():
        if shell._tied is None:
            dense[id(shell)] = shell.to_dense()
            replace(model, path, dense[id(shell)])
    for path, shell in shells.items():
        if shell._tied is not None:
            replace(model, path, dense_tied(shell, dense[id(shell._tied[0])]))
    for path, module in list(model.named_modules()):
        if isinstance(module, HelixExperts):
            replace(model, path, module.to_fused())
            model._weight_conversions = None  # saving finds those that split them again
    if ties is not None:
        ties.restore(model)
    return model if dtype is None else model.to(dtype)


def dense_tied(shell: CompressedModule, source: nn.Module) -> nn.Module:
    """The dense twin of a tied module: it shares the parameter of `source`."""
    if isinstance(shell, nn.Embedding):
        module = nn.Embedding(shell.rows, shell.columns, shell.padding_idx, device="meta")
    else:
        module = nn.Linear(shell.columns, shell.rows, bias=False, device="meta")
        module.bias = shell.bias
    module.weight = source.weight
    return module.train(shell.training)
