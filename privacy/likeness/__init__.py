"""How like a film an image is, and whom it names. The attacks ask; no verdict is given here.

May import ``statistics`` and the files of ``privacy`` itself, except ``suite``.
"""
