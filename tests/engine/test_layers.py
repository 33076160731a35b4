"""Linear maps and norms give what torch's own give, whichever kernel computes them."""

import copy

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional as F

from mpeval.engine import layers
from mpeval.engine.layers import Kept, RMSNorm, linear


@pytest.fixture
def asked(monkeypatch):
    """The rows for which oneDNN's product was taken."""
    if not layers._has_onednn():
        pytest.skip("this build of torch has no oneDNN")
    rows, product = [], torch.ops.mkldnn._linear_pointwise

    def counted(x, *rest):
        rows.append(x.numel() // x.shape[-1])
        return product(x, *rest)

    monkeypatch.setattr(torch.ops.mkldnn, "_linear_pointwise", counted)
    return rows


@pytest.mark.parametrize("bias", [False, True])
@pytest.mark.parametrize("shape", [(4, 24), (2, 3, 24), (64, 1, 24)], ids=str)
@torch.inference_mode()
def test_a_few_rows_through_onednn(shape, bias, asked, monkeypatch):
    monkeypatch.setattr(layers, "LARGE", 1)
    monkeypatch.setattr(layers, "MIDDLING", 1)
    torch.manual_seed(0)
    weight, x = torch.randn(10, 24), torch.randn(shape)
    own = torch.randn(10) if bias else None
    assert torch.allclose(linear(x, weight, own), F.linear(x, weight, own), atol=1e-5)
    every_other = torch.randn(*shape[:-1], 48)[..., ::2]
    assert torch.allclose(linear(every_other, weight, own), F.linear(every_other, weight, own), atol=1e-5)
    assert len(asked) == 2


@pytest.mark.parametrize(
    ("size", "threads", "rows"),
    [(1024, 1, {4, 16, 64}), (1024, 2, {4, 16, 64}), (256, 1, set()), (256, 2, {16}), (200, 2, set())],
    ids=str,
)
@torch.inference_mode()
def test_which_product_is_taken(size, threads, rows, asked, monkeypatch):
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    weight = torch.zeros(size, size)
    for count in (0, 1, 3, 4, 16, 64, 65, 200):
        assert linear(torch.zeros(count, size), weight).shape == (count, size)
    assert set(asked) == rows


def test_with_a_gradient_and_in_bfloat16_torch_does_it(asked):
    weight = torch.randn(1024, 1024, requires_grad=True)
    linear(torch.randn(6, 1024), weight).sum().backward()
    assert weight.grad is not None
    with torch.no_grad():
        linear(torch.randn(6, 1024).bfloat16(), weight.bfloat16())
    assert asked == []


def _norm(width, dtype=torch.float32):
    norm = RMSNorm(width, 1e-6).to(dtype)
    with torch.no_grad():
        norm.weight.copy_(torch.randn(width))
    return norm


@given(st.integers(0, 2**31), st.integers(1, 40), st.integers(-12, 9))
def test_a_norm_is_torchs_own(seed, width, power):
    """At every size of numbers: also where eps is larger than their squares."""
    torch.manual_seed(seed)
    norm, x = _norm(width), torch.randn(2, 3, width) * 10.0**power
    with torch.no_grad():
        own = F.rms_norm(x, (width,), None, norm.eps) * norm.weight
        assert torch.allclose(norm(x), own, rtol=2e-6, atol=1e-30)


def test_zeros_stay_zeros():
    with torch.no_grad():
        assert torch.equal(_norm(8)(torch.zeros(1, 8)), torch.zeros(1, 8))


def test_in_bfloat16_the_weight_comes_after_rounding():
    torch.manual_seed(0)
    norm, x = _norm(16, torch.bfloat16), torch.randn(4, 16).bfloat16()
    with torch.no_grad():
        wide = x.float() * torch.rsqrt(x.float().square().mean(-1, keepdim=True) + norm.eps)
        assert torch.equal(norm(x), wide.bfloat16() * norm.weight)


def test_a_norm_learns_and_forgets_what_it_kept():
    torch.manual_seed(0)
    norm, x = _norm(8), torch.randn(3, 8)

    def is_torchs() -> bool:
        with torch.inference_mode():
            return torch.allclose(norm(x), F.rms_norm(x, (8,), norm.weight, norm.eps), atol=1e-6)

    assert is_torchs()
    norm(x).square().sum().backward()
    torch.optim.SGD(norm.parameters(), lr=0.1).step()
    assert is_torchs()
    norm.weight.data = torch.randn(8)
    assert is_torchs()


@torch.no_grad()
def test_weights_that_come_to_lie_where_others_did():
    """Memory that is given back is soon given out again, to a tensor that was changed as often."""
    width, x = 4096, torch.randn(2, 4096)
    for _ in range(20):
        norm = RMSNorm(width, 1e-6)
        norm(x)
        del norm.weight
        norm.weight = torch.nn.Parameter(torch.randn(width))
        assert torch.allclose(norm(x), F.rms_norm(x, (width,), norm.weight, norm.eps), atol=1e-5)


@torch.no_grad()
def test_a_copied_norm_keeps_nothing_of_the_others():
    x = torch.randn(2, 64)
    norm = _norm(64)
    norm(x)
    copied = copy.deepcopy(norm)
    assert copied.kept._value is None
    copied.weight.copy_(torch.randn(64))  # changed as often as the other one
    assert torch.allclose(copied(x), F.rms_norm(x, (64,), copied.weight, copied.eps), atol=1e-5)


@torch.inference_mode()
def test_tensors_that_do_not_count_their_changes_are_not_kept():
    kept, weight = Kept(), torch.ones(3)
    assert kept.get(lambda w: 2 * w, weight).tolist() == [2, 2, 2]
    weight.fill_(2)
    assert kept.get(lambda w: 2 * w, weight).tolist() == [4, 4, 4]
