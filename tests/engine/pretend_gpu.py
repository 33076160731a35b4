"""A GPU without a GPU: tensors that say they are on `cuda:0`, hold their numbers on the CPU and obey a GPU's rules.

Code takes the ways that it takes on a real one. What would fail there fails here: tensors of two devices in one
operation; while a step is captured, everything that asks the host or copies from it; a graph that reads what another
graph of its pool has overwritten. A captured step is replayed as CUDA does it: the same operations on the same memory,
and no Python.
"""

from __future__ import annotations

import ctypes
import weakref
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

DEVICE = torch.device("cuda", 0)
CPU, CUDA = 0, 1
"""Numbers of `c10::DeviceType`."""
FREE_BYTES = 80 << 30
ASKS_THE_HOST = {"_local_scalar_dense", "nonzero", "masked_select", "_unique2", "equal", "repeat_interleave"}
"""Operations that wait for the device and read a number or a size from it."""
INDEXES = {"index", "index_put", "index_put_", "_index_put_impl_"}
OWN_KERNEL = {"_fused_rms_norm"}
"""One kernel on a GPU, though on a CPU they are made of others."""


class OnGpu(Tensor):
    """A tensor that is on the device, as far as anybody can tell."""

    elem: Tensor
    """Its numbers."""
    __torch_function__ = torch._C._disabled_torch_function_impl  # type: ignore[assignment]

    @staticmethod
    def __new__(cls, elem: Tensor) -> OnGpu:
        # outside of inference mode, in which torch wants views to be of the same mode as what they are views of
        with torch.inference_mode(False):
            made = Tensor._make_wrapper_subclass(
                cls,
                elem.shape,
                strides=elem.stride(),
                storage_offset=elem.storage_offset(),
                dtype=elem.dtype,
                device=DEVICE,
            )
        made.elem = elem
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        raise RuntimeError(f"{func} on a pretended GPU that is gone")

    def tolist(self) -> Any:
        return self.cpu().tolist()

    def data_ptr(self) -> int:
        return self.elem.data_ptr()

    def __repr__(self) -> str:  # type: ignore[override]
        return f"OnGpu({self.elem!r})"


class PretendGraph:
    """Stands for `torch.cuda.CUDAGraph`."""

    def __init__(self) -> None:
        self.gpu = PretendGpu.current
        self.operations: list[tuple[Any, Any, Any, Any]] = []
        """Operation, its arguments, and what it returned; inner tensors all."""
        self.made: list[Tensor] = []
        """What its operations made: memory of the pool."""
        self.pool_id: object = None

    def pool(self) -> object:
        return self.pool_id

    def replay(self) -> None:
        self.gpu.replayed += 1
        self.gpu.spoil_others(self)
        for func, args, kwargs, out in self.operations:
            again = _run(func, args, kwargs)
            if not func._schema.is_mutable:
                for old, new in zip(_tensors(out), _tensors(again), strict=True):
                    old.copy_(new)


