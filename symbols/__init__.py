"""What a kernel says of itself: symbols, types, prototypes, calling conventions, verdicts, and the search over them.

A library: no user interface, no privilege, no writes. Everything is computed from bytes that the caller hands in.
"""
