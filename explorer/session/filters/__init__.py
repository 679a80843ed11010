"""Filters: C-like conditions on the hits of a probe, typed from its prototype.

``filter`` is where to begin: from the text through ``lexer``, ``parser`` and ``checker`` (which asks ``scope`` what
names mean) to what ``kernel`` can say. ``several`` divides one filter among several probes.
"""
