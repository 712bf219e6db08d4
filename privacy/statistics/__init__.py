"""How well a score tells members from controls, how sure that is, and what follows for epsilon.

May import ``finding``, ``policy`` and ``release``.
"""
