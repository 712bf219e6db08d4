"""What ``medidd doctor`` looks at: software, decoders, folders and permissions.

May import ``reports``, ``evaluation``, ``learning`` and ``run``.
"""
