"""k-means: centroids in pixel space (a baseline of Wang et al. 2018, arXiv:1811.10959).

A centroid is a mean, but a cluster can be a single film; the audit for copies looks for this.
"""

import torch
from sklearn.cluster import KMeans
from torch import Tensor


def kmeans(images: Tensor, ipc: int, rng: torch.Generator) -> Tensor:
    """Returns the ``ipc`` centroids of (n, C, H, W) by k-means++ and Lloyd's algorithm."""
    seed = int(torch.randint(2**31, (), generator=rng))
    # Only one start: scikit-learn's best of ten would take ten times as long, for a baseline.
    fitted = KMeans(ipc, n_init=1, random_state=seed).fit(images.flatten(1).cpu().numpy())
    centroids = torch.from_numpy(fitted.cluster_centers_).to(images)
    return centroids.reshape(ipc, *images.shape[1:])
