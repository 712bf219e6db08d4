"""What an audit needs before it starts: null releases, planted patients, recipients, an encoder.

May import ``reports``, ``evaluation``, ``learning`` and ``run``.
"""
