"""From a table, a datalist or folder names to one label and one split per film.

May import ``header`` and the files of ``medidd.dicom`` itself.
"""
