"""Names in the files of a checkpoint, and the model's names for the same tensors."""

from __future__ import annotations

import re
from typing import Any

from helix_substrate.transformers import compat

EXPERT = re.compile(r"^(?P<block>.*)\.(?P<index>\d+)\.(?P<leaf>\w+)\.weight$")


class Names:
    """Translates keys as transformers' loader will, for one model that is still dense."""

    def __init__(self, model: Any) -> None:
        self._renamings, self._converters = compat.conversions_of(model)
        self._known = {**model.state_dict()}
        self._prefix = model.base_model_prefix

    def to_model(self, key: str) -> str:
        """The model's name of the dense `key`; of the fused tensor for an expert's."""
        name, _ = self._rename(key, self._converters)
        if name not in self._known and key in self._known:
            name = compat.rename(key, [], [], self._prefix, self._known)[0]
        return name

    def unfused(self, key: str) -> str:
        """The same, but for an expert's key the name that it would have by itself."""
        fused, pattern = self._rename(key, self._converters)
        if pattern is None:
            return self.to_model(key)
        bare = compat.rename(key, self._renamings, self._converters, None, None)[0]
        alone = compat.rename(key, self._renamings, [], None, None)[0]
        if fused == bare:
            return alone
        if fused.endswith(bare):
            return fused.removesuffix(bare) + alone
        return alone.removeprefix(bare.removesuffix(fused))

    def is_converted(self, key: str) -> bool:
        """Whether the loader makes the model's tensor out of more or less than this one."""
        return self._rename(key, self._converters)[1] is not None

    def is_known(self, name: str) -> bool:
        return name in self._known

    def expert_leaves(self) -> dict[str, tuple[str, ...]]:
        """{"gate_up_proj": (gate, up), "down_proj": (down,)}: what files call an expert's parts.

        Empty where the model's checkpoints do not hold experts one by one.
        """
        leaves = {}
        for converter in self._converters:
            targets = getattr(converter, "_original_target_patterns", converter.target_patterns)
            target = targets[0].rpartition(".")[2] if len(targets) == 1 else ""
            sources = compat.original_sources(converter)
            found = [re.search(r"experts\.\*\.(\w+)\.weight\$?$", source) for source in sources]
            count = {"gate_up_proj": 2, "down_proj": 1}.get(target)
            if len(found) == count and all(found):
                leaves[target] = tuple(match[1] for match in found if match)
        return leaves if len(leaves) == 2 else {}

    def _rename(self, key: str, converters: list[Any]) -> tuple[str, str | None]:
        return compat.rename(key, self._renamings, converters, self._prefix, self._known)
