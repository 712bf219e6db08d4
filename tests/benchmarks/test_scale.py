"""The simulation of a cluster gives the answers that are known."""

import random
from dataclasses import replace

import pytest

from benchmarks.scale import Study, paper
from benchmarks.simulation import Cluster, Course, Job, breakdowns, drawn, simulated

FAST = Cluster(nodes=1, gpus=2, cores=4, bandwidth=1e9, stream=1e9, opens=1e9)


def course(todo: list[Job], cluster: Cluster, *failing: tuple[float, int]) -> Course:
    return simulated(todo, cluster, [job.seconds for job in todo], iter(failing))


def test_equal_jobs_share_the_gpus_and_a_chain_does_not() -> None:
    equal = [Job("distil", "gpu", 3.0)] * 10
    ended = course(equal, FAST)
    assert ended.seconds == pytest.approx(15)
    assert ended.busy["gpu"] == pytest.approx(30)
    assert ended.done == [1] * 10
    chain = [Job("distil", "gpu", 3.0, after=(n - 1,) if n else ()) for n in range(10)]
    assert course(chain, FAST).seconds == pytest.approx(30)


def test_the_longest_job_comes_first() -> None:
    todo = [Job("a", "gpu", 1.0), Job("a", "gpu", 1.0), Job("a", "gpu", 6.0)]
    assert course(todo, FAST).seconds == pytest.approx(6)


def test_cores_and_gpus_do_not_wait_for_each_other() -> None:
    todo = [Job("distil", "gpu", 4.0)] * 2 + [Job("audit", "core", 4.0)] * 4
    assert course(todo, FAST).seconds == pytest.approx(4)


def test_a_failure_repeats_exactly_what_was_not_finished() -> None:
    one = replace(FAST, gpus=1, repair=5.0)
    ended = course([Job("distil", "gpu", 10.0)] * 2, one, (15.0, 0))
    assert ended.done == [1, 2]
    assert ended.lost == pytest.approx(5)
    assert ended.seconds == pytest.approx(15 + 5 + 10)
    assert ended.failures == 1
    assert course([Job("distil", "gpu", 10.0)] * 2, one, (25.0, 0)).seconds == pytest.approx(20)


def test_a_job_of_a_node_that_failed_goes_on_elsewhere() -> None:
    two = replace(FAST, nodes=2, gpus=1, repair=1000.0)
    ended = course([Job("distil", "gpu", 10.0)] * 2, two, (4.0, 1))
    assert sorted(ended.done) == [1, 2]
    assert ended.seconds == pytest.approx(20)


def test_readers_share_the_bandwidth_and_none_gets_more_than_its_stream() -> None:
    todo = [Job("read films", "core", 0.0, gigabytes=10.0)] * 4
    bound = replace(FAST, bandwidth=2.0)
    ended = course(todo, bound)
    assert ended.seconds == pytest.approx(20)
    assert ended.waited["core"] == pytest.approx(80)
    assert course(todo, replace(bound, stream=0.25)).seconds == pytest.approx(40)
    # The two others have the disk for themselves once the small ones have ended.
    few = [replace(job, gigabytes=2.0) for job in todo[:2]] + todo[2:]
    assert course(few, bound).seconds == pytest.approx(4 + 8)


def test_small_files_wait_for_being_opened_and_not_for_bytes() -> None:
    todo = [Job("read films", "core", 0.0, gigabytes=1.0, opened=1000)] * 4
    ended = course(todo, replace(FAST, opens=100.0))
    assert ended.seconds == pytest.approx(40)


def test_a_study_with_nothing_to_wait_for_takes_what_the_paper_says() -> None:
    todo = Study(films=10_000, seeds=1, ipc=(1,), steps=(("dm", 100, 0.1),)).jobs()
    wide = replace(FAST, gpus=64, cores=64)
    computing = paper(todo, wide)[1]
    assert course(todo, wide).seconds <= computing


def test_all_runs_share_the_films_or_each_reads_them_again() -> None:
    study = Study(films=4800)

    def opened(of: Study) -> int:
        return sum(job.opened for job in of.jobs() if job.kind == "read films")

    assert opened(study) == 3 * 4800
    assert opened(replace(study, shared=False)) == 3 * 4800 * study.runs


def test_the_seed_decides_everything() -> None:
    todo = Study(seeds=1, ipc=(1,), audited=1000).jobs()
    cluster = Cluster(nodes=2, failures=2.0)

    def ended(seed: int) -> float:
        rng = random.Random(seed)
        return simulated(todo, cluster, drawn(todo, rng, 0.2), breakdowns(cluster, rng)).seconds

    assert ended(0) == ended(0) != ended(1)
    mean = sum(drawn([Job("a", "gpu", 1.0)] * 4000, random.Random(0), 0.3)) / 4000
    assert mean == pytest.approx(1, abs=0.02)
