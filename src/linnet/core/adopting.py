"""New limits for a broker that runs.

Whatever is there keeps its place: a limit that is lower than what was accepted already refuses only what is new.
What a client was told in CONNACK, or was judged by when it connected, holds for its connection to the end; such limits
are asked of `ServerConnection.limits`, and all others of `BrokerCore.limits` or of the objects that are told here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from linnet.core.backlog import HOLD
from linnet.core.topics import TopicRules

if TYPE_CHECKING:
    from linnet.core.broker import BrokerCore
    from linnet.core.limits import Limits
    from linnet.core.router import Router
    from linnet.core.session import Session


def adopt(core: BrokerCore, limits: Limits) -> None:
    """Let everything in a broker obey these limits from now on."""
    core.limits = limits
    backlog = core.backlog
    backlog.max_queued_messages = limits.max_queued_messages
    backlog.max_queued_bytes = limits.max_queued_bytes
    backlog.max_store_bytes = limits.max_store_bytes
    backlog.set_policies(limits.queue_policy, limits.queue_policies)
    core.router.budget = limits.delivery_budget
    renew_router(core.router, limits)
    for session in core.sessions.values():
        session.queue_qos0 = limits.queue_qos0
        for subscription in session.subscriptions.values():
            subscription.policy = backlog.policy_for(subscription.topics)
        let_publishers_go_on(session)
    backlog.relax()
    for host in core.admission.hosts.values():
        host.pace.change(limits.max_connect_rate_per_address, max(limits.max_connect_rate_per_address, 1))
    for connection in core.connections:
        connection.obey(limits)


def let_publishers_go_on(session: Session) -> None:
    """Keep nobody waiting for a queue that has room under the new limits, or whose policy is not to hold any more."""
    waiting = session.sender.waiting
    if waiting is None or waiting.held is None:
        return
    if any(subscription.policy == HOLD for subscription in session.subscriptions.values()):
        waiting.relax()
    else:
        waiting.let_go()


def renew_router(router: Router, limits: Limits) -> None:
    """Topics, routes and retained messages."""
    router.rules = TopicRules(limits.max_topic_bytes, limits.max_topic_levels, limits.refuse_control_characters)
    router.max_routes = limits.max_routes
    router.is_merging = limits.overlap == "merge"
    router.routes.clear()  # they were found under the old rules
    retained = router.retained
    retained.max_count = limits.max_retained
    retained.max_bytes = limits.max_retained_bytes
    retained.max_payload = limits.max_retained_payload
