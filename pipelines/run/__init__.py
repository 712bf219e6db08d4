"""A run on disk: its folder, its films and patients, its release; and how every command ends.

May import no other room.
"""
