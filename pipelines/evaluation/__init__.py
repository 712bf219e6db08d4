"""What a set is worth: networks trained on it, beside networks trained on baselines.

May import ``learning`` and ``run``.
"""
