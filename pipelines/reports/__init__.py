"""The pages that people read, their figures and their templates.

May import ``learning`` and ``run``.
"""
