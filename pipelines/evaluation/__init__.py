"""Utility of a set: networks trained on it, compared with networks trained on baselines.

May import ``learning`` and ``run``.
"""
