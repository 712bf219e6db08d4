"""What a DICOM header says of a film and its patient.

May import the files of ``medidd.dicom`` itself.
"""
