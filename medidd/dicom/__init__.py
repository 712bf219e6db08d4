"""Hospital radiographs in: from a folder of DICOM files to arrays without identifiers.

``folder.cohort.ingest`` is the way in. ``folder`` stands on ``labels`` and ``pixels``, these on
``header``, all on the files here. Only ``pixels.pixels`` imports monai, which takes seconds.
"""
