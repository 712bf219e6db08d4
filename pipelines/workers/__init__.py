"""Processes that share the work of a command: on this computer, or on a cluster."""
