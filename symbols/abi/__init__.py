"""Calling conventions as tables: which argument lives in which register or stack slot."""
