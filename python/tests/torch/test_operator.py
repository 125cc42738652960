"""torch.ops.helix: shapes, dtypes, errors, autograd, autocast, compile."""

from __future__ import annotations

import copy

import pytest
import torch
from matrices import dense_matrix, random_codes, relative_error
from torch import library, nn
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils.checkpoint import checkpoint

from helix_substrate.torch import HelixEmbedding, HelixLinear, operators

ROWS, COLUMNS = 46, 36
KINDS = ("plain", "everything", "u16")


def linear_of(kind: str, bias: bool = True) -> HelixLinear:
    codes = random_codes(kind, ROWS, COLUMNS)
    return HelixLinear.from_codes(codes, COLUMNS, ROWS, torch.randn(ROWS) if bias else None)


@pytest.fixture(params=KINDS)
def module(request) -> HelixLinear:
    return linear_of(request.param)


@pytest.mark.parametrize("shape", [(), (1,), (3,), (2, 3), (1, 2, 1, 3), (0,), (2, 0, 3)])
def test_any_leading_shape(module: HelixLinear, shape: tuple[int, ...]) -> None:
    x = torch.randn(*shape, COLUMNS, requires_grad=True)
    dense = module.to_dense()
    found = module(x)
    assert found.shape == (*shape, ROWS)
    assert torch.allclose(found, dense(x), rtol=1e-5, atol=1e-5)
    found.sum().backward()
    assert x.grad.shape == x.shape


def test_any_stride(module: HelixLinear) -> None:
    dense = module.to_dense()
    wide = torch.randn(COLUMNS, 5)
    for x in (wide.T, torch.randn(4, 2 * COLUMNS)[:, ::2], torch.randn(1, COLUMNS).expand(6, -1)):
        assert torch.allclose(module(x), dense(x), rtol=1e-5, atol=1e-5)


def test_results_are_fresh(module: HelixLinear) -> None:
    y = module(torch.randn(2, 3, COLUMNS, requires_grad=True))
    assert not y._is_view()
    y += 1  # AdaLoRA does
    y.sum().backward()


def test_what_does_not_fit_is_refused(module: HelixLinear) -> None:
    for x in (torch.randn(2, COLUMNS + 1), torch.randn(COLUMNS, 2), torch.tensor(1.0)):
        with pytest.raises(ValueError, match=rf"expected \(\.\.\., {COLUMNS}\)"):
            module(x)
    with pytest.raises(TypeError, match="int64, expected a floating point type"):
        module(torch.ones(2, COLUMNS, dtype=torch.int64))


def test_devices_that_differ_are_refused(module: HelixLinear) -> None:
    shell = copy.deepcopy(module).to("meta")
    embedding = HelixEmbedding.from_codes(shell.codes, ROWS, COLUMNS)
    for call in (lambda: shell(torch.randn(1, COLUMNS)), lambda: embedding(torch.tensor([1]))):
        with pytest.raises(RuntimeError, match="input on cpu, codes on meta"):
            call()
    with pytest.raises(RuntimeError, match="input on meta, codes on cpu"):
        module(torch.empty(1, COLUMNS, device="meta"))


@pytest.mark.parametrize("ids", [[0, ROWS], [-1], [2**40]])
def test_ids_out_of_range(ids: list[int]) -> None:
    module = HelixEmbedding.from_codes(random_codes("plain", ROWS, COLUMNS), ROWS, COLUMNS)
    with pytest.raises(IndexError, match=rf"id {ids[-1]} of an embedding of {ROWS} rows"):
        module(torch.tensor(ids))
    with pytest.raises(TypeError, match=r"ids of torch\.float32"):
        module(torch.tensor([0.0]))
    assert module(torch.empty(0, 3, dtype=torch.int64)).shape == (0, 3, COLUMNS)


def test_embedding_in_its_dtype() -> None:
    codes = random_codes("everything", ROWS, COLUMNS)
    module = HelixEmbedding.from_codes(codes, ROWS, COLUMNS, padding_idx=3)
    ids = torch.tensor([3, 45])
    for dtype in (torch.float32, torch.bfloat16, torch.float16, torch.float64):
        found = module.to(dtype)(ids)
        assert found.dtype == dtype
        assert relative_error(found, dense_matrix(codes, ROWS, COLUMNS)[ids]) <= 4e-3
    assert module.to_dense().padding_idx == module.padding_idx == 3


# Autograd


def test_gradients_of_first_and_second_order(module: HelixLinear) -> None:
    module = module.double()
    x = torch.randn(3, COLUMNS, dtype=torch.float64, requires_grad=True)
    assert torch.autograd.gradcheck(module, x)
    assert torch.autograd.gradgradcheck(module, x)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16])
def test_gradients_in_every_dtype(module: HelixLinear, dtype: torch.dtype) -> None:
    dense = module.to_dense().double()
    x = torch.randn(2, 9, COLUMNS).to(dtype).requires_grad_()
    g = torch.randn(2, 9, ROWS).to(dtype)
    module(x).backward(g)
    wanted = g.double() @ dense.weight
    assert x.grad.dtype == dtype
    assert relative_error(x.grad, wanted) <= (1e-6 if dtype == torch.float32 else 4e-3)
    assert relative_error(module.bias.grad, g.double().sum((0, 1))) <= 1e-6


def test_codes_have_no_gradient(module: HelixLinear) -> None:
    module.codebook.requires_grad_()
    with pytest.raises(RuntimeError, match="codes of a matrix have no gradient"):
        module(torch.randn(1, COLUMNS))


