"""Settings of the tests of broken and malicious input."""

collect_ignore = ["fuzz_worker.py"]  # a process of its own, which finds its modules beside itself
