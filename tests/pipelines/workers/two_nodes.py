"""A Ray cluster of two nodes on this computer, as a program of its own.

    python two_nodes.py FOLDER

Prints the address of the head. Each line that it reads kills the second node; it ends with its
standard input.
"""

import logging
import os
import sys
from pathlib import Path


def main(folder: str) -> None:
    os.environ |= {"RAY_USAGE_STATS_ENABLED": "0", "RAY_AUTH_MODE": "token", "RAY_TMPDIR": folder}
    (Path(folder) / "ray").mkdir()
    from ray.cluster_utils import Cluster

    logging.disable()
    memory = {"object_store_memory": 80 * 2**20}
    head = {"num_cpus": 2, "include_dashboard": False, **memory}
    cluster = Cluster(initialize_head=True, head_node_args=head)
    second = cluster.add_node(num_cpus=1, **memory)
    cluster.wait_for_nodes()
    print(cluster.address, flush=True)  # noqa: T201
    for _ in sys.stdin:
        cluster.remove_node(second, allow_graceful=False)
        print("killed", flush=True)  # noqa: T201
    cluster.shutdown()


if __name__ == "__main__":
    main(sys.argv[1])
