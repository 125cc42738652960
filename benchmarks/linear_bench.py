#!/usr/bin/env python3
"""HelixLinear beside dense nn.Linear and what other packages quantise to, on a CPU.

    benchmarks/linear_bench.py [--threads 2] [--rounds 12] [--layers 2] [--markdown FILE]

One decoder layer of TinyLlama-1.1B: q and o 2048 x 2048, k and v 256 x 2048, gate and up
5632 x 2048, down 2048 x 5632 (44 million weights), each product after the other on an input of its
own, for 1 token and 128 tokens. `layers` copies of the layer are run in turn, so that no form lies
in the cache. Weights are Gaussian numbers that BF16 can express; HelixLinear has a 256-entry
codebook and one outlier in 1000 weights. Every variant is timed once per round, in turn; the best
round is shown, the median in brackets.

Packages that are not installed are left out. The error is that of one product against the product
with the dense weights in F64.
"""

from __future__ import annotations

import argparse
import logging
import statistics
import sys
import time
import warnings
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "python"))
from helix_substrate.torch import HelixLinear

SHAPES = [(2048, 2048)] * 2 + [(256, 2048)] * 2 + [(5632, 2048)] * 2 + [(2048, 5632)]
TOKENS = (1, 128)
Build = Callable[[nn.Linear], nn.Module]
_encoded: dict[int, HelixLinear] = {}


