"""Hospital radiographs in: from a folder of DICOM files to arrays without identifiers.

Start with ``folder.cohort.ingest``. ``folder`` builds on ``labels`` and ``pixels``, these on
``header``, and all on the files here. Only ``pixels.pixels`` imports monai, which takes seconds.
"""
