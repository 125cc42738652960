"""What HelixLinear, HelixEmbedding and HelixConv1D share: buffers that hold the codes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import torch
from torch import Tensor

from helix_substrate.torch import operators  # noqa: F401  registers torch.ops.helix
from helix_substrate.torch.codes import PARTS, Codes, as_picklable, check_contents, check_layout
from helix_substrate.torch.encoding import encode
from helix_substrate.torch.prepared import forget
from helix_substrate.torch.previous import PreviousCodes
from helix_substrate.torch.weight import DecodedWeight

TensorSpec = Mapping[str, tuple[torch.dtype, tuple[int, ...]]]


class CompressedModule(torch.nn.Module):
    """A module whose weight is stored as codes, in one persistent buffer per tensor of the file.

    `.to(dtype)`, `.half()` and the like change `module_dtype` (what `weight.dtype` says and what
    `dequantize` gives) and leave the codes as they are; `.to(device)` moves them.
    """

    transposed = False  # whether `weight` is the transpose of the stored matrix
    _tied: tuple[CompressedModule] | None  # in a tuple, so that it is no submodule

    def _hold(self, rows: int, columns: int, dtype: torch.dtype | None) -> None:
        """First thing after nn.Module.__init__: a (rows, columns) matrix without codes yet."""
        self.rows, self.columns = rows, columns
        self._module_dtype = dtype or torch.get_default_dtype()
        self._previous: list[PreviousCodes] = []
        self._tied = None
        self._is_hf_initialized = True  # transformers' initialisation leaves it alone
        for part in PARTS:
            self.register_buffer(part, None)

    def _set_codes(self, codes: Codes) -> None:
        check_layout(codes, self.rows, self.columns)
        if self._buffers["indices"] is not None:
            forget(self._buffers["indices"])
        for part, tensor in zip(PARTS, codes, strict=True):
            self._buffers[part] = tensor
            if tensor is not None:
                tensor._is_hf_initialized = True

    def _set_spec(self, tensors: TensorSpec, device: Any) -> None:
        unknown = sorted(set(tensors) - set(PARTS))
        if unknown:
            raise ValueError(f"no tensors of a compressed module: {', '.join(unknown)}")
        empty = {
            part: torch.empty(shape, dtype=dtype, device=device)
            for part, (dtype, shape) in tensors.items()
        }
        self._set_codes(Codes.from_mapping(empty))

    def tie_to(self, source: CompressedModule) -> None:
        """Lets go of its own codes and uses those of `source`, now and after they change.

        For tied heads: nothing is stored twice, and state_dict names the codes once.
        """
        if (source.rows, source.columns) != (self.rows, self.columns):
            raise ValueError(
                f"a {self.rows} x {self.columns} matrix cannot be tied to one of "
                f"{source.rows} x {source.columns}"
            )
        for part in PARTS:
            self._buffers[part] = None
        self._tied = (source,)

    # The codes and the matrix

    @property
    def codes(self) -> Codes:
        """The stored tensors (of the module it is tied to, if it is)."""
        if self._tied is not None:
            return self._tied[0].codes
        return Codes(*[self._buffers[part] for part in PARTS])

    @property
    def module_dtype(self) -> torch.dtype:
        """The dtype that the dense module would have."""
        return self._module_dtype

    @property
    def device(self) -> torch.device:
        return self.codes.codebook.device

    @property
    def weight_shape(self) -> tuple[int, int]:
        return (self.columns, self.rows) if self.transposed else (self.rows, self.columns)

    @property
    def weight(self) -> Tensor:
        """The dense matrix, decoded when an operation needs it; assign to it, or to its `.data`,
        to encode anew.
        """
        return self.dequantize() if torch.compiler.is_compiling() else DecodedWeight(self)

    def dequantize(self, dtype: torch.dtype | None = None) -> Tensor:
        """The dense matrix as a new plain tensor, shaped like `weight`, by default in its dtype."""
        dtype = dtype or self._module_dtype
        dense = torch.ops.helix.decode(*self.codes, self.rows, self.columns, dtype)
        return dense.T.contiguous() if self.transposed else dense

    def assign_weight(self, dense: Tensor, **options: Any) -> dict[str, float]:
        """`encode_weight`, but where `dense` is what an unmerge gives, the earlier codes come back.

        Then nothing is encoded, the codes are the same bytes again, and the result is empty.
        """
        if self._tied is not None:
            return self._tied[0].assign_weight(dense, **options)
        if self._previous and self._previous[-1].are_wanted(self._as_stored(dense)):
            self.restore_previous_codes()
            return {}
        return self.encode_weight(dense, **options)

    def encode_weight(self, dense: Tensor, **options: Any) -> dict[str, float]:
        """Encodes `dense`, of the shape of `weight`, and keeps the codes it had before.

        The options are those of `helix_substrate.encode`. Returns what is lost: snr_db, ...
        """
        if self._tied is not None:
            return self._tied[0].encode_weight(dense, **options)
        stored = self._as_stored(dense)
        codes, metrics = encode(stored, **options)
        self._previous.append(PreviousCodes(self.codes, codes, stored))
        self._set_codes(codes)
        return metrics

    def _as_stored(self, dense: Tensor) -> Tensor:
        if tuple(dense.shape) != self.weight_shape:
            raise ValueError(f"weight of {list(self.weight_shape)}: got {list(dense.shape)}")
        stored = dense.detach().to(self.device)
        return stored.T if self.transposed else stored

    def restore_previous_codes(self) -> None:
        """Takes the codes from before the last encoding back. Raises where there was none."""
        if self._tied is not None:
            self._tied[0].restore_previous_codes()
            return
        if not self._previous:
            raise RuntimeError("no earlier codes are kept: no weight was assigned")
        self._set_codes(self._previous.pop().codes)

    def forget_previous_codes(self) -> None:
        """Frees the codes that are kept for an unmerge."""
        holder = self if self._tied is None else self._tied[0]
        holder._previous.clear()

    # What nn.Module does with parameters and buffers

    def __setattr__(self, name: str, value: Any) -> None:
        if name == "weight":
            value = value.decoded() if isinstance(value, DecodedWeight) else value
            self.assign_weight(value)
        else:
            super().__setattr__(name, value)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> CompressedModule:
        buffers, self._buffers = self._buffers, {}
        try:
            super()._apply(fn, recurse)
        finally:
            self._buffers = buffers
        for part in PARTS:
            tensor = buffers[part]
            if tensor is not None:
                moved = fn(tensor)
                exact = moved.dtype == tensor.dtype
                buffers[part] = moved if exact else tensor.to(moved.device)
        for previous in self._previous:
            previous.to(self.device)
        probe = torch.empty(0, dtype=self._module_dtype, device=self.device)
        self._module_dtype = fn(probe).dtype
        return self

    def __getstate__(self) -> dict[str, Any]:
        state = dict(self.__dict__)
        indices = self._buffers["indices"]
        state["_buffers"] = {**self._buffers, "indices": as_picklable(indices)}
        state["_index_dtype"] = None if indices is None else indices.dtype
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        state = dict(state)
        dtype = state.pop("_index_dtype")
        super().__setstate__(state)
        if dtype is not None:
            self._buffers["indices"] = self._buffers["indices"].view(dtype)

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        strict: bool,
        missing_keys: list[str],
        unexpected_keys: list[str],
        error_msgs: list[str],
    ) -> None:
        """Takes the sizes of what arrives: codes of one weight differ from those of another."""
        arriving = {part: state_dict.get(prefix + part) for part in PARTS}
        if arriving["codebook"] is not None and arriving["indices"] is not None:
            try:
                self._make_room(Codes.from_mapping(arriving))
            except Exception as error:  # told with all others, as nn.Module does
                error_msgs.append(f"{prefix.rstrip('.')}: {error}")
                return
        super()._load_from_state_dict(
            state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
        )

    def _make_room(self, arriving: Codes) -> None:
        check_layout(arriving, self.rows, self.columns)
        if arriving.codebook.device.type != "meta":
            check_contents(arriving, self.rows, self.columns)
        self._previous.clear()
        forget(self._buffers["indices"])
        device = self.device
        for part, tensor in zip(PARTS, arriving, strict=True):
            room = None if tensor is None else torch.empty_like(tensor, device=device)
            self._buffers[part] = room

    def reset_parameters(self) -> None:
        raise RuntimeError("the codes of a compressed module cannot be initialised at random")

    def _codes_repr(self) -> str:
        codes = self.codes
        outliers = 0 if codes.sidecar_positions is None else codes.sidecar_positions.numel()
        vectors = f" x {codes.vector_size}" if codes.vector_size > 1 else ""
        return f"codebook={len(codes.codebook)}{vectors}, outliers={outliers}"
