"""The operators of torch.ops.helix, registered from Python: nothing is compiled against torch.

    linear(x, codes..., bias, rows, columns)        x (..., columns) -> (..., rows), dtype of x
    linear_transposed(g, codes..., rows, columns)   g (..., rows) -> (..., columns), dtype of g
    embedding(ids, codes..., rows, columns, dtype)  ids (...) -> (..., columns)
    decode(codes..., rows, columns, dtype)          -> (rows, columns)

`codes...` are the eight tensors of `Codes`. On a CPU the compiled kernels get the addresses of x
and of a fresh result; elsewhere, and for F64, the matrix is decoded by tiles in PyTorch, which is
said once per kind of device. linear and linear_transposed are each other's gradient, so gradients
of any order exist for x; bias has one too; the codes have none.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable
from typing import Any

import torch
from torch import Tensor, library
from torch.autograd import forward_ad

from helix_substrate.torch import tiles
from helix_substrate.torch.codes import Codes
from helix_substrate.torch.prepared import prepare, prepare_any_bias

NATIVE_DTYPES = {torch.float32: "F32", torch.float16: "F16", torch.bfloat16: "BF16"}
CODE_COUNT = len(Codes._fields)

_CODES = (
    "Tensor codebook, Tensor indices, Tensor? sidecar_positions, Tensor? sidecar_values, "
    "Tensor? svd_u, Tensor? svd_s, Tensor? svd_vt, Tensor? channel_scales"
)
_SCHEMAS = {
    "linear": f"(Tensor x, {_CODES}, Tensor? bias, int rows, int columns) -> Tensor",
    "linear_transposed": f"(Tensor g, {_CODES}, int rows, int columns) -> Tensor",
    "embedding": f"(Tensor ids, {_CODES}, int rows, int columns, ScalarType dtype) -> Tensor",
    "decode": f"({_CODES}, int rows, int columns, ScalarType dtype) -> Tensor",
}
_library = library.Library("helix", "DEF")
_said: set[str] = set()


def _say_once(kind: str) -> None:
    """Tells, once per kind of device, that the plain PyTorch path is taken there."""
    if kind in _said:
        return
    _said.add(kind)
    reason = "the compiled module is missing" if kind == "cpu" else "it has no compiled kernels yet"
    warnings.warn(
        f"helix_substrate decodes by tiles in PyTorch on device {kind!r}: {reason}. "
        "Results are right, and slower.",
        stacklevel=3,
    )


def _codes_for(tensor: Tensor, parts: Iterable[Tensor | None]) -> Codes:
    codes = Codes(*parts)
    if tensor.device != codes.codebook.device:
        raise RuntimeError(f"helix: input on {tensor.device}, codes on {codes.codebook.device}")
    return codes


def _usable(matrix: Any, tensor: Tensor, dtype: torch.dtype) -> Any:
    """The prepared matrix where it serves this device and dtype, else None."""
    if matrix is None:
        _say_once(tensor.device.type)
        return None
    return matrix if dtype in NATIVE_DTYPES else None


def _check_width(tensor: Tensor, width: int, what: str) -> None:
    if tensor.ndim == 0 or tensor.shape[-1] != width:
        raise ValueError(
            f"helix::{what}: input of shape {list(tensor.shape)}, expected (..., {width})"
        )
    if not tensor.is_floating_point():
        raise TypeError(f"helix::{what}: input of {tensor.dtype}, expected a floating point type")


def _linear(x: Tensor, *rest: Any) -> Tensor:
    *parts, bias, rows, columns = rest
    _check_width(x, columns, "linear")
    codes = _codes_for(x, parts)
    matrix = _usable(prepare(codes, bias, rows, columns), x, x.dtype)
    shape = (*x.shape[:-1], rows)
    if matrix is None:
        return tiles.multiply(codes, rows, columns, x.reshape(-1, columns), bias).reshape(shape)
    x = x.contiguous()
    y = torch.empty(shape, dtype=x.dtype)
    if y.numel():
        precision = "f32" if x.dtype == torch.float32 else "bf16"
        batch, dtype = x.numel() // columns, NATIVE_DTYPES[x.dtype]
        threads = torch.get_num_threads()
        matrix.multiply(x.data_ptr(), y.data_ptr(), batch, dtype, precision, threads)
    return y


def _linear_transposed(g: Tensor, *rest: Any) -> Tensor:
    *parts, rows, columns = rest
    _check_width(g, rows, "linear_transposed")
    codes = _codes_for(g, parts)
    matrix = _usable(prepare_any_bias(codes, rows, columns), g, g.dtype)
    shape = (*g.shape[:-1], columns)
    if matrix is None:
        flat = g.reshape(-1, rows)
        return tiles.multiply_transposed(codes, rows, columns, flat).reshape(shape)
    g = g.contiguous()
    y = torch.empty(shape, dtype=g.dtype)
    if y.numel():
        batch, dtype = g.numel() // rows, NATIVE_DTYPES[g.dtype]
        matrix.multiply_transposed(
            g.data_ptr(), y.data_ptr(), batch, dtype, torch.get_num_threads()
        )
    return y


def _embedding(ids: Tensor, *rest: Any) -> Tensor:
    *parts, rows, columns, dtype = rest
    codes = _codes_for(ids, parts)
    matrix = _usable(prepare_any_bias(codes, rows, columns), ids, dtype)
    ids = _checked_ids(ids, rows)
    shape = (*ids.shape, columns)
    if matrix is None:
        return tiles.gather_rows(codes, columns, ids.reshape(-1)).to(dtype).reshape(shape)
    y = torch.empty(shape, dtype=dtype)
    if y.numel():
        matrix.embed(
            ids.data_ptr(), ids.numel(), y.data_ptr(), NATIVE_DTYPES[dtype], torch.get_num_threads()
        )
    return y


def _checked_ids(ids: Tensor, rows: int) -> Tensor:
    if ids.dtype not in (torch.int64, torch.int32):
        raise TypeError(f"helix::embedding: ids of {ids.dtype}, expected int64 or int32")
    ids = ids.to(torch.int64).contiguous()
    if ids.numel():
        least, largest = (int(bound) for bound in torch.aminmax(ids))
        if least < 0 or largest >= rows:
            wrong = least if least < 0 else largest
            raise IndexError(f"helix::embedding: id {wrong} of an embedding of {rows} rows")
    return ids


def _decode(*arguments: Any) -> Tensor:
    *parts, rows, columns, dtype = arguments
    codes = Codes(*parts)
    device = codes.codebook.device
    if device.type == "meta":
        return torch.empty((rows, columns), dtype=dtype, device=device)
    matrix = prepare_any_bias(codes, rows, columns)
    if matrix is None or dtype not in NATIVE_DTYPES:
        return tiles.decode(codes, rows, columns, dtype)
    weights = torch.empty((rows, columns), dtype=dtype)
    matrix.decode(weights.data_ptr(), NATIVE_DTYPES[dtype], 0, rows, torch.get_num_threads())
    return weights


def linear(x: Tensor, codes: Codes, bias: Tensor | None, rows: int, columns: int) -> Tensor:
    """torch.ops.helix.linear, past the dispatcher where nothing would listen there.

    That saves 10 of the 24 us that a call takes on a small matrix.
    """
    grad = x.requires_grad or (bias is not None and bias.requires_grad)
    if (grad and torch.is_grad_enabled()) or torch.compiler.is_compiling() or _is_watched(x):
        _refuse_forward_mode(x)
        return torch.ops.helix.linear(x, *codes, bias, rows, columns)
    return _linear(x, *codes, bias, rows, columns)


def _refuse_forward_mode(x: Tensor) -> None:
    """An operator registered from Python would drop the tangent without a word."""
    if torch.compiler.is_compiling() or getattr(forward_ad, "_current_level", -1) < 0:
        return
    if forward_ad.unpack_dual(x).tangent is not None:
        raise NotImplementedError("helix::linear has no forward-mode derivative, only gradients")


def _is_watched(x: Tensor) -> bool:
    """Whether a subclass, a mode, a transform, a tracer or a profiler would see the operator."""
    try:
        return (
            type(x) is not Tensor
            or x.is_meta
            or torch._C._len_torch_dispatch_stack() > 0
            or torch._C._len_torch_function_stack() > 0
            or torch._C._functorch.maybe_current_level() is not None
            or torch._C._get_tracing_state() is not None
            or torch._C._autograd._profiler_enabled()
            or forward_ad._current_level >= 0
        )
    except AttributeError:  # another torch: ask the dispatcher
        return True


# What tracing sees: shapes and dtypes alone


def _linear_fake(x: Tensor, *rest: Any) -> Tensor:
    rows, columns = rest[-2:]
    _check_width(x, columns, "linear")
    _codes_for(x, rest[:CODE_COUNT])
    return x.new_empty((*x.shape[:-1], rows))


def _linear_transposed_fake(g: Tensor, *rest: Any) -> Tensor:
    rows, columns = rest[-2:]
    _check_width(g, rows, "linear_transposed")
    _codes_for(g, rest[:CODE_COUNT])
    return g.new_empty((*g.shape[:-1], columns))


def _embedding_fake(ids: Tensor, *rest: Any) -> Tensor:
    columns, dtype = rest[-2:]
    _codes_for(ids, rest[:CODE_COUNT])
    return ids.new_empty((*ids.shape, columns), dtype=dtype)


def _decode_fake(codebook: Tensor, *rest: Any) -> Tensor:
    rows, columns, dtype = rest[-3:]
    return codebook.new_empty((rows, columns), dtype=dtype)


# Gradients


def _keep_codes(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    codes = inputs[1 : 1 + CODE_COUNT]
    bias = inputs[1 + CODE_COUNT] if len(inputs) == CODE_COUNT + 4 else None
    if any(code is not None and code.requires_grad for code in codes):
        raise RuntimeError("helix: the codes of a matrix have no gradient; freeze them")
    ctx.save_for_backward(*codes)
    ctx.bias_dtype = None if bias is None else bias.dtype
    ctx.shape = inputs[-2:]


def _linear_backward(context: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    rows, columns = context.shape
    grad_x = grad_bias = None
    if context.needs_input_grad[0]:
        grad_x = torch.ops.helix.linear_transposed(g, *context.saved_tensors, rows, columns)
    if context.needs_input_grad[1 + CODE_COUNT]:
        wide = torch.promote_types(g.dtype, torch.float32)
        grad_bias = g.reshape(-1, rows).sum(0, dtype=wide).to(context.bias_dtype)
    return (grad_x, *[None] * CODE_COUNT, grad_bias, None, None)


def _linear_transposed_backward(context: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    codes, shape = context.saved_tensors, context.shape
    return (torch.ops.helix.linear(g, *codes, None, *shape), *[None] * (CODE_COUNT + 2))


def _register() -> None:
    kernels = {
        "linear": (_linear, _linear_fake),
        "linear_transposed": (_linear_transposed, _linear_transposed_fake),
        "embedding": (_embedding, _embedding_fake),
        "decode": (_decode, _decode_fake),
    }
    for name, schema in _SCHEMAS.items():
        kernel, fake = kernels[name]
        _library.define(name + schema, tags=(torch.Tag.pt2_compliant_tag,))
        _library.impl(name, kernel, "CompositeExplicitAutograd")
        library.register_fake(f"helix::{name}", fake, lib=_library)
    for name, backward in (
        ("linear", _linear_backward),
        ("linear_transposed", _linear_transposed_backward),
    ):
        library.register_autograd(
            f"helix::{name}", backward, setup_context=_keep_codes, lib=_library
        )


_register()
