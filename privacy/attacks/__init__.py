"""Attacks A0 to A8: what an attacker could learn about a patient from the release.

May import ``statistics`` and the files of ``privacy`` itself, except ``suite``.
"""
