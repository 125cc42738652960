"""Adds the HXQ quantizer to transformers' tables, now or when transformers is imported.

transformers has no entry point for quantizers, and importing its table costs seconds (it imports
torch). So where the table is not imported yet, a finder waits for it.
"""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Sequence
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec
from types import ModuleType

TABLE = "transformers.quantizers.auto"
# One format; the last two are what earlier software called it.
METHODS = ("hxq", "cdna_v3", "helix")


def register() -> None:
    """Registers `hxq`, `cdna_v3` and `helix`. May be called any number of times."""
    table = sys.modules.get(TABLE)
    if hasattr(table, "AUTO_QUANTIZER_MAPPING"):  # else: absent, or in the middle of its import
        add_to_table(table)
    elif not any(isinstance(finder, TableFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, TableFinder())


def add_to_table(table: ModuleType) -> None:
    """Puts our classes into the two dictionaries of the module `table`; without torch, nothing."""
    if importlib.util.find_spec("torch") is None:
        return
    from helix_substrate.transformers.config import HxqConfig
    from helix_substrate.transformers.quantizer import HxqQuantizer

    for method in METHODS:
        table.AUTO_QUANTIZATION_CONFIG_MAPPING.setdefault(method, HxqConfig)
        table.AUTO_QUANTIZER_MAPPING.setdefault(method, HxqQuantizer)


class TableFinder(MetaPathFinder):
    """Finds nothing itself; wraps the loader of the table, once."""

    def find_spec(
        self, name: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if name != TABLE:
            return None
        sys.meta_path.remove(self)
        spec = importlib.util.find_spec(name)
        if spec is not None and spec.loader is not None:
            spec.loader = TableLoader(spec.loader)
        return spec


class TableLoader(Loader):
    """Loads the table as `inner` does, then adds our classes."""

    def __init__(self, inner: Loader) -> None:
        self.inner = inner

    def create_module(self, spec: ModuleSpec) -> ModuleType | None:
        return self.inner.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        if module.__spec__ is not None:
            module.__spec__.loader = self.inner
        module.__loader__ = self.inner
        self.inner.exec_module(module)
        add_to_table(module)
