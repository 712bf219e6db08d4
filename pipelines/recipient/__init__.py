"""What a recipient of bundles can run: one file per command, as in ``commands``.

May import every room except ``cli`` and ``commands``.
"""
