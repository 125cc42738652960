"""Makes a model ready to be filled from an HXQ checkpoint, before any tensor is loaded."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from transformers.utils import logging

from helix_substrate.errors import UnsupportedError
from helix_substrate.torch.codes import Codes
from helix_substrate.transformers import compat
from helix_substrate.transformers.contents import PartReader, check_all_contents
from helix_substrate.transformers.experts import HelixExperts, is_fused_experts
from helix_substrate.transformers.layout import Layout, StoredModule, check_extents
from helix_substrate.transformers.naming import EXPERT, Names
from helix_substrate.transformers.shells import (
    can_run_compressed,
    expect_synonym,
    finish_conv1d,
    make_shell,
    normalise,
    replace,
    shells_of,
    spec_of,
)
from helix_substrate.transformers.ties import Ties

logger = logging.get_logger(__name__)


class CompressedLoading:
    """One load of a compressed checkpoint: `prepare` before the tensors come, `finish` after.

    Every module whose codes the files hold becomes a shell with the buffers to be filled. What the
    model keeps in another form (a router's matrix, a bare parameter) is decoded in `finish`.
    Raises CorruptDataError or UnsupportedError, naming file, module, expected and found, before
    anything is loaded.
    """

    def __init__(self, model: Any, files: Iterable[str], listed: Iterable[str] | None) -> None:
        self.model = model
        self.layout = Layout(files, listed)
        self.names = Names(model)
        self.ties = Ties(model)
        self._shells: list[tuple[str, StoredModule]] = []
        self._experts: dict[str, list[tuple[int, str, StoredModule]]] = {}
        self._decoded: list[tuple[str, StoredModule]] = []
        self._conv1d: list[str] = []
        self._shapes: dict[str, tuple[int, int]] = {}
        self.dtypes: compat.Dtypes

    @property
    def unfuses_experts(self) -> bool:
        """Whether experts are now modules of their own, which no converter may merge."""
        return bool(self._experts)

    def prepare(self) -> None:
        for module in self.layout.modules.values():
            self._place(module)
        check_all_contents(self.layout, self._shapes)
        for path, module in self._shells:
            dense = self.model.get_submodule(path)
            if not isinstance(dense, (nn.Linear, nn.Embedding)):
                self._conv1d.append(path)
            replace(self.model, path, self._shell_for(dense, module))
        self._unfuse_experts()
        stored = {self.names.to_model(key) for key in self.layout.exact}
        self.ties.settle(stored.__contains__)
        compat.leave_untied(self.model)
        self.dtypes = compat.Dtypes(self.model)
        self._ignore_keys()

    def finish(self) -> None:
        """Once the tensors are there: old dtypes, turned matrices, what is used dense."""
        for path in self._conv1d:
            normalise(self.model.get_submodule(path))
            replace(self.model, path, finish_conv1d(self.model.get_submodule(path)))
        for shell in shells_of(self.model).values():
            normalise(shell)
        self.dtypes.restore(self.model)
        with PartReader() as reader:
            for name, module in self._decoded:
                self._set_decoded(name, reader.codes(module), self._shapes[module.name])

    # Where a module goes

    def _place(self, module: StoredModule) -> None:
        key = self.layout.dense_key(module.name)
        name = self.names.to_model(key)
        if not self.names.is_known(name):
            return  # not part of this model: a head where only the body is loaded
        unfused = self.names.unfused(key)
        if unfused != name:
            self._place_expert(module, name, unfused)
            return
        path, _, leaf = name.rpartition(".")
        dense = self.model.get_submodule(path)
        self._expect(module, self._dense_shape(module, getattr(dense, leaf)))
        runs = leaf == "weight" and can_run_compressed(dense)
        (self._shells if runs else self._decoded).append((path if runs else name, module))

    def _dense_shape(self, module: StoredModule, parameter: torch.Tensor) -> tuple[int, int]:
        if parameter.ndim != 2:
            raise UnsupportedError(
                f"{module.parts['indices']}: {module.name} is compressed, but the model has a "
                f"tensor of shape {list(parameter.shape)} there"
            )
        return tuple(parameter.shape)

    def _place_expert(self, module: StoredModule, fused: str, unfused: str) -> None:
        match = EXPERT.match(unfused)
        block = fused.rpartition(".")[0]
        experts = self.model.get_submodule(block)
        leaves = [leaf for names in self.names.expert_leaves().values() for leaf in names]
        fits = match is not None and match["block"] == block and is_fused_experts(experts)
        if not fits or match["leaf"] not in leaves:
            raise UnsupportedError(
                f"{module.parts['indices']}: the codes of {module.name} are a piece of {fused}, "
                f"which {type(experts).__name__} does not run in pieces"
            )
        _, hidden, inner = experts.down_proj.shape
        shape = (hidden, inner) if match["leaf"] == leaves[2] else (inner, hidden)
        self._expect(module, shape)
        self._experts.setdefault(block, []).append((int(match["index"]), match["leaf"], module))

    def _expect(self, module: StoredModule, shape: tuple[int, int]) -> None:
        check_extents(module, *shape)
        self._shapes[module.name] = shape

    def _shell_for(self, dense: nn.Module, module: StoredModule) -> nn.Module:
        shell = make_shell(dense, spec_of(module))
        if "sidecar_indices" in module.parts:
            expect_synonym(shell)
        return shell

    def _unfuse_experts(self) -> None:
        """Once one expert is compressed, all of the model's become modules of their own."""
        if not self._experts:
            return
        leaves = self.names.expert_leaves()
        for path, fused in list(self.model.named_modules()):
            if not is_fused_experts(fused):
                continue
            experts = HelixExperts(fused, leaves)
            for index in range(experts.num_experts):
                for leaf in experts.leaves:
                    experts.set_matrix(index, leaf, experts.dense_matrix(leaf))
            found = self._experts.get(path, [])
            if len(found) < 3 * experts.num_experts and not compat.CAN_KEEP_EXPERTS_APART:
                raise UnsupportedError(
                    f"{path}: only {len(found)} of {3 * experts.num_experts} matrices of the "
                    "experts are compressed, and this version of transformers fuses the others"
                )
            for index, leaf, module in found:
                dense = experts.dense_matrix(leaf)
                experts.set_matrix(index, leaf, self._shell_for(dense, module))
            replace(self.model, path, experts)

    # What the loader should not complain about

    def _ignore_keys(self) -> None:
        ignored = self.layout.ignored
        if ignored:
            logger.warning(f"ignored keys of the checkpoint: {', '.join(ignored)}")
        parts = [t.key for _, module in self._decoded for t in module.parts.values()]
        keys = sorted(
            {name for key in (*ignored, *parts) for name in (key, self.names.to_model(key))}
        )
        compat.ignore_keys(self.model, "_keys_to_ignore_on_load_unexpected", keys)
        decoded = [name for name, _ in self._decoded]
        compat.ignore_keys(self.model, "_keys_to_ignore_on_load_missing", decoded)

    def _set_decoded(self, name: str, codes: Codes, shape: tuple[int, int]) -> None:
        path, _, leaf = name.rpartition(".")
        owner = self.model.get_submodule(path)
        old = getattr(owner, leaf)
        dense = torch.ops.helix.decode(*codes, *shape, old.dtype).to(old.device)
        setattr(owner, leaf, nn.Parameter(dense, requires_grad=old.requires_grad))
