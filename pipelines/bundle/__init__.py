"""What leaves the hospital: every file of a bundle, its check sums, its signature.

May import ``reports``, ``evaluation``, ``learning`` and ``run``.
"""
