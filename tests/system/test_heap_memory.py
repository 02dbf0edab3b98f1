import resource
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from polylogit.system import heap_memory
from polylogit.system.heap_memory import LARGEST_BLOCK_OF_THE_HEAP, keeping_freed_memory

PAGES = 2 * LARGEST_BLOCK_OF_THE_HEAP // resource.getpagesize()

needs_glibc = pytest.mark.skipif(heap_memory._glibc() is None, reason="the C library is not glibc")


def whole_pages_are_huge():
    path = Path("/sys/kernel/mm/transparent_hugepage/enabled")
    return path.exists() and "[always]" in path.read_text()


def faults_of_a_block():
    """Page faults of making, filling and freeing a tensor larger than glibc keeps."""
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    torch.empty(2 * LARGEST_BLOCK_OF_THE_HEAP, dtype=torch.uint8).fill_(1)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before


@needs_glibc
@pytest.mark.skipif(whole_pages_are_huge(), reason="a page fault brings 2 MiB here")
def test_a_large_block_is_reused_within_and_given_back_afterwards():
    assert faults_of_a_block() > PAGES / 2
    with keeping_freed_memory():
        with keeping_freed_memory():
            assert min(faults_of_a_block() for _ in range(20)) < PAGES / 100
        # The inner one has given the free memory back, and ended nothing.
        assert min(faults_of_a_block() for _ in range(20)) < PAGES / 100
    assert faults_of_a_block() > PAGES / 2


@needs_glibc
def test_the_system_gets_the_memory_back():
    script = """
import torch
from pathlib import Path
from polylogit.system.heap_memory import keeping_freed_memory
def resident():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20
torch.empty(1).fill_(1)
with keeping_freed_memory():
    before = resident()
    torch.empty(200 << 20, dtype=torch.uint8).fill_(1)
    kept = resident()
print(before, kept, resident())
"""
    out = subprocess.run([sys.executable, "-c", script], check=True, capture_output=True, text=True).stdout
    before, kept, after = map(float, out.split())
    assert kept > before + 150 > after


def test_nothing_is_changed_where_it_is_not_wanted(monkeypatch):
    class Library:
        def mallopt(self, *_):
            raise AssertionError

    monkeypatch.setattr(heap_memory, "_LIBRARY", Library())
    with keeping_freed_memory(wanted=False):
        pass


def test_without_glibc_nothing_happens(monkeypatch):
    monkeypatch.setattr(heap_memory, "_LIBRARY", None)
    with keeping_freed_memory():
        assert heap_memory._keeping == 0
