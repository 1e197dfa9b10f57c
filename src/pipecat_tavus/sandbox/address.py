#
# Copyright (c) 2026, the pipecat-tavus developers
#
# SPDX-License-Identifier: BSD 2-Clause License
#

"""The address under which a server of this machine is reached: pure."""

import ipaddress


def reachable(host: str) -> str:
    """The address, as a URL has it, under which this machine reaches a server of its own.

    Args:
        host: What the server listens on.

    Returns:
        The host of a URL.
    """
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return host
    if address.is_unspecified:
        return "127.0.0.1" if address.version == 4 else "[::1]"
    return host if address.version == 4 else f"[{host}]"
