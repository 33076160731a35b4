"""Kernels are tried before they are used: not every build, device and version has them."""

from __future__ import annotations

import logging
from collections.abc import Callable

import torch

logger = logging.getLogger(__name__)


def works(what: str, is_right: Callable[[], bool]) -> bool:
    """Whether `is_right` runs and says so; where not, one line says that decoding goes on without `what`.

    Raises `torch.OutOfMemoryError`, which says nothing about a kernel.
    """
    try:
        if is_right():
            return True
        reason = "wrong results here"
    except torch.OutOfMemoryError:
        raise
    except Exception as error:
        reason = str(error).partition("\n")[0] or type(error).__name__
    logger.warning("decoding goes on without %s, which is slower: %s", what, reason)
    return False
