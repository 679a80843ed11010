"""The types of numbers that probes read."""

from __future__ import annotations

SIZES = {"u8": 1, "u16": 2, "u32": 4, "u64": 8, "s8": 1, "s16": 2, "s32": 4, "s64": 8}
"""Bytes of each."""
