"""Attacks A0 to A8: what somebody could learn of a patient from the release.

May import ``statistics`` and the files of ``privacy`` itself, but for ``suite``.
"""
