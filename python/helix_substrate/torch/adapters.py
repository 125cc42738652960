"""Adapters of a whole model: attach, save, load, take off. Without PEFT.

File: safetensors with `{module}.lora_A`, `{module}.lora_B` and, in the metadata, `format`
("helix-lora"), `version` and `modules` (JSON: name -> rank, alpha, dropout).
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path

from torch import nn

from helix_substrate.torch.linear import CompressedProduct
from helix_substrate.torch.lora import HelixLinearSTE

FORMAT = "helix-lora"
VERSION = "1"


def prepare_for_lora(
    model: nn.Module,
    target_modules: Iterable[str] | None = None,
    *,
    rank: int = 8,
    alpha: float = 16.0,
    dropout: float = 0.0,
) -> list[str]:
    """Freezes the model and puts an adapter beside its HelixLinear modules (and HelixConv1D).

    Returns their names. `target_modules`: last parts of names ("q_proj") or globs over whole ones;
    all when None. A module found under several names gets one adapter. Raises ValueError where
    nothing matches.
    """
    targets = None if target_modules is None else tuple(target_modules)
    found = _paths(model, CompressedProduct)
    chosen = {module: paths for module, paths in found.items() if _is_target(paths, targets)}
    if not chosen:
        raise ValueError(f"no HelixLinear among the modules matches {targets or 'the model'}")
    model.requires_grad_(False)
    return [_attach(model, module, paths, rank, alpha, dropout) for module, paths in chosen.items()]


def adapters(model: nn.Module) -> dict[str, HelixLinearSTE]:
    """Every module with an adapter, by its first name."""
    found = _paths(model, HelixLinearSTE)
    return {paths[0]: module for module, paths in found.items() if module.rank}


def merge_adapters(model: nn.Module) -> None:
    """Merges every adapter into its codes (see HelixLinearSTE.merge_lora for what it loses)."""
    for module in adapters(model).values():
        if not module.merged:
            module.merge_lora()


def unmerge_adapters(model: nn.Module) -> None:
    """Takes the codes from before `merge_adapters` back, bit for bit."""
    for module in adapters(model).values():
        if module.merged:
            module.unmerge_lora()


def remove_adapters(model: nn.Module) -> nn.Module:
    """Puts every compressed module back in place; what is merged stays merged."""
    for module, paths in _paths(model, HelixLinearSTE).items():
        for path in paths:
            _put(model, path, module.base)
    return model


def save_adapters(model: nn.Module, path: str | Path) -> None:
    """Writes every adapter of the model to one safetensors file."""
    from safetensors.torch import save_file

    found = adapters(model)
    if not found:
        raise ValueError("the model has no adapters to save")
    tensors = {
        f"{name}.{part}": tensor.cpu().contiguous()
        for name, module in found.items()
        for part, tensor in module.adapter_state_dict().items()
    }
    modules = {
        name: {"rank": module.rank, "alpha": module.alpha, "dropout": module.dropout.p}
        for name, module in found.items()
    }
    metadata = {"format": FORMAT, "version": VERSION, "modules": json.dumps(modules)}
    temporary = Path(f"{path}.part")
    save_file(tensors, temporary, metadata)
    temporary.replace(path)


def load_adapters(model: nn.Module, path: str | Path) -> list[str]:
    """Attaches the adapters of a file, in place of those the model has; returns their names.

    Raises ValueError, before anything is changed, where the file is none of ours or names a module
    that the model lacks or that has other sizes.
    """
    from safetensors import safe_open

    with safe_open(path, framework="pt") as file:
        metadata = file.metadata() or {}
        if metadata.get("format") != FORMAT or metadata.get("version") != VERSION:
            raise ValueError(f"{path}: not a file of helix-lora adapters, version {VERSION}")
        settings = json.loads(metadata["modules"])
        tensors = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118
    places = _places(model)
    for name in settings:
        _check_fits(places.get(name), tensors, name, path)
    model.requires_grad_(False)
    for name, setting in settings.items():
        module = _with_wrapper(model, name)
        a, b = tensors[f"{name}.lora_A"], tensors[f"{name}.lora_B"]
        module.enable_lora(setting["rank"], setting["alpha"], setting["dropout"], a.dtype)
        module.load_adapter_state_dict({"lora_A": a, "lora_B": b})
    return list(settings)


def _check_fits(module: nn.Module | None, tensors: dict, name: str, path: str | Path) -> None:
    if not isinstance(module, (CompressedProduct, HelixLinearSTE)):
        raise ValueError(f"{path}: the model has no compressed module {name}")
    for part, place, size in (("A", 1, module.in_features), ("B", 0, module.out_features)):
        tensor = tensors.get(f"{name}.lora_{part}")
        if tensor is None or tensor.ndim != 2 or tensor.shape[place] != size:
            raise ValueError(f"{path}: {name}.lora_{part} does not fit the module")


def _paths(model: nn.Module, kind: type) -> dict:
    """Every module of that kind with its names, the insides of wrappers left out."""
    inside = {id(m.base) for m in model.modules() if isinstance(m, HelixLinearSTE)}
    found: dict = {}
    for name, module in model.named_modules(remove_duplicate=False):
        if isinstance(module, kind) and id(module) not in inside:
            found.setdefault(module, []).append(name)
    return found


def _places(model: nn.Module) -> dict[str, nn.Module]:
    return dict(model.named_modules(remove_duplicate=False))


def _is_target(paths: list[str], targets: tuple[str, ...] | None) -> bool:
    if targets is None:
        return True
    return any(
        path == target or path.endswith(f".{target}") or fnmatchcase(path, target)
        for path in paths
        for target in targets
    )


def _attach(
    model: nn.Module,
    module: CompressedProduct,
    paths: list[str],
    rank: int,
    alpha: float,
    dropout: float,
) -> str:
    wrapper = HelixLinearSTE(module).enable_lora(rank, alpha, dropout)
    for path in paths:
        _put(model, path, wrapper)
    return paths[0]


def _with_wrapper(model: nn.Module, name: str) -> HelixLinearSTE:
    module = model.get_submodule(name)
    if isinstance(module, HelixLinearSTE):
        return module
    wrapper = HelixLinearSTE(module)
    for path in _paths(model, CompressedProduct)[module]:
        _put(model, path, wrapper)
    return wrapper


def _put(model: nn.Module, path: str, module: nn.Module) -> None:
    if not path:
        raise ValueError("a single module cannot replace itself: wrap it in HelixLinearSTE")
    parent, _, name = path.rpartition(".")
    setattr(model.get_submodule(parent), name, module)
