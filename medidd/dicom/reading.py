"""How films are read: every choice that changes their pixels or which of them are used.

Films that are compared must be read alike. So one object goes from the command to the reader, and
into the fingerprint of everything that is made from the films.
"""

from dataclasses import asdict, dataclass
from typing import Any, Literal, TypeVar, get_args

from medidd.dicom.patches import Patches
from medidd.dicom.views import CHOICES

Voi = Literal["auto", "window", "lut", "percentile", "none"]
Frames = Literal["reject", "first", "middle"]
BurnedIn = Literal["reject", "mask", "keep"]
Crop = Literal["none", "shutter", "auto"]
Files = Literal["dicom", "pictures"]
Accept = Literal["secondary-capture", "no-uid", "symlinks"]

VOIS: tuple[Voi, ...] = get_args(Voi)
FRAMES: tuple[Frames, ...] = get_args(Frames)
BURNED_IN: tuple[BurnedIn, ...] = get_args(BurnedIn)
CROPS: tuple[Crop, ...] = get_args(Crop)
FILES: tuple[Files, ...] = get_args(Files)
ACCEPTS: tuple[Accept, ...] = get_args(Accept)

Choice = TypeVar("Choice", bound=str)


def _require(name: str, value: Choice, known: tuple[Choice, ...]) -> None:
    if value not in known:
        raise ValueError(f"{name}: no {value!r}; there are: {', '.join(known)}")


@dataclass(frozen=True)
class Reading:
    """How films are read.

    Attributes:
        voi: how display values are made. "auto" uses the VOI LUT, else the window, else
            percentiles; "lut" or "window" uses that one, else percentiles; "percentile" always
            uses percentiles; "none" uses the whole range of the values.
        views: names of the views that are used, sorted; all views if it is empty.
        frames: what happens to objects with several frames.
        burned_in: what happens to identifiers in the pixels; see ``burned_in``.
        crop: what is cut away; see ``cropping``.
        fast_j2k: whether JPEG 2000 is decoded at a lower resolution if that is enough.
        accept: what is used although it is refused by default, sorted: radiographs that are
            secondary captures, films without SOP class, SOP instance or study UID, and files
            behind symbolic links.
        files: what the films are: DICOM files, or pictures without a header (PNG, JPEG, TIFF).
        patches: how films are cut into patches; None for whole films.

    Raises:
        ValueError: a choice does not exist.
    """

    voi: Voi = "auto"
    views: tuple[str, ...] = ()
    frames: Frames = "reject"
    burned_in: BurnedIn = "reject"
    crop: Crop = "shutter"
    fast_j2k: bool = False
    accept: tuple[Accept, ...] = ()
    files: Files = "dicom"
    patches: Patches | None = None

    def __post_init__(self) -> None:
        _require("voi", self.voi, VOIS)
        _require("frames", self.frames, FRAMES)
        _require("burned-in", self.burned_in, BURNED_IN)
        _require("crop", self.crop, CROPS)
        _require("files", self.files, FILES)
        for view in self.views:
            _require("views", view, CHOICES)
        for kind in self.accept:
            _require("accept", kind, ACCEPTS)
        object.__setattr__(self, "accept", tuple(sorted(set(self.accept))))
        object.__setattr__(self, "views", tuple(sorted(set(self.views))))
        if self.fast_j2k and self.burned_in == "mask":
            raise ValueError(
                "burned-in: text is found by exact values, and a lower resolution changes them; "
                "leave out fast-j2k, or do not mask"
            )
        if self.fast_j2k and self.patches is not None:
            raise ValueError("fast-j2k: patches need the full resolution; leave it out")

    @property
    def per_film(self) -> int:
        """Rows that a film has in a cohort: its patches, or itself."""
        return 1 if self.patches is None else self.patches.per_film

    def to_json(self) -> dict[str, Any]:
        """Returns a plain dict; nothing in it identifies anybody."""
        said = asdict(self) | {"views": list(self.views), "accept": list(self.accept)}
        if self.patches is None:
            del said["patches"]  # as it was before films could be cut
        return said

    @classmethod
    def from_json(cls, found: dict[str, Any]) -> "Reading":
        """Returns what ``to_json`` was made from; TypeError if another version made it."""
        lists = {name: tuple(found.get(name, ())) for name in ("views", "accept")}
        patches = Patches.from_json(found["patches"]) if found.get("patches") else None
        return cls(**(found | lists | {"patches": patches}))


DEFAULT = Reading()
"""How films are read by default."""
