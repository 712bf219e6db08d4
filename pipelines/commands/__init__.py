"""What a person can run: one file a command, a frozen dataclass and ``run``.

May import every room but ``cli``.
"""
