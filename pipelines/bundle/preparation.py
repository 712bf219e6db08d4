"""How a recipient prepares films of their own, so that they meet the images of a release.

A network that learned from the release expects films that were read as the sender's were. The
release says how in ``facts["reading"]``, in medidd's words; here the same is said in full, with the
numbers, for a program that knows nothing of medidd. ``prepare.py`` of the bundle is one.
"""

from collections.abc import Sequence

from medidd.dicom.pixels.display import PERCENTILES
from medidd.dicom.reading import Voi
from pipelines.run.release_file import FILM_CLASSES
from pipelines.run.store import Json, dumped

NAME = "preparation.json"
VERSION, CUT = 1, 2
"""Of the contract, for whole films and for films that are cut.

It is raised if ``prepare.py`` of an older bundle could not follow it: one that knows no patches
would classify whole films by networks of patches.
"""

_HOW_CUT = ("size", "stride", "frame", "background")
"""What of ``Patches`` a recipient needs; when a patch has a class is about the sender's regions."""

_SOURCES: dict[Voi, tuple[str, ...]] = {
    "auto": ("lut", "window", "percentiles"),
    "lut": ("lut", "percentiles"),
    "window": ("window", "percentiles"),
    "percentile": ("percentiles",),
    "none": ("range",),
}
"""By choice of ``--voi``: where the display values come from; the first that shows something.

Percentiles are 0.5 and 99.5, of the pixels that are neither padding nor behind a shutter.
"""

MEANINGS = {
    "version": "Of this file. A program that does not know it must not go on.",
    "files": "What the sender's films were: dicom, or pictures without a header. Films of the "
    "other kind may be used; a picture has no window, no padding, no shutter and no orientation.",
    "display": "From stored values to display values from 0, black, to 1, white: the pipeline of "
    "DICOM PS3.4 N.2. Padding (PS3.3 C.7.5.1.1.2) becomes black and does not count. First the "
    "Modality LUT, else slope and intercept. Then the first of these sources that the film has and "
    "that does not show all its pixels alike: lut is the VOI LUT, scaled by its largest entry; "
    "window is LINEAR, LINEAR_EXACT or SIGMOID; percentiles are those of the pixels, given here; "
    "range is from the smallest to the largest value. MONOCHROME1 is inverted, once.",
    "views": "Views that may be used; all views if the list is empty. LATERAL includes LL and RL, "
    "FRONTAL includes AP and PA. A film whose header does not say its view is not used if there is "
    "a list.",
    "frames": "A film with several frames: reject it, or use the first or the middle one, which is "
    "number n // 2 of n, counted from 0.",
    "accept": "What may be used though it is no ordinary radiograph: secondary-capture is a "
    "radiograph that was saved as a secondary capture, no-uid a film without a SOP class.",
    "burned_in": "Text in the pixels. reject: a film is not used if Burned In Annotation is YES. "
    "mask: the sender painted over what looked like a line of text; prepare.py leaves it, so cover "
    "it by hand if there is any. keep: it stays.",
    "crop": "What is cut away. shutter: what shutters (PS3.3 C.7.6.11) and collimators (C.8.7.3) "
    "cover; covered pixels in the box that is left become black and do not count. auto: rows and "
    "columns at the edges whose 5 to 95 percent range is below 0.02 of the display. none: nothing.",
    "jpeg2000": "Whether JPEG 2000 was decoded in full, or reduced: at a half, a quarter and so on "
    "of its size. prepare.py decodes in full, so its values then differ a little.",
    "orientation": "reading: turned as Patient Orientation says, so that the patient's left is on "
    "the right and the head is up; laterals are not mirrored. A picture is turned as EXIF says.",
    "framing": "letterbox: in true proportions of its pixels, the longer side as long as the "
    "square's, centered on black.",
    "size": "Rows, and columns, of the square.",
    "interpolation": "area: each pixel is the mean of the area that it covers, in display values.",
    "normalization": "From display values to what a network sees: (display value - mean) / std. "
    "levels is the number of steps in which synthetic.safetensors stores display values.",
}
"""What each field means, in plain words; a copy is in the file."""

OF_PATCHES = {
    "framing": "letterbox: in true proportions of its pixels, the longer side as long as the "
    "square's, centered on black. The square is frame by frame pixels, see patches.",
    "size": "Rows, and columns, of a patch after it is resampled.",
    "patches": "How a film is cut. frame is the height and width of the square that it is framed "
    "to; size and stride are in its pixels. Patches are size by size; their first rows, and their "
    "first columns, are 0, stride, 2 stride and so on, as long as the patch is inside. They are "
    "in the order of their rows, then of their columns. Each is resampled by area to the size "
    "that stands beside patches. A network says what each patch shows. vote lists the classes "
    "that films have: a film is called by the shares of these classes among the patches that look "
    "like one of them, and the other patches have no vote. background is the class of patches "
    "outside the regions that the sender drew on the films, if any were drawn.",
}
"""The same, where films are cut: what is added, or means something else."""


def preparation(facts: Json, shape: Sequence[int]) -> bytes:
    """Returns the contract as a file.

    Args:
        facts: what the release says of itself.
        shape: of its images, (N, C, H, W).
    """
    said = contract(facts, shape)
    return dumped(said | {"meanings": MEANINGS | (OF_PATCHES if "patches" in said else {})})


def contract(facts: Json, shape: Sequence[int]) -> Json:
    """Returns the contract's fields, one for each of ``MEANINGS``, and ``patches`` if there are."""
    reading = facts["reading"]
    voi: Voi = reading["voi"]
    patches = reading.get("patches")
    cut = {name: patches[name] for name in _HOW_CUT} if patches else {}
    said = {
        "version": CUT if cut else VERSION,
        "files": reading["files"],
        "display": {"voi": voi, "sources": list(_SOURCES[voi]), "percentiles": list(PERCENTILES)},
        "views": reading["views"],
        "frames": reading["frames"],
        "accept": [kind for kind in reading["accept"] if kind != "symlinks"],
        "burned_in": reading["burned_in"],
        "crop": reading["crop"],
        "jpeg2000": "reduced" if reading["fast_j2k"] else "full",
        "orientation": "reading",
        "framing": "letterbox",
        "size": shape[-1],
        "interpolation": "area",
        "normalization": facts["normalization"],
    }
    return said | ({"patches": cut | {"vote": facts[FILM_CLASSES]}} if cut else {})
