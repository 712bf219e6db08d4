"""What a DICOM header says about a film and its patient.

May import the files of ``medidd.dicom`` itself.
"""