class PretendGpu(TorchDispatchMode):
    """While it is active, the device `cuda:0` is there."""

    current: PretendGpu

    def __init__(self) -> None:
        super().__init__()
        self.asked = 0
        """How often the host waited for a number."""
        self.captured: list[Counter[str]] = []
        """Of each graph, how many operations of each name it has."""
        self.replayed = 0
        self.graphs: weakref.WeakSet[PretendGraph] = weakref.WeakSet()
        self.capturing: PretendGraph | None = None
        self._before: dict[int, tuple[Tensor, Tensor]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs, name = dict(kwargs or {}), _name(func)
        kwargs.pop("pin_memory", None)
        given = _tensors((args, kwargs))
        on_gpu = [each for each in given if isinstance(each, OnGpu)]
        device = next((each for each in (*args, *kwargs.values()) if isinstance(each, torch.device)), None)
        to_gpu = bool(on_gpu) if device is None else device.type == "cuda"
        if not on_gpu and not to_gpu:
            return func(*args, **kwargs)
        if func._can_decompose() and name not in OWN_KERNEL:
            # made of others on a GPU too; which ones is what matters
            with self:
                return func.decompose(*args, **kwargs)
        moves = (name in ("_to_copy", "copy_") and len(on_gpu) < len(given)) or (on_gpu and not to_gpu)
        self._check(func, args, given, bool(moves), to_gpu)
        inner, options = _mapped(lambda each: each.elem if isinstance(each, OnGpu) else each, (args, kwargs))
        if device is not None:
            options["device"] = torch.device("cpu")
        if self.capturing is not None:
            self._keep_what_is_written(func, inner, options)
        out = _run(func, inner, options)
        if self.capturing is not None and not _is_view(func):
            self.capturing.operations.append((func, inner, options, out))
            self.capturing.made += [] if func._schema.is_mutable else _tensors(out)
        if not to_gpu:
            return out
        # an operation in place returns the very tensor it was given
        known = {id(each.elem): each for each in on_gpu}
        return _mapped(lambda each: known[id(each)] if id(each) in known else OnGpu(each), out)

    def _check(self, func: Any, args: Any, given: list[Tensor], moves: bool, to_gpu: bool) -> None:
        name = _name(func)
        asks = name in ASKS_THE_HOST and "output_size=None" not in str(args)
        if name in INDEXES:
            asks = any(isinstance(each, Tensor) and each.dtype in (torch.bool, torch.uint8) for each in args[1])
        # a single number from the host becomes an argument of the kernel; an index may lie on the host, and is copied
        foreign = any(each.dim() and not isinstance(each, OnGpu) for each in given)
        if foreign and not moves and name not in INDEXES and not name.endswith("_like"):
            raise RuntimeError(f"{func}: tensors on cuda:0 and on the CPU")
        self.asked += bool(asks or (moves and not to_gpu))
        if self.capturing is not None and (asks or moves or foreign):
            raise RuntimeError(f"{func}: operation not permitted when stream is capturing")

    # --- graphs -----------------------------------------------------------------------------------

    @contextmanager
    def graph(self, graph: PretendGraph, pool: object, stream: object, capture_error_mode: str) -> Iterator[None]:
        """Stands for `torch.cuda.graph`."""
        if pool is not None and all(each.pool_id is not pool for each in self.graphs):
            raise RuntimeError("use_count > 0 INTERNAL ASSERT FAILED")
        self.capturing, graph.pool_id = graph, pool or object()
        try:
            yield
        finally:
            self.capturing = None
            # capturing runs nothing: what was there is there
            for now, before in self._before.values():
                now.copy_(before)
            self._before.clear()
        self.captured.append(Counter(_name(each[0]) for each in graph.operations))
        self.graphs.add(graph)
        self.spoil_others(graph)

    def spoil_others(self, graph: PretendGraph) -> None:
        """What graphs of one pool make lies in the same memory."""
        for other in self.graphs:
            if other is not graph and other.pool_id is graph.pool_id:
                for each in other.made:
                    if each.numel() and 0 not in each.stride():
                        each.fill_(True if each.dtype == torch.bool else 77)

    def _keep_what_is_written(self, func: Any, args: Any, kwargs: Any) -> None:
        for number, argument in enumerate(func._schema.arguments):
            if argument.alias_info is not None and argument.alias_info.is_write:
                for each in _tensors(args[number] if number < len(args) else kwargs.get(argument.name)):
                    storage = each.untyped_storage()
                    flat = torch.empty(0, dtype=torch.uint8).set_(storage)
                    self._before.setdefault(storage.data_ptr(), (flat, flat.clone()))


def _name(func: Any) -> str:
    return func._schema.name.partition("::")[2]


def _tensors(tree: Any) -> list[Tensor]:
    """All of them in an operation's arguments or results."""
    if isinstance(tree, Tensor):
        return [tree]
    parts = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, list | tuple) else ()
    return [tensor for part in parts for tensor in _tensors(part)]


def _mapped(change: Callable[[Tensor], Tensor], tree: Any) -> Any:
    """The same with every tensor changed."""
    if isinstance(tree, Tensor):
        return change(tree)
    if isinstance(tree, dict):
        return {name: _mapped(change, each) for name, each in tree.items()}
    return type(tree)(_mapped(change, each) for each in tree) if type(tree) in (list, tuple) else tree


def _is_view(func: Any) -> bool:
    """Whether the result shares an argument's memory, and nothing is computed."""
    return any(each.alias_info is not None for each in func._schema.returns) and not func._schema.is_mutable


