"""Differential privacy: answers about patients that are safe to learn from, and their account.

``gaussian.py`` has the mathematics, ``accounting.py`` what a person is told, ``mechanism.py`` the
clip and the noise, ``source.py`` the answers to a method, ``refute.py`` the attempt to refute them.
"""
