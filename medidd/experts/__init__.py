"""Experts: networks trained on real images, whose way of learning MTT and TESLA match.

May import all of medidd but methods and starts.
"""
