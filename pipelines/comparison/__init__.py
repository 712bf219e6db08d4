"""Several finished runs beside each other: what they are worth, and what they may leak.

May import only rooms of lower floors.
"""
