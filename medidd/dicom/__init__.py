"""Hospital radiographs in: from a folder of DICOM files to arrays without identifiers.

``cohort.ingest`` is the way in. Only ``pixels`` imports monai, which takes seconds.
"""
