"""The agent: the only part of kexplore that needs root.

It serves named facts and arms validated probes in its own group and its own trace instance, and nothing else. It
imports only the standard library, runs on Python 3.9 and later, and disarms everything when its pipe closes.
"""
