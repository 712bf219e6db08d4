"""What a person can run: one file per command, with a frozen dataclass and ``run``.

May import every room except ``cli``.
"""
