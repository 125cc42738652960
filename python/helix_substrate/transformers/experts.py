"""Experts of a mixture, one compressed module per matrix, in place of transformers' fused tensors.

transformers 5 keeps all experts of a layer in two 3-D parameters; files hold them one by one. Here
they stay one by one, under the names of the files, and run from their codes.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn


class HelixExperts(nn.Module):
    """Experts "0", "1", ..., each with a gate, an up and a down projection.

    `leaves` are the names of these three. Computes what the fused module `template` does, expert
    by expert; the template stays on the meta device and is kept for turning back.
    """

    def __init__(self, template: nn.Module, leaves: Mapping[str, tuple[str, ...]]) -> None:
        super().__init__()
        self.num_experts = template.gate_up_proj.shape[0]
        self.leaves = (*leaves["gate_up_proj"], *leaves["down_proj"])
        self.act_fn = template.act_fn
        self._template = (template,)  # in a tuple, so that it is no submodule
        for index in range(self.num_experts):
            self.add_module(str(index), nn.Module())

    @property
    def template(self) -> nn.Module:
        """The fused module, without memory."""
        return self._template[0]

    def set_matrix(self, index: int, leaf: str, module: nn.Module) -> None:
        """Puts the projection `leaf` of one expert in place."""
        self.get_submodule(str(index)).add_module(leaf, module)

    def shape_of(self, leaf: str) -> tuple[int, int]:
        """(out, in) of the projection `leaf`."""
        _, hidden, inner = self.template.down_proj.shape
        return (hidden, inner) if leaf == self.leaves[2] else (inner, hidden)

    def dense_matrix(self, leaf: str) -> nn.Linear:
        """An empty dense projection, for experts that are stored exactly."""
        rows, columns = self.shape_of(leaf)
        dtype = self.template.down_proj.dtype
        return nn.Linear(columns, rows, bias=False, device="meta", dtype=dtype)

    def forward(self, hidden_states: Tensor, top_k_index: Tensor, top_k_weights: Tensor) -> Tensor:
        """hidden_states (tokens, hidden), top_k_* (tokens, k) -> (tokens, hidden)."""
        result = torch.zeros_like(hidden_states)
        for index in torch.unique(top_k_index).tolist():
            if not 0 <= index < self.num_experts:  # a mark for experts that live elsewhere
                continue
            token, choice = torch.where(top_k_index == index)
            output = self._expert(index, hidden_states[token])
            output = output * top_k_weights[token, choice, None]
            result.index_add_(0, token, output.to(result.dtype))
        return result

    def _expert(self, index: int, x: Tensor) -> Tensor:
        gate, up, down = (self.get_submodule(f"{index}.{leaf}") for leaf in self.leaves)
        return down(self.act_fn(gate(x)) * up(x))

    def to_fused(self) -> nn.Module:
        """The dense fused module with the weights of all experts."""
        fused = self.template
        gates, ups, downs = (
            [self._dense(i, leaf) for i in self._indices()] for leaf in self.leaves
        )
        pairs = [torch.cat(pair) for pair in zip(gates, ups, strict=True)]
        fused.gate_up_proj = nn.Parameter(torch.stack(pairs))
        fused.down_proj = nn.Parameter(torch.stack(downs))
        return fused.train(self.training)

    def _indices(self) -> range:
        return range(self.num_experts)

    def _dense(self, index: int, leaf: str) -> Tensor:
        module = self.get_submodule(f"{index}.{leaf}")
        return module.dequantize() if hasattr(module, "dequantize") else module.weight.detach()


def is_fused_experts(module: nn.Module) -> bool:
    """Whether HelixExperts computes what `module` does: gated, [gate; up], no biases."""
    gate_up, down = getattr(module, "gate_up_proj", None), getattr(module, "down_proj", None)
    tensors = isinstance(gate_up, nn.Parameter) and isinstance(down, nn.Parameter)
    if not tensors or gate_up.ndim != 3 or down.ndim != 3 or not hasattr(module, "act_fn"):
        return False
    experts, hidden, inner = down.shape
    fits = tuple(gate_up.shape) == (experts, 2 * inner, hidden)
    odd = ("has_bias", "is_transposed", "has_post_expert_norm", "gate_up_proj_bias")
    plain = not any(getattr(module, name, False) for name in odd)
    usual = ("has_gate", "is_concatenated")
    plain = plain and all(getattr(module, name, True) for name in usual)
    gate = getattr(type(module), "_apply_gate", None)
    return fits and plain and getattr(gate, "__name__", "") == "_default_apply_gate"
