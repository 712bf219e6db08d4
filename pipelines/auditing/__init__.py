"""What an audit needs made first: null releases, planted patients, recipients, an encoder.

May import ``reports``, ``evaluation``, ``learning`` and ``run``.
"""
