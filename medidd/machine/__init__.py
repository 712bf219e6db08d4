"""What depends on the computer: its allocator, its memory, and layers that suit its processor."""
