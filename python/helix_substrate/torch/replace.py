"""Whole models: dense modules replaced by compressed ones in place, and back. Any torch model."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from fnmatch import fnmatchcase
from typing import Any

import torch
from torch import nn

from helix_substrate.errors import UnsupportedError
from helix_substrate.torch.compressed_module import CompressedModule
from helix_substrate.torch.embedding import HelixEmbedding
from helix_substrate.torch.linear import HelixLinear


@dataclass
class Replacement:
    """What `compress_modules` did."""

    modules: list[str] = field(default_factory=list)  # names of the compressed ones
    left: dict[str, str] = field(default_factory=dict)  # name of a candidate -> why it is dense
    dense_bytes: int = 0  # of the weights that were replaced
    compressed_bytes: int = 0  # of their codes


def compress_modules(
    model: nn.Module,
    *,
    exclude: Iterable[str] = ("lm_head", "*.lm_head"),
    embeddings: bool = False,
    conv1d: bool = False,
    minimum_weights: int = 1024,
    **options: Any,
) -> Replacement:
    """Replaces every nn.Linear of `model` by a HelixLinear, in place.

    `embeddings` and `conv1d` (transformers' Conv1D) ask for these kinds too. Names that match a
    glob of `exclude` stay dense, as do subclasses of the kinds, matrices of fewer than
    `minimum_weights` weights, weights that are not finite, and those shared with a module that
    stays dense. A module found
    under several names is replaced by one; modules that share a weight share its codes. The other
    options are those of `helix_substrate.encode`.
    """
    kinds = _kinds(embeddings, conv1d)
    names = _names_of(module for module in _named(model) if type(module[1]) in kinds)
    done = Replacement()
    chosen: dict[nn.Module, list[str]] = {}
    for module, paths in names.items():
        why = _why_left(module, paths, tuple(exclude), minimum_weights)
        if why:
            done.left[paths[0]] = why
        else:
            chosen[module] = paths
    _leave_shared_weights(model, chosen, done)
    _refuse_the_root(chosen)
    first_of: dict[int, CompressedModule] = {}  # by id of the dense weight
    for module, paths in chosen.items():
        try:
            new = _compressed(module, kinds[type(module)], first_of, done, options)
        except UnsupportedError as error:  # a weight that is not finite
            done.left[paths[0]] = str(error)
            continue
        for path in paths:
            _put(model, path, new)
        done.modules.append(paths[0])
    return done


def dequantize(model: nn.Module) -> nn.Module:
    """Replaces every compressed module of `model` by its dense twin, in place; returns the model.

    A model that is itself a compressed module is returned as its twin. Tied weights stay tied.
    """
    if isinstance(model, CompressedModule):
        return model.to_dense()
    names = _names_of(item for item in _named(model) if isinstance(item[1], CompressedModule))
    twins = {module: module.to_dense() for module in names if module._tied is None}
    for module, paths in names.items():
        twin = twins.get(module) or _tied_twin(module, twins)
        for path in paths:
            _put(model, path, twin)
    return model


def _kinds(embeddings: bool, conv1d: bool) -> dict[type, type[CompressedModule]]:
    kinds: dict[type, type[CompressedModule]] = {nn.Linear: HelixLinear}
    if embeddings:
        kinds[nn.Embedding] = HelixEmbedding
    if conv1d:
        from transformers.pytorch_utils import Conv1D

        from helix_substrate.torch.conv1d import HelixConv1D

        kinds[Conv1D] = HelixConv1D
    return kinds


def _named(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    return model.named_modules(remove_duplicate=False)


def _names_of(modules: Iterable[tuple[str, Any]]) -> dict[Any, list[str]]:
    names: dict[Any, list[str]] = {}
    for name, module in modules:
        names.setdefault(module, []).append(name)
    return names


def _why_left(
    module: nn.Module, paths: list[str], exclude: tuple[str, ...], minimum_weights: int
) -> str:
    if any(fnmatchcase(path, glob) for path in paths for glob in exclude):
        return "excluded"
    if module.weight.device.type == "meta":
        return "on the meta device"
    if module.weight.numel() < minimum_weights:
        return f"fewer than {minimum_weights} weights"
    if getattr(module, "max_norm", None) is not None:
        return "max_norm changes its weight"
    if module._forward_hooks or module._forward_pre_hooks:
        return "has forward hooks"
    return ""


def _leave_shared_weights(
    model: nn.Module, chosen: dict[nn.Module, list[str]], done: Replacement
) -> None:
    """Takes out of `chosen` what shares its weight with a module that is not replaced."""
    kept = {
        id(parameter): name
        for name, module in _named(model)
        if module not in chosen
        for parameter in module._parameters.values()
    }
    for module in [module for module in chosen if id(module.weight) in kept]:
        done.left[chosen.pop(module)[0]] = f"weight shared with {kept[id(module.weight)]}"


def _refuse_the_root(chosen: dict[nn.Module, list[str]]) -> None:
    if any("" in paths for paths in chosen.values()):
        raise ValueError("a single module cannot replace itself: use from_dense of its kind")


def _compressed(
    module: nn.Module,
    kind: Any,
    first_of: dict[int, CompressedModule],
    done: Replacement,
    options: dict[str, Any],
) -> CompressedModule:
    source = first_of.get(id(module.weight))
    if source is not None:
        return _tied_module(module, kind, source)
    new = kind.from_dense(module, **options)
    first_of[id(module.weight)] = new
    done.dense_bytes += module.weight.nbytes
    done.compressed_bytes += new.codes.nbytes
    return new


def _tied_module(module: nn.Module, kind: Any, source: CompressedModule) -> CompressedModule:
    dtype = module.weight.dtype
    if kind is HelixEmbedding:
        new = HelixEmbedding(source.rows, source.columns, module.padding_idx, dtype)
    else:
        new = kind(source.columns, source.rows, dtype)
        new.bias = module.bias
    new.tie_to(source)
    return new.train(module.training)


def _tied_twin(module: CompressedModule, twins: dict[Any, nn.Module]) -> nn.Module:
    twin = module.to_dense()
    if module._tied is not None and module._tied[0] in twins:
        twin.weight = twins[module._tied[0]].weight
    return twin


def _put(model: nn.Module, path: str, module: nn.Module) -> None:
    parent, _, name = path.rpartition(".")
    with torch.no_grad():
        setattr(model.get_submodule(parent), name, module)
