"""What ``medidd doctor`` checks: software, decoders, folders and permissions.

May import ``reports``, ``evaluation``, ``learning`` and ``run``.
"""
