"""From a frozen job to a synthetic set: the method as it was asked, its steps, its experts.

May import ``run``.
"""
