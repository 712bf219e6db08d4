"""A folder of studies: what lies in it, what of it is used, and its films read into a cohort.

May import every other room of ``medidd.dicom``.
"""
