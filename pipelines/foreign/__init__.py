"""A set that somebody else made: its file, its films, what can be said of it.

May import ``reports``, ``evaluation``, ``learning`` and ``run``.
"""
