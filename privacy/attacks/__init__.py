"""Attacks A0 to A9: what an attacker could learn about a patient from the release.

May import ``likeness``, ``statistics`` and the files of ``privacy`` itself, except ``suite``.
"""
