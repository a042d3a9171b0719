"""The helpers of the tests: real servers, databases and processes. Some of the helpers have tests of their own."""
