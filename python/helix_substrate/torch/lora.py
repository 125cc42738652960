"""Low-rank adapters (LoRA) on compressed modules, without PEFT.

    y = base(x) + scaling * B(A(dropout(x))),   scaling = alpha / rank

The codes are frozen: they are integers and a table, and have no gradient. What flows through them
to the input is the exact gradient of the decoded matrix (g @ W from the codes), so training sees
what training on the dequantised model would.
"""

from __future__ import annotations

import math
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from helix_substrate.torch.linear import CompressedProduct


class HelixLinearSTE(nn.Module):
    """A HelixLinear (or HelixConv1D) with an adapter beside it.

    Without an adapter, or while it is merged, it computes what `base` does. `lora_A` (rank, in)
    and `lora_B` (out, rank) are the only trainable parameters. B starts at zero, so enabling an
    adapter changes nothing until it is trained.
    """

    def __init__(self, base: CompressedProduct) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.register_parameter("lora_A", None)
        self.register_parameter("lora_B", None)
        self.alpha, self.dropout = 0.0, nn.Dropout(0.0)
        self.merged = False
        self.train(base.training)

    @property
    def in_features(self) -> int:
        return self.base.in_features

    @property
    def out_features(self) -> int:
        return self.base.out_features

    @property
    def weight(self) -> Tensor:
        return self.base.weight

    @property
    def bias(self) -> nn.Parameter | None:
        return self.base.bias

    @property
    def rank(self) -> int:
        """0 without an adapter."""
        return 0 if self.lora_A is None else self.lora_A.shape[0]

    @property
    def scaling(self) -> float:
        return self.alpha / self.rank

    def enable_lora(
        self,
        rank: int = 8,
        alpha: float = 16.0,
        dropout: float = 0.0,
        dtype: torch.dtype = torch.float32,
    ) -> HelixLinearSTE:
        """Gives it a new adapter (in place of an earlier one), to be trained."""
        if rank < 1:
            raise ValueError(f"an adapter of rank {rank}: it has to be at least 1")
        if self.merged:
            raise RuntimeError("an adapter is merged: unmerge_lora() or disable_lora() first")
        place = {"dtype": dtype, "device": self.base.device}
        self.lora_A = nn.Parameter(torch.empty((rank, self.in_features), **place))
        self.lora_B = nn.Parameter(torch.zeros((self.out_features, rank), **place))
        nn.init.kaiming_uniform_(self.lora_A, a=math.sqrt(5))
        self.alpha, self.dropout.p = float(alpha), dropout
        return self

    def disable_lora(self) -> None:
        """Forgets the adapter. What was merged stays merged."""
        self.lora_A = self.lora_B = None
        self.merged = False

    def forward(self, x: Tensor) -> Tensor:
        y = self.base(x)
        if self.rank == 0 or self.merged:
            return y
        low = linear(self.dropout(x).to(self.lora_A.dtype), self.lora_A)
        return y + (linear(low, self.lora_B) * self.scaling).to(y.dtype)

    def delta_weight(self) -> Tensor:
        """What the adapter adds to the weight: (out, in), in the adapter's dtype."""
        self._require_adapter()
        return (self.lora_B.detach() @ self.lora_A.detach()) * self.scaling

    def merge_lora(self, **options: Any) -> dict[str, float]:
        """Encodes weight + delta anew. Returns what that loses: snr_db, ...

        The loss is that of compressing any matrix: with 256 entries some 0.6 % of the weights'
        norm. The codes from before are kept for `unmerge_lora`.
        """
        self._require_adapter()
        if self.merged:
            raise RuntimeError("the adapter is merged already")
        base = self.base
        delta = self.delta_weight().to(torch.float32)
        delta = delta.T if base.transposed else delta
        lost = base.encode_weight(base.dequantize(torch.float32) + delta, **options)
        self.merged = True
        return lost

    def unmerge_lora(self) -> None:
        """Takes the codes from before `merge_lora` back, bit for bit."""
        if not self.merged:
            raise RuntimeError("no adapter is merged")
        self.base.restore_previous_codes()
        self.merged = False

    def adapter_state_dict(self) -> dict[str, Tensor]:
        self._require_adapter()
        return {"lora_A": self.lora_A.detach(), "lora_B": self.lora_B.detach()}

    def load_adapter_state_dict(self, state: dict[str, Tensor]) -> None:
        """Numbers for the adapter that it has."""
        self._require_adapter()
        for part, parameter in (("lora_A", self.lora_A), ("lora_B", self.lora_B)):
            if state[part].shape != parameter.shape:
                raise ValueError(
                    f"{part} of {list(parameter.shape)}: got {list(state[part].shape)}"
                )
        with torch.no_grad():
            self.lora_A.copy_(state["lora_A"])
            self.lora_B.copy_(state["lora_B"])

    def _require_adapter(self) -> None:
        if self.rank == 0:
            raise RuntimeError("no adapter: enable_lora() first")

    def extra_repr(self) -> str:
        return f"rank={self.rank}, alpha={self.alpha}, merged={self.merged}"
