"""The key-value cache: one slot a sample.

The token at position p of a sample lies at index p of its slot. What lies behind a sample's length is left over from
earlier samples or from padding: no attention ever reads it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from mpeval.engine.shapes import DecoderConfig


class Cache:
    """Keys and values of all layers, allocated once: [layers, slots, capacity, kv_heads, head_dim] each."""

    def __init__(
        self, config: DecoderConfig, slots: int, capacity: int, dtype: torch.dtype, device: torch.device
    ) -> None:
        shape = (config.layers, slots, capacity, config.kv_heads, config.head_dim)
        self._hold(torch.zeros(shape, dtype=dtype, device=device), torch.zeros(shape, dtype=dtype, device=device))

    def _hold(self, keys: Tensor, values: Tensor) -> None:
        self.keys, self.values = keys, values
        # Views are made once: a decoding step is short, and each small operation counts.
        self.layers = [(k.flatten(0, 1), v.flatten(0, 1)) for k, v in zip(keys, values, strict=True)]
        """Of each layer its keys and values, [slots * capacity, kv_heads, head_dim]."""
        self._window: tuple[tuple[int, int], list[tuple[Tensor, Tensor]]] = (0, 0), []
        self._unseen = keys.new_zeros(2 * self.capacity)
        self._unseen[self.capacity :] = float("-inf")

    @property
    def capacity(self) -> int:
        return self.keys.shape[2]

    def window(self, slots: int, span: int) -> list[tuple[Tensor, Tensor]]:
        """Of each layer the keys and values [slots, kv_heads, span, head_dim] of the first slots: views."""
        if self._window[0] != (slots, span):
            tables = (table[:, :slots, :span].transpose(2, 3) for table in (self.keys, self.values))
            self._window = (slots, span), list(zip(*tables, strict=True))
        return self._window[1]

    def unseen(self, span: int) -> Tensor:
        """[capacity, span]: what is added to the scores of `span` positions: in row r, 0 for the first capacity - r of
        them and -inf behind. A view of one line of numbers."""
        return self._unseen.unfold(0, span, 1)[: self.capacity]

    def rows(self, slots: Tensor, positions: Tensor) -> Tensor:
        """Where positions of slots lie in `layers`."""
        return slots * self.capacity + positions

    def copy(self, source: int, target: int, length: int) -> None:
        """Copy the first `length` positions of one slot to another."""
        for table in (self.keys, self.values):
            table[:, target, :length] = table[:, source, :length]

    def grow(self, capacity: int) -> None:
        """Make room for longer samples; what is there stays."""
        # One after the other, so that the old keys are gone when the values take memory. Views would hold them.
        self.layers, self._window = [], ((0, 0), [])
        self.keys = _wider(self.keys, capacity)
        self._hold(self.keys, _wider(self.values, capacity))

    @staticmethod
    def bytes_a_token(config: DecoderConfig, dtype: torch.dtype) -> int:
        return 2 * config.layers * config.kv_heads * config.head_dim * dtype.itemsize


def _wider(table: Tensor, capacity: int) -> Tensor:
    """[layers, slots, capacity, ...] with more room, zero where it is new."""
    out = table.new_zeros(*table.shape[:2], capacity, *table.shape[3:])
    out[:, :, : table.shape[2]] = table
    return out
