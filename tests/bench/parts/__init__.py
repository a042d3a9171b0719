"""The parts of the benchmark, a file each: `run(stage, effort)` yields the rows of the table."""