def _run(func: Any, args: Any, kwargs: Any) -> Any:
    name = _name(func)
    if name == "_fused_sdp_choice":
        return 0  # the one that is written in other operations
    if name == "_flash_attention_forward":
        return _flash(*args, **kwargs)
    out = func(*args, **kwargs)
    # from one device to another there is always a copy
    return out.clone() if name == "_to_copy" and out is args[0] else out


def _flash(
    q: Tensor, k: Tensor, v: Tensor, cu_q: Tensor, cu_k: Tensor, max_q: int, max_k: int, *rest: Any, seqused_k: Tensor
) -> tuple[Tensor, ...]:
    """What the flash kernel computes, one sequence after the other, and what it asks of its arguments."""
    assert not any(rest), "no dropout, not causal"
    assert q.dtype == k.dtype == v.dtype and all(each.stride(-1) == 1 for each in (q, k, v))
    assert q.dim() == k.dim() == v.dim() == 3 and k.shape == v.shape and q.shape[2] == k.shape[2]
    assert q.shape[1] % k.shape[1] == 0
    assert cu_q.dtype == cu_k.dtype == torch.int32 and cu_q.shape == cu_k.shape
    used = seqused_k
    assert used.dtype == torch.int32 and used.is_contiguous() and len(used) == len(cu_q) - 1
    out, group = torch.zeros_like(q), q.shape[1] // k.shape[1]
    for i, count in enumerate(used.tolist()):
        queries, first = slice(int(cu_q[i]), int(cu_q[i + 1])), int(cu_k[i])
        assert queries.stop - queries.start <= max_q and 0 < count <= max_k and first + count <= len(k)
        keys, values = (t[first : first + count].float().repeat_interleave(group, 1) for t in (k, v))
        weights = torch.einsum("qhd,khd->hqk", q[queries].float() / q.shape[2] ** 0.5, keys).softmax(-1)
        out[queries] = torch.einsum("hqk,khd->qhd", weights, values).to(q.dtype)
    # and what training needs: sums of the scores, the state of random numbers, two that are empty
    return out, q.new_zeros(q.shape[1], len(q), dtype=torch.float), *(q.new_zeros(count) for count in (2, 0, 0))


@contextmanager
def pretended_gpu(patch: pytest.MonkeyPatch) -> Iterator[PretendGpu]:
    """The device `cuda:0` is there."""
    guards = _device_guards()
    gpu = PretendGpu.current = PretendGpu()
    patch.setattr(torch.cuda, "_lazy_init", lambda: None)
    patch.setattr(torch.cuda, "CUDAGraph", PretendGraph)
    patch.setattr(torch.cuda, "graph", gpu.graph)
    patch.setattr(torch.cuda, "_exchange_device", lambda index: 0)
    patch.setattr(torch.cuda, "_maybe_exchange_device", lambda index: 0)
    patch.setattr(torch.cuda, "Stream", lambda device: object())
    patch.setattr(torch.cuda, "mem_get_info", lambda device: (FREE_BYTES, FREE_BYTES))
    patch.setattr(torch.cuda, "memory_reserved", lambda device: 0)
    patch.setattr(torch.cuda, "memory_allocated", lambda device: 0)
    # so that `torch.tensor(..., device="cuda:0")` is seen as the copy that it is
    before = torch._C._only_lift_cpu_tensors()
    torch._C._set_only_lift_cpu_tensors(True)
    guards[CUDA] = guards[CPU]
    try:
        with gpu:
            yield gpu
    finally:
        guards[CUDA] = None
        torch._C._set_only_lift_cpu_tensors(before)


def _device_guards() -> Any:
    """torch's own table of what chooses the current device. A build for CPUs has no entry for GPUs, and goes no further
    without one; the CPU's does nothing."""
    library = Path(torch.__file__).parent / "lib" / "libc10.so"
    if torch.backends.cuda.is_built() or not library.exists():
        pytest.skip("only torch's builds for CPUs on Linux can pretend to have a GPU")
    return (ctypes.c_void_p * 20).in_dll(ctypes.CDLL(str(library)), "_ZN3c104impl26device_guard_impl_registryE")


def to_gpu(model: torch.nn.Module) -> Any:
    """Move a model's weights; the model itself is changed."""
    weights = {name: value.detach().to(DEVICE) for name, value in model.state_dict().items()}
    model.load_state_dict(weights, assign=True)
    return model
