"""The command line: options, help, progress bars and exit codes; no logic.

May import every other room of ``pipelines``.
"""
