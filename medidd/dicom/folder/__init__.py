"""A folder of studies: what is in it, what is used, and its films read into a cohort.

May import every other room of ``medidd.dicom``.
"""
