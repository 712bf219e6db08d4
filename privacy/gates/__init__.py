"""Gates G1 to G8: what must hold for a release and its files, whatever the attack.

May import the files of ``privacy`` itself, except ``suite``.
"""
