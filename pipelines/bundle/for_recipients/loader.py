"""Reads the synthetic set. Needs torch and safetensors, nothing else.

from loader import SyntheticImages
for image, label in SyntheticImages("synthetic.safetensors"): ...
"""

import json

from safetensors import safe_open
from torch.utils.data import Dataset


class SyntheticImages(Dataset):
    """Standardised images (C, H, W), float32, with soft labels (K,)."""

    def __init__(self, path="synthetic.safetensors"):
        with safe_open(path, "pt") as file:
            self.facts = json.loads(file.metadata()["medidd"])
            levels, self.labels = file.get_tensor("images"), file.get_tensor("labels")
        scale = self.facts["normalization"]
        display = levels.float() / scale["levels"]
        self.images = (display - scale["mean"]) / scale["std"]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, row):
        return self.images[row], self.labels[row]
