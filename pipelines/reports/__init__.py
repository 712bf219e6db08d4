"""The pages that people read, with their figures and templates.

May import ``learning`` and ``run``.
"""
