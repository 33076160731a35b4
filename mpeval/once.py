"""Values that many threads want, made once: a picture's tiles for all questions on it."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Generic, Protocol, TypeVar
from weakref import WeakValueDictionary

if TYPE_CHECKING:
    from concurrent.futures import Future


class Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


T = TypeVar("T", bound=Sized)


class Once(Generic[T]):
    """Values by key. One that anybody holds is never made again; nor are those used last, up to some bytes of them.

    Safe on many threads: while one makes a value, others who want the same wait for it, and share its exception.
    """

    def __init__(self, keep_bytes: int) -> None:
        self._keep_bytes = keep_bytes
        self._kept_bytes = 0
        self._alive: WeakValueDictionary[str, T] = WeakValueDictionary()
        self._kept: OrderedDict[str, T] = OrderedDict()
        """Used last, the oldest first."""
        self._making: dict[str, Future[T]] = {}
        self._lock = threading.Lock()

    def get(self, key: str, make: Callable[[], T]) -> T:
        """The value of this key, made here where nobody has it. What `make` raises is raised, and nothing is kept."""
        from concurrent.futures import Future

        with self._lock:
            value = self._alive.get(key)
            if value is not None:
                self._keep(key, value)
                return value
            future = self._making.get(key)
            mine = future is None
            if future is None:
                future = self._making[key] = Future()
        if not mine:
            return future.result()
        try:
            value = make()
        except BaseException as error:
            with self._lock:
                del self._making[key]
            future.set_exception(error)
            raise
        with self._lock:
            self._alive[key] = value
            self._keep(key, value)
            del self._making[key]
        future.set_result(value)
        return value

    def _keep(self, key: str, value: T) -> None:
        if key not in self._kept:
            self._kept_bytes += value.nbytes
        self._kept[key] = value
        self._kept.move_to_end(key)
        while self._kept_bytes > self._keep_bytes:
            self._kept_bytes -= self._kept.popitem(last=False)[1].nbytes
