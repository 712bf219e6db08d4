"""Experts: networks trained on real images, which methods match and which can label S.

May import all of medidd but methods and starts.
"""
