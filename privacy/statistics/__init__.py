"""How well a score tells members from controls, how sure that is, and what it says of epsilon.

May import ``finding``, ``policy`` and ``release``.
"""
