"""Settings of the tests of broken and malicious input."""

collect_ignore = ["fuzz_worker.py", "mutated_models.py", "mutated_tables.py", "present_models.py"]
"""Parts of a process of its own, which finds its modules beside itself."""
