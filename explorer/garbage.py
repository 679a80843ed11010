"""When Python looks for cyclic garbage: not while a key waits for it."""

from __future__ import annotations

import gc

_COLLECTIONS = 1000
"""Collections of young garbage for one of everything, which stops the screen for longer than a key should wait."""


def hold_back() -> None:
    """Not until ``settle``: imports and loading make hundreds of thousands of objects that stay."""
    gc.disable()


def settle() -> None:
    """What has been loaded need not be walked through again; what was loaded before it goes."""
    if gc.get_freeze_count():
        gc.unfreeze()
        gc.collect()
    gc.freeze()
    young, middle, _ = gc.get_threshold()
    gc.set_threshold(young, middle, _COLLECTIONS)
    gc.enable()
