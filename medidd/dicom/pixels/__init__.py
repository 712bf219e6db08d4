"""From the pixel data of one file to the display values of one film.

May import ``header`` and the files of ``medidd.dicom`` itself.
"""
