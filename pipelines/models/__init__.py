"""What a recipient makes of bundles: classifiers, their files, and their test on films.

May import ``reports``, ``evaluation``, ``learning`` and ``run``.
"""
