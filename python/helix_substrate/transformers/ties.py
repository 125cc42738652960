"""Tied weights where one side is compressed.

transformers ties parameters; codes are buffers, so tying goes by module instead: one module holds
the codes, the others use them (`CompressedModule.tie_to`). transformers must not hear of those
pairs again, on any inner model: every later `tie_weights()` would look for a parameter.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from torch import nn

from helix_substrate.torch import CompressedModule
from helix_substrate.transformers import compat
from helix_substrate.transformers.shells import make_tied, replace


def module_of(parameter: str) -> str:
    """The path of the module that has this parameter."""
    return parameter.rpartition(".")[0]


class Ties:
    """The pairs of tied parameters of one model, read while it is still dense."""

    def __init__(self, model: Any) -> None:
        self.pairs = compat.tied_weights(model)  # {target: source}
        self._inner = [
            (prefix, inner, compat.own_tied_weights(inner))
            for prefix, inner in compat.inner_models(model)
        ]
        self._original = {
            prefix: (inner._tied_weights_keys, dict(getattr(inner, "all_tied_weights_keys", {})))
            for prefix, inner, _ in self._inner
        }
        self._model = model

    def settle(self, is_stored: Callable[[str], bool]) -> list[str]:
        """Ties what can be tied to compressed modules; returns the parameters it did that for.

        `is_stored` tells whether the files hold an exact tensor for a parameter: that one is kept.
        """
        settled, tied = [], []
        for target, source in self.pairs.items():
            shells = [self._shell(name) for name in (target, source)]
            if shells == [None, None]:
                continue
            settled.append(target)
            for name, other in ((target, shells[1]), (source, shells[0])):
                if self._shell(name) is None and other is not None and not is_stored(name):
                    tied.append(name)
                    self._tie(module_of(name), other)
        self._forget(set(settled))
        return tied

    def _shell(self, parameter: str) -> CompressedModule | None:
        module = self._module(module_of(parameter))
        is_weight = parameter.endswith(".weight")
        return module if is_weight and isinstance(module, CompressedModule) else None

    def _module(self, path: str) -> nn.Module | None:
        try:
            return self._model.get_submodule(path)
        except AttributeError:
            return None

    def _tie(self, path: str, source: CompressedModule) -> None:
        if source._tied is not None:
            source = source._tied[0]
        replace(self._model, path, make_tied(self._model.get_submodule(path), source))

    def _forget(self, settled: set[str]) -> None:
        for target in settled:
            del self.pairs[target]
        for prefix, inner, own in self._inner:
            start = f"{prefix}." if prefix else ""
            kept = {t: s for t, s in own.items() if start + t not in settled}
            if len(kept) < len(own):
                compat.set_own_tied_weights(inner, kept)
            known = getattr(inner, "all_tied_weights_keys", None)
            for target in settled:
                if known is not None and target.startswith(start):
                    known.pop(target.removeprefix(start), None)

    def restore(self, model: Any) -> None:
        """Tells the dense `model` of all its pairs again."""
        for prefix, inner in compat.inner_models(model):
            if prefix in self._original:
                keys, known = self._original[prefix]
                inner._tied_weights_keys = keys
                if hasattr(inner, "all_tied_weights_keys"):
                    inner.all_tied_weights_keys = dict(known)
        compat.let_tie(model)
