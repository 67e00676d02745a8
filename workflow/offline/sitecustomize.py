"""Refuse the network to every Python process that has this folder on PYTHONPATH.

``make book OFFLINE=1`` builds the book so, kernels included. What was asked for is written into
the file that MIXFLOW_REFUSED names.
"""

import errno
import os
import socket
import sys

LOCAL = {"", "localhost", "::1", "::", "0.0.0.0", socket.gethostname()}
# Event of an audit hook -> where the address stands among its arguments.
ASKED = {
    "socket.connect": 1,
    "socket.sendto": 1,
    "socket.sendmsg": 1,
    "socket.getaddrinfo": 0,
    "socket.gethostbyname": 0,
}


def refuse(event: str, arguments: tuple) -> None:
    """Raise ``OSError`` where a process asks for another machine."""
    if event not in ASKED:
        return
    address = arguments[ASKED[event]]
    host = address[0] if isinstance(address, tuple) else address
    # Kernels talk to this machine; a path is that of a socket in a file.
    if host is None or str(host) in LOCAL or str(host).startswith(("127.", "/", "b'")):
        return
    if log := os.environ.get("MIXFLOW_REFUSED"):
        with open(log, "a", encoding="utf-8") as stream:
            stream.write(f"{host}\n")
    raise OSError(errno.ENETUNREACH, f"the network is refused here; {host} was asked for")


sys.addaudithook(refuse)
