"""One end of a cable between two network namespaces that delays frames and loses some, as `tc netem` does.

Few kernels in containers have netem. This program carries Ethernet frames between a TAP device, which the namespace
that it runs in sees as its cable, and a socket, whose other end the program of the other namespace has:

    python disturbed_cable.py DEVICE SOCKET_NUMBER DELAY_IN_SECONDS LOSS SEED

It writes "ready", and at its end, which is that of its standard input, how many frames it has taken and lost.
"""

import fcntl
import os
import random
import select
import socket
import struct
import sys
import time
from collections import deque
from contextlib import suppress

TUNSETIFF = 0x400454CA
IFF_TAP, IFF_NO_PI = 0x0002, 0x1000
LARGEST_FRAME = 2**16


def opened_device(name: str) -> int:
    """The TAP device of this namespace, whose frames can be read and written."""
    device = os.open("/dev/net/tun", os.O_RDWR | os.O_NONBLOCK)
    fcntl.ioctl(device, TUNSETIFF, struct.pack("16sH22x", name.encode(), IFF_TAP | IFF_NO_PI))
    return device


def carry(device: int, other: socket.socket, delay: float, loss: float, draw: random.Random) -> tuple[int, int]:
    """Carry frames until standard input ends; how many the device gave, and how many of them were lost."""
    waiting: deque[tuple[float, bytes]] = deque()
    taken = lost = 0
    while True:
        until = max(0.0, waiting[0][0] - time.monotonic()) if waiting else None
        ready, _, _ = select.select([device, other, sys.stdin], [], [], until)
        if sys.stdin in ready:
            return taken, lost
        if device in ready:
            frame, taken = os.read(device, LARGEST_FRAME), taken + 1
            if draw.random() < loss:
                lost += 1
            else:
                waiting.append((time.monotonic() + delay, frame))
        if other in ready:
            frame = other.recv(LARGEST_FRAME)
            with suppress(OSError):  # while the device is not up, nothing is at this end of the cable
                os.write(device, frame)
        while waiting and waiting[0][0] <= time.monotonic():
            other.send(waiting.popleft()[1])


if __name__ == "__main__":
    name, number, delay, loss, seed = sys.argv[1:]
    tap = opened_device(name)
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    with socket.socket(fileno=int(number)) as end:
        draw = random.Random(int(seed))  # noqa: S311 - no secret
        sys.stdout.write("{} {}\n".format(*carry(tap, end, float(delay), float(loss), draw)))
