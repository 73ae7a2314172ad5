"""Descriptors: how many sockets and files the system lets this process have open at the same time."""

try:
    import resource
except ImportError:  # a system that has no such limits, or none that can be asked for
    resource = None  # type: ignore[assignment]

RESERVED = 64  # for all that is no client: listeners, files, the event loop, and those who are told that it is full
PLENTY = 1 << 20  # where the system sets no limit
TRIES = (1 << 20, 1 << 16, 10_240)  # for systems that say there is no limit, and have one


def most_clients() -> int:
    """For how many clients there are descriptors; one at least."""
    return max(1, allowed() - RESERVED)


def allowed() -> int:
    """How many descriptors this process may have."""
    if resource is None:
        return PLENTY
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return PLENTY if soft == resource.RLIM_INFINITY else soft


def raise_limit() -> None:
    """Let this process have as many as it may allow itself: what programs get at first is often 1024."""
    if resource is None:
        return
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in TRIES if hard == resource.RLIM_INFINITY else (hard,):
        if soft == resource.RLIM_INFINITY or wanted <= soft:
            return
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
        except (OSError, ValueError):
            continue
        return
