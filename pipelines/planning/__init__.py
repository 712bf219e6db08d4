"""What is said of a run before it: how long it takes, how much memory, and whether that is there.

May import ``auditing``, ``evaluation``, ``learning`` and ``run``.
"""