def helix(linear: nn.Linear) -> nn.Module:
    """Encoded once for both types of activations: they share their codes."""
    key = id(linear)
    if key not in _encoded:
        _encoded[key] = HelixLinear.from_dense(linear, outliers=linear.weight.numel() // 1000)
    return _encoded[key]


def bitsandbytes_int8(linear: nn.Linear) -> nn.Module:
    from bitsandbytes.nn import Int8Params, Linear8bitLt

    module = Linear8bitLt(linear.in_features, linear.out_features, False, has_fp16_weights=False)
    module.weight = Int8Params(
        linear.weight.data.clone(), requires_grad=False, has_fp16_weights=False
    )
    return module.to("cpu")


def bitsandbytes_nf4(linear: nn.Linear) -> nn.Module:
    from bitsandbytes.nn import Linear4bit, Params4bit

    module = Linear4bit(linear.in_features, linear.out_features, False, quant_type="nf4")
    module.weight = Params4bit(linear.weight.data.clone(), quant_type="nf4", requires_grad=False)
    return module.to("cpu")


def torchao_int8(linear: nn.Linear) -> nn.Module:
    from torchao.quantization import Int8WeightOnlyConfig, quantize_

    return _by_torchao(linear, quantize_, Int8WeightOnlyConfig())


def torchao_int8_dynamic(linear: nn.Linear) -> nn.Module:
    from torchao.quantization import Int8DynamicActivationInt8WeightConfig, quantize_

    return _by_torchao(linear, quantize_, Int8DynamicActivationInt8WeightConfig())


def _by_torchao(linear: nn.Linear, quantize: Callable[..., None], config: object) -> nn.Module:
    holder = nn.Sequential(dense_bf16(linear))
    quantize(holder, config)
    return holder


def dense_bf16(linear: nn.Linear) -> nn.Linear:
    return dense(linear).to(torch.bfloat16)


def dense(linear: nn.Linear) -> nn.Linear:
    copy = nn.Linear(linear.in_features, linear.out_features, bias=False, device="meta")
    copy.weight = nn.Parameter(linear.weight.data.clone(), requires_grad=False)
    return copy


# name, dtype of the activations, how it is made, whether compiled
VARIANTS: list[tuple[str, torch.dtype, Build, bool]] = [
    ("nn.Linear F32", torch.float32, dense, False),
    ("HelixLinear, F32 activations", torch.float32, helix, False),
    ("nn.Linear BF16", torch.bfloat16, dense_bf16, False),
    ("HelixLinear, BF16 activations", torch.bfloat16, helix, False),
    ("bitsandbytes int8, BF16", torch.bfloat16, bitsandbytes_int8, False),
    ("bitsandbytes NF4, BF16", torch.bfloat16, bitsandbytes_nf4, False),
    ("torchao int8 weights, BF16", torch.bfloat16, torchao_int8, False),
    ("torchao int8 weights, BF16, compiled", torch.bfloat16, torchao_int8, True),
    (
        "torchao int8 weights and activations, BF16, compiled",
        torch.bfloat16,
        torchao_int8_dynamic,
        True,
    ),
]


class Layer(nn.Module):
    def __init__(self, build: Build, weights: list[nn.Linear]) -> None:
        super().__init__()
        self.linears = nn.ModuleList(build(linear) for linear in weights)

    def forward(self, inputs: dict[int, Tensor]) -> list[Tensor]:
        return [linear(inputs[n]) for linear, n in zip(self.linears, WIDTHS, strict=True)]


WIDTHS = [columns for _, columns in SHAPES]


@cache
def random_layer(seed: int) -> list[nn.Linear]:
    """F32 weights that BF16 can express, so that every variant starts from the same."""
    torch.manual_seed(seed)
    layer = []
    for rows, columns in SHAPES:
        linear = nn.Linear(columns, rows, bias=False, device="meta")
        linear.weight = nn.Parameter((torch.randn(rows, columns) * 0.02).bfloat16().float(), False)
        layer.append(linear)
    return layer


def stored_bytes(layer: nn.Module) -> int:
    """Of everything that a state_dict would hold."""
    return sum(_bytes(tensor) for tensor in layer.state_dict().values() if torch.is_tensor(tensor))


def _bytes(tensor: Tensor) -> int:
    parts = getattr(tensor, "__tensor_flatten__", None)
    if parts is None:
        return tensor.untyped_storage().nbytes()
    return sum(_bytes(getattr(tensor, name)) for name in parts()[0])


def error_of(layer: nn.Module, weights: list[nn.Linear], dtype: torch.dtype) -> float:
    x = torch.randn(16, WIDTHS[4]).to(dtype)
    wanted = x.double() @ weights[4].weight.double().T
    return float((layer.linears[4](x).double() - wanted).norm() / wanted.norm())


class Contender:
    def __init__(
        self, name: str, dtype: torch.dtype, build: Build, compiled: bool, layers: int
    ) -> None:
        self.name, self.dtype = name, dtype
        weights = [random_layer(seed) for seed in range(layers)]
        self.layers = [Layer(build, layer).eval() for layer in weights]
        self.megabytes = stored_bytes(self.layers[0]) / 1e6
        self.error = error_of(self.layers[0], weights[0], dtype)
        self.runs = [torch.compile(layer) if compiled else layer for layer in self.layers]
        self.inputs = {
            tokens: {n: torch.randn(tokens, n).to(dtype) for n in set(WIDTHS)} for tokens in TOKENS
        }
        self.times: dict[int, list[float]] = {tokens: [] for tokens in TOKENS}

    def run(self, tokens: int) -> None:
        begin = time.perf_counter()
        for layer in self.runs:
            layer(self.inputs[tokens])
        self.times[tokens].append((time.perf_counter() - begin) / len(self.runs) * 1e3)

    def row(self) -> str:
        cells = [self.name, f"{self.megabytes:.1f}"]
        for tokens in TOKENS:
            times = self.times[tokens]
            cells.append(f"{min(times):.2f} ({statistics.median(times):.2f})")
        return "| " + " | ".join([*cells, f"{self.error:.1e}"]) + " |"


def contenders(layers: int) -> list[Contender]:
    found = []
    for name, dtype, build, compiled in VARIANTS:
        try:
            contender = Contender(name, dtype, build, compiled, layers)
            for tokens in TOKENS:
                contender.run(tokens)  # compiles, prepares
                contender.times[tokens].clear()
            found.append(contender)
        except Exception as error:  # a package that is missing or does not work on this CPU
            print(f"left out: {name}: {type(error).__name__}: {error}"[:300], file=sys.stderr)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description="HelixLinear beside its peers on a CPU.")
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--rounds", type=int, default=12)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--markdown", type=Path, help="append the table to this file")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    warnings.simplefilter("ignore")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    with torch.no_grad():
        begin = time.perf_counter()
        found = contenders(options.layers)
        print(f"made ready in {time.perf_counter() - begin:.0f} s", file=sys.stderr)
        for tokens in TOKENS:
            for _ in range(options.rounds):
                for contender in found:
                    contender.run(tokens)
    head = "| weights | MB per layer | 1 token, ms | 128 tokens, ms | relative error |"
    table = "\n".join([head, "|---|---|---|---|---|", *(each.row() for each in found)])
    print(table)
    if options.markdown:
        with options.markdown.open("a") as file:
            file.write(table + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
