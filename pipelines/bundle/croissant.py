"""What programs read about a bundle: its files by SHA-256, and the table of labels.

Croissant 1.0 of MLCommons with its vocabulary for responsible AI (RAI 1.0), as JSON-LD:
https://docs.mlcommons.org/croissant/docs/croissant-spec.html. medidd writes it without the library
that checks it, because that library needs more packages than the rest of a bundle. It lists only
files that do not depend on it: the manifest holds its hash. It claims no more than the card. No
license, no date and no author are known.
"""

from collections.abc import Mapping

from pipelines.bundle.checksums import hashes
from pipelines.run.store import Json, dumped
from privacy.promises import PROMISE
from privacy.threats import LIMITS, NO_GUARANTEE

NAME = "croissant.json"

_TYPES = {
    ".safetensors": "application/octet-stream",
    ".csv": "text/csv",
    ".json": "application/json",
    ".png": "image/png",
    ".py": "text/x-python",
}

_CONTEXT = {
    "@language": "en",
    "@vocab": "https://schema.org/",
    "citeAs": "cr:citeAs",
    "column": "cr:column",
    "conformsTo": "dct:conformsTo",
    "cr": "http://mlcommons.org/croissant/",
    "data": {"@id": "cr:data", "@type": "@json"},
    "dataBiases": "cr:dataBiases",
    "dataCollection": "cr:dataCollection",
    "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
    "dct": "http://purl.org/dc/terms/",
    "equivalentProperty": "cr:equivalentProperty",
    "examples": {"@id": "cr:examples", "@type": "@json"},
    "extract": "cr:extract",
    "field": "cr:field",
    "fileObject": "cr:fileObject",
    "fileProperty": "cr:fileProperty",
    "fileSet": "cr:fileSet",
    "format": "cr:format",
    "includes": "cr:includes",
    "isLiveDataset": "cr:isLiveDataset",
    "jsonPath": "cr:jsonPath",
    "key": "cr:key",
    "md5": "cr:md5",
    "parentField": "cr:parentField",
    "path": "cr:path",
    "personalSensitiveInformation": "cr:personalSensitiveInformation",
    "rai": "http://mlcommons.org/croissant/RAI/",
    "recordSet": "cr:recordSet",
    "references": "cr:references",
    "regex": "cr:regex",
    "repeated": "cr:repeated",
    "replace": "cr:replace",
    "sc": "https://schema.org/",
    "samplingRate": "cr:samplingRate",
    "separator": "cr:separator",
    "source": "cr:source",
    "subField": "cr:subField",
    "transform": "cr:transform",
}
"""Copied from the specification."""

_COLLECTION = (
    "Synthetic: the images were learned by dataset distillation, so that a classifier trained on "
    "them alone behaves like one trained on the radiographs of a hospital. They are not "
    "radiographs."
)
_USE = "Research on and training of image classifiers. Not for diagnosis."
_PROMISED = (
    "Learned from radiographs of patients. "
    + PROMISE
    + " audit.html states epsilon and delta, and what the guarantee rests on. It is not a finding "
    "that the data are anonymous; that decision belongs to the controller."
)
_WORTH = (
    "Tested only on patients of the same source; see README.md. Other hospitals, devices and "
    "networks were not tested."
)
_PRIVACY = (
    "Learned from radiographs of patients. Attacks on this release were made and bounded: "
    "audit.html says which attacks were made, and which were not. A passed audit is not a finding "
    "that the data are anonymous; that decision belongs to the controller. "
    + NO_GUARANTEE
    + " No audit looks at: "
)


def croissant(facts: Json, files: Mapping[str, bytes]) -> bytes:
    """Returns the description.

    Args:
        facts: what the release file says about itself.
        files: tensors, labels, previews, code and how films are prepared, by name.
    """
    classes, promised = facts["classes"], facts["guarantee"] is not None
    described = {
        "@context": _CONTEXT,
        "@type": "sc:Dataset",
        "conformsTo": [
            "http://mlcommons.org/croissant/1.0",
            "http://mlcommons.org/croissant/RAI/1.0",
        ],
        "name": "synthetic-radiographs",
        "description": (
            f"{facts['ipc'] * len(classes)} synthetic images with soft labels that represent "
            + ("patches of " if "patches" in facts["reading"] else "")
            + "a set of radiographs. Not for diagnosis. README.md is the card."
        ),
        "keywords": ["dataset distillation", "synthetic", "radiography"],
        "isLiveDataset": False,
        "rai:dataCollection": _COLLECTION,
        "rai:dataUseCases": _USE,
        "rai:dataLimitations": _WORTH,
        "rai:personalSensitiveInformation": _PROMISED if promised else _PRIVACY + " ".join(LIMITS),
        "distribution": [_file(name, digest) for name, digest in hashes(files).items()],
        "recordSet": [
            {
                "@type": "cr:RecordSet",
                "@id": "labels",
                "name": "labels",
                "description": "One row per image: its preview, and one number per class.",
                "key": {"@id": "labels/file"},
                "field": [
                    _field("file", "file", "Name of the preview.", "sc:Text"),
                    *(
                        _field(f"class{number}", name, f"Label for the class {name}.", "sc:Float")
                        for number, name in enumerate(classes)
                    ),
                ],
            }
        ],
    }
    return dumped(described)


def _file(name: str, digest: str) -> Json:
    return {
        "@type": "cr:FileObject",
        "@id": name,
        "name": name,
        "contentUrl": name,
        "encodingFormat": _TYPES["." + name.rpartition(".")[2]],
        "sha256": digest,
    }


def _field(name: str, column: str, description: str, kind: str) -> Json:
    return {
        "@type": "cr:Field",
        "@id": f"labels/{name}",
        "name": name,
        "description": description,
        "dataType": kind,
        "source": {"fileObject": {"@id": "labels.csv"}, "extract": {"column": column}},
    }
