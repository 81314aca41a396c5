"""The machine's memory, or its container's."""

from __future__ import annotations

import os
import re
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
"""Where Linux keeps a container's limits."""
# of version 2 and 1: the limit, what is in use, and the detail of that
FILES = (
    ("memory.max", "memory.current", "memory.stat"),
    ("memory/memory.limit_in_bytes", "memory/memory.usage_in_bytes", "memory/memory.stat"),
)


def memory(cgroups: Path | None = None) -> int:
    """Return the machine's memory in bytes, or its container's limit if that is lower.

    Args:
        cgroups: Where Linux keeps a container's limits; `CGROUPS` by default.
    """
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    return min([machine, *(limit for limit, _ in _containers(cgroups or CGROUPS))])


def free_memory(cgroups: Path | None = None, meminfo: Path = Path("/proc/meminfo")) -> int | None:
    """Return the bytes that this process can still take without swapping; `None` where Linux does not tell.

    Args:
        cgroups: Where Linux keeps a container's limits; `CGROUPS` by default.
        meminfo: Where Linux tells the machine's memory.
    """
    if not meminfo.exists():
        return None
    found = re.search(r"^MemAvailable: +(\d+) kB$", meminfo.read_text(), re.MULTILINE)
    machine = [int(found[1]) * 1024] if found else []
    return min([*machine, *(max(limit - used, 0) for limit, used in _containers(cgroups or CGROUPS))], default=None)


def _containers(cgroups: Path) -> list[tuple[int, int]]:
    """The limits of the container, each with the bytes in use that are no cache of files."""
    found = []
    for limit, usage, detail in FILES:
        if (cgroups / limit).exists() and (text := (cgroups / limit).read_text().strip()) != "max":
            used = int((cgroups / usage).read_text()) if (cgroups / usage).exists() else 0
            stat = (cgroups / detail).read_text() if (cgroups / detail).exists() else ""
            cache = re.search(r"^(?:total_)?inactive_file (\d+)$", stat, re.MULTILINE)
            found.append((int(text), used - (int(cache[1]) if cache else 0)))
    return found
