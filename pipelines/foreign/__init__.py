"""A set that somebody else made: how medidd reads its file and its films.

May import ``reports``, ``evaluation``, ``learning`` and ``run``.
"""
