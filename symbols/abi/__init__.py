"""Calling conventions: where each argument of a function lives when it is entered, and its result when it returns.

``shape`` is what a convention needs to know of a type, ``conventions`` holds one table an architecture, ``placement``
applies a table to the shapes of a function.
"""
