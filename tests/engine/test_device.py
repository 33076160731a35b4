"""Devices, number types and memory, as far as a machine without a GPU has them."""

from __future__ import annotations

import pytest
import torch

import mpeval.engine.device as device_module
from mpeval.engine.device import (
    available_bytes,
    choose_device,
    choose_dtype,
    device_name,
    parameter_bytes,
    require_memory,
)
from mpeval.engine.memory import free_bytes, is_out_of_memory
from mpeval.errors import UserError

CPU = torch.device("cpu")


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match=r"device 'cuda:9' cannot be used here: choose auto or cpu \(.+\)"):
        choose_device("cuda:9")
    with pytest.raises(UserError, match=r"device 'toaster' cannot be used here: choose auto or cpu$"):
        choose_device("toaster")
    assert choose_device("cpu") == CPU


def test_number_types() -> None:
    assert choose_dtype("auto", CPU) == torch.float32
    assert choose_dtype("auto", torch.device("cuda")) == torch.bfloat16
    assert choose_dtype("float16", CPU) == torch.float16
    with pytest.raises(UserError, match="unknown dtype 'float8'"):
        choose_dtype("float8", CPU)


def test_a_model_without_memory_says_what_it_will_take() -> None:
    with torch.device("meta"):
        layer = torch.nn.Linear(100, 50).to(torch.bfloat16)
    assert parameter_bytes(layer) == 2 * (100 * 50 + 50)


def test_memory_that_is_not_there_is_named_with_what_is_needed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert 10**7 < available_bytes(CPU) < 10**14
    require_memory(CPU, 10**7, "a small model's weights")
    monkeypatch.setattr(device_module, "available_bytes", lambda device: 2 * 10**9)
    with pytest.raises(UserError, match=r"the weights take 3\.0 GB, 2\.0 GB are free on cpu: take a smaller size"):
        require_memory(CPU, 3 * 10**9, "the weights")


def test_the_processor_has_a_name() -> None:
    assert device_name(CPU).endswith("cores") and len(device_name(CPU)) > len("2 cores")


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        MemoryError(),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: can't allocate memory: you tried"),
        RuntimeError("CUDA error: out of memory\nCUDA kernel errors might be asynchronously reported"),
        RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"),
    ],
    ids=["allocator", "host", "cpu", "runtime", "cublas"],
)
def test_whoever_says_that_memory_has_ended(error: Exception) -> None:
    assert is_out_of_memory(error)
    assert not is_out_of_memory(RuntimeError("CUDA error: an illegal memory access was encountered"))


def test_free_memory_of_a_gpu_counts_what_torch_holds_unused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda device: (7, 80))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda device: 50)
    monkeypatch.setattr(torch.cuda, "memory_allocated", lambda device: 20)
    assert free_bytes(torch.device("cuda")) == 37
    assert free_bytes(CPU) > 10**7
