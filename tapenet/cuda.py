"""What code that picks a device asks of `torch.cuda`: there is none."""

from __future__ import annotations

__all__ = ["device_count", "is_available"]


def is_available() -> bool:
    """False: there is one device, the CPU.

    >>> import tapenet as tn
    >>> tn.cuda.is_available()
    False
    """
    return False


def device_count() -> int:
    """0.

    >>> import tapenet as tn
    >>> tn.cuda.device_count()
    0
    """
    return 0