def test_nothing_of_the_input_is_kept_for_the_gradient(module: HelixLinear) -> None:
    kept = []
    with torch.autograd.graph.saved_tensors_hooks(lambda t: kept.append(t) or t, lambda t: t):
        module(torch.randn(64, COLUMNS, requires_grad=True))
    assert all(tensor.numel() != 64 * COLUMNS for tensor in kept)


@pytest.mark.parametrize("reentrant", [False, True])
def test_gradient_checkpointing(module: HelixLinear, reentrant: bool) -> None:
    stack = nn.Sequential(module, nn.GELU(), nn.Linear(ROWS, 8))
    x = torch.randn(4, COLUMNS, requires_grad=True)
    stack(x).sum().backward()
    wanted, x.grad = x.grad, None
    checkpoint(stack, x, use_reentrant=reentrant).sum().backward()
    assert torch.equal(x.grad, wanted)


def test_autocast(module: HelixLinear) -> None:
    x = torch.randn(3, COLUMNS, requires_grad=True)
    for dtype in (torch.bfloat16, torch.float16):
        with torch.autocast("cpu", dtype):
            y = module(x)
        assert y.dtype == dtype
        assert relative_error(y, module.to_dense()(x)) <= 1e-2
        y.float().sum().backward()
        assert x.grad.dtype == torch.float32
    with torch.autocast("cpu", torch.bfloat16, enabled=False):
        assert module(x).dtype == torch.float32


# Tracing


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.filterwarnings("ignore")
def test_the_operators_are_sound_for_tracing(kind: str) -> None:
    codes = random_codes(kind, ROWS, COLUMNS)
    x = torch.randn(2, 3, COLUMNS, requires_grad=True)
    g = torch.randn(2, 3, ROWS, requires_grad=True)
    bias, shape = torch.randn(ROWS, requires_grad=True), (ROWS, COLUMNS)
    ids = torch.tensor([[1, 2], [45, 0]])
    for operator, arguments in (
        (torch.ops.helix.linear.default, (x, *codes, bias, *shape)),
        (torch.ops.helix.linear_transposed.default, (g, *codes, *shape)),
        (torch.ops.helix.embedding.default, (ids, *codes, *shape, torch.bfloat16)),
        (torch.ops.helix.decode.default, (*codes, *shape, torch.float16)),
    ):
        library.opcheck(operator, arguments)


class Block(nn.Module):
    """An embedding, products under autocast, a look at the weight: what models do."""

    def __init__(self) -> None:
        super().__init__()
        codes = random_codes("sidecar", ROWS, COLUMNS)
        self.embedding = HelixEmbedding.from_codes(codes, ROWS, COLUMNS)
        self.first = linear_of("everything")
        self.second = HelixLinear.from_codes(random_codes("12 bit", 36, ROWS), ROWS, 36)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.embedding(ids)
        x = self.second(nn.functional.silu(self.first(x.to(self.first.weight.dtype))))
        with torch.autocast("cpu", torch.bfloat16):
            low = self.first(x)
        return x @ self.first.weight.T + low.float()


def test_compiles_to_one_graph() -> None:
    block = Block()
    torch._dynamo.reset()
    compiled = torch.compile(block, fullgraph=True, backend="aot_eager")
    for shape in ((2, 3), (2, 3), (4, 7)):
        ids = torch.randint(0, ROWS, shape)
        assert relative_error(compiled(ids), block(ids)) <= 1e-5


def test_compiled_gradients() -> None:
    block = nn.Sequential(linear_of("sidecar"), nn.SiLU(), nn.Linear(ROWS, 4))
    torch._dynamo.reset()
    compiled = torch.compile(block, fullgraph=True)
    x = torch.randn(5, COLUMNS, requires_grad=True)
    block(x).square().sum().backward()
    wanted, x.grad = x.grad, None
    compiled(x).square().sum().backward()
    assert relative_error(x.grad, wanted) <= 1e-5


def test_exports() -> None:
    exported = torch.export.export(linear_of("sidecar"), (torch.randn(3, COLUMNS),))
    assert any("helix.linear" in str(node.target) for node in exported.graph.nodes)


# The short way past the dispatcher


def test_whoever_listens_hears_the_operator(module: HelixLinear) -> None:
    x, wanted = torch.randn(2, COLUMNS), module.to_dense()
    module.requires_grad_(False)
    assert not operators._is_watched(x)
    with torch.profiler.profile() as profile:
        module(x)
    assert any(event.name == "helix::linear" for event in profile.events())
    with FakeTensorMode(allow_non_fake_inputs=True) as mode:
        assert type(module(mode.from_tensor(x))).__name__ == "FakeTensor"
    seen = []

    class Listener(TorchDispatchMode):
        def __torch_dispatch__(self, func, types, args=(), kwargs=None):
            seen.append(str(func))
            return func(*args, **(kwargs or {}))

    with Listener():
        module(x)
    assert "helix.linear.default" in seen
    assert torch.allclose(module(x), wanted(x), atol=1e-5)


def test_forward_mode_says_that_it_is_not_there(module: HelixLinear) -> None:
    module.requires_grad_(False)
    x = torch.randn(2, COLUMNS)
    with pytest.raises(NotImplementedError, match="no forward-mode derivative"):
        torch.func.jvp(module, (x,), (torch.ones_like(x),))


def test_functional_transforms_are_refused(module: HelixLinear) -> None:
    with pytest.raises(RuntimeError, match="functorch transforms"):
        torch.func.grad(lambda x: module(x).sum())(torch.randn(2, COLUMNS))
