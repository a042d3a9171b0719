"""The parts of the benchmark, one in each file. `run(stage, effort)` yields the rows of the table."""
