"""Debug information (DWARF 2 to 5) of kernels and modules.

pyelftools knows the file and its sections; what is inside ``.debug_info`` is read here, because from a file of several
hundred megabytes one function has to come within a blink. ``debug_info`` is the door; ``inline_index`` the one thing
that looks at everything.
"""
