"""What a recipient does with a set: whether their films are like it.

May import ``reports``, ``evaluation``, ``learning`` and ``run``.
"""
