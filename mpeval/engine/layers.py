"""Linear maps and root-mean-square norms, by the kernels that take least time for what they are given."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import lru_cache

import torch
from torch import Tensor, nn
from torch.nn import functional as F

FEW_ROWS = range(4, 65)
"""For so many rows torch's own product with a large matrix on a CPU copies all of it into another order first; oneDNN's
reads it as it lies, in half the time. (This and the following: measured in float32 on a Xeon with AVX-512.)"""
LARGE = 1 << 20
"""Numbers in a matrix that does not stay in the processor's cache; with a smaller one nothing is won."""
SOME_ROWS, MIDDLING = range(12, 49), 1 << 16
"""With several threads that is so for smaller matrices too."""


def linear(x: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x @ weight.T + bias`: x [..., inputs], weight [outputs, inputs], bias [outputs]; gives [..., outputs]."""
    if weight.numel() >= MIDDLING and _can_use_onednn(x) and _is_faster(x.numel() // x.shape[-1], weight.numel()):
        return torch.ops.mkldnn._linear_pointwise(x, weight, bias, "none", [], "")
    return F.linear(x, weight, bias)


def _can_use_onednn(x: Tensor) -> bool:
    # the operator knows no gradient; in bfloat16 torch's own product is oneDNN's already
    return x.is_cpu and x.dtype == torch.float32 and not torch.is_grad_enabled() and _has_onednn()


def _is_faster(rows: int, numbers: int) -> bool:
    """Whether oneDNN's product is."""
    if numbers >= LARGE:
        return rows in FEW_ROWS
    return rows in SOME_ROWS and torch.get_num_threads() > 1


@lru_cache(maxsize=1)
def _has_onednn() -> bool:
    """Whether the operator that torch's compiler uses is there, and gives what `F.linear` gives."""
    if not torch.backends.mkldnn.is_available():
        return False
    x, weight = torch.arange(12.0).view(3, 4), torch.arange(8.0).view(2, 4)
    try:
        return torch.equal(torch.ops.mkldnn._linear_pointwise(x, weight, None, "none", [], ""), x @ weight.T)
    except (AttributeError, RuntimeError):
        return False


class Kept:
    """A tensor made of weights, and made again when one of them was changed: a decoding step is short, and each small
    operation counts. It is made each time where gradients are asked for, and of tensors that do not count their changes
    (those of inference mode). Nor does torch count what is written through a weight's `.data`."""

    def __init__(self) -> None:
        self._of: list[tuple[int, int]] = []
        self._held: list[Tensor] = []
        """The weights, so that no others come to lie where they did."""
        self._value: Tensor | None = None

    def __reduce__(self) -> tuple[type[Kept], tuple[()]]:
        return Kept, ()  # a copy's weights lie elsewhere

    def get(self, make: Callable[..., Tensor], *weights: Tensor) -> Tensor:
        if torch.is_grad_enabled() or any(weight.is_inference() for weight in weights):
            return make(*weights)
        of = [(weight.data_ptr(), weight._version) for weight in weights]
        if self._value is None or self._of != of:
            # outside of inference mode, so that it counts its changes too
            with torch.inference_mode(False), torch.no_grad():
                self._held = [weight.detach() for weight in weights]
                self._value, self._of = make(*weights), of
        return self._value


class RMSNorm(nn.Module):
    """Each vector by its root mean square, then times a weight."""

    def __init__(self, width: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(width))
        self.eps = eps
        self.kept = Kept()

    def forward(self, x: Tensor) -> Tensor:
        """x [..., width]."""
        return rms_norm(x, self.weight, self.eps, self.kept)


def rms_norm(x: Tensor, weight: Tensor, eps: float, kept: Kept) -> Tensor:
    """x [..., width] by its root mean square over the width, times weight [..., width].

    kept: the place for what is made of this weight.
    """
    width = x.shape[-1]
    if not x.is_cpu or x.dtype != torch.float32 or torch.is_grad_enabled():
        # The released code scales after rounding back to x's type; with its weight, F.rms_norm would scale before.
        return F.rms_norm(x, (width,), None, eps) * weight
    # on a CPU F.rms_norm is ten operations; this is four: sqrt(mean + eps) is sqrt(sum + width * eps) / sqrt(width)
    length = torch.hypot(torch.linalg.vector_norm(x, dim=-1, keepdim=True), _shortest(width, eps))
    return (x / length).mul_(kept.get(lambda own: own * math.sqrt(width), weight))


@lru_cache(maxsize=16)
@torch.inference_mode(False)
def _shortest(width: int, eps: float) -> Tensor:
    return torch.tensor(math.sqrt(width * eps))
