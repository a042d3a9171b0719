"""The helpers of the tests: real servers of their own, databases, real processes. This package has no tests."""
