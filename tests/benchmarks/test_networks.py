"""What networks cost that are trained at once, in tiny shapes."""

from click.testing import CliRunner

from benchmarks.networks import main


def test_networks_trained_at_once_need_fewer_operators() -> None:
    shapes = ["--count", "6", "--steps", "3", "--size", "16", "--width", "4", "--repeats", "1"]
    ran = CliRunner().invoke(main, [*shapes, "--threads", "1"])
    assert ran.exit_code == 0, ran.output
    head, alone, together = ran.output.splitlines()
    assert head.startswith("6 networks of 3 steps")
    assert alone.startswith("one after another: ")
    assert alone.count("(1.00x)") == 3
    assert together.startswith("at once: ")
    assert float(together.split("(")[-1].split("x")[0]) < 0.5
