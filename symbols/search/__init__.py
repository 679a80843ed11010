"""Fuzzy search over names: subsequences, abbreviations and typos, ranked as a person would.

A library of its own: it takes a list of names and knows nothing of kernels but which names people look for.
"""

from symbols.search.highlight import highlight
from symbols.search.index import SearchIndex, SearchResult

__all__ = ["SearchIndex", "SearchResult", "highlight"]
