"""Gates G1 to G8: what must hold of a release and its files, whoever attacks it.

May import the files of ``privacy`` itself, but for ``suite``.
"""
