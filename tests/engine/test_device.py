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
from mpeval.errors import UserError

CPU = torch.device("cpu")


def test_a_device_that_is_not_there_is_named() -> None:
    with pytest.raises(UserError, match="device 'cuda:9' cannot be used here"):
        choose_device("cuda:9")
    with pytest.raises(UserError, match="device 'toaster' cannot be used here"):
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
