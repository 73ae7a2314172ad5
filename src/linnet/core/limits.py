"""What the core is allowed to use up: the numbers of the settings that its rules need, and nothing else.

The table of settings gives their defaults and explains them; here they are only carried.
"""

from dataclasses import dataclass


@dataclass(slots=True, frozen=True, kw_only=True)
class Limits:
    """Named like the settings they come from."""

    versions: tuple[str, ...]
    connect_timeout: float
    max_qos: int
    retain_available: bool
    wildcard_subscriptions: bool
    subscription_identifiers: bool
    shared_subscriptions: bool
    max_keep_alive: int
    receive_maximum: int
    receive_maximum_3: int
    max_packet_size: int
    max_connect_size: int
    topic_alias_maximum: int
    topic_alias_maximum_out: int
    max_user_properties: int
    max_properties_size: int
    max_topic_bytes: int
    max_topic_levels: int
    max_client_id_bytes: int
    max_user_name_bytes: int
    max_password_bytes: int
    check_payload_format: bool
    refuse_control_characters: bool
    overlap: str
    tell_no_subscribers: bool
    response_information: str
    allow_empty_client_id: bool
    assigned_client_id_prefix: str
    max_sessions: int
    max_session_expiry: int
    max_inflight: int
    max_queued_messages: int
    max_queued_bytes: int
    queue_qos0: bool
    max_subscriptions_per_client: int
    max_subscriptions: int
    max_filters_per_packet: int
    max_retained: int
    max_retained_bytes: int
    max_retained_payload: int
    retained_slice: int
    max_output_bytes: int
    max_output_bytes_hard: int
    max_routes: int
    max_store_bytes: int
    queue_policy: str
    queue_policies: tuple[str, ...]
    hold_timeout: float
    delivery_budget: int
    max_connections: int
    max_connections_per_address: int
    max_connect_rate_per_address: float
    max_preconnect: int
    max_preconnect_per_address: int
    max_publish_rate: float
    max_byte_rate: float
    rate_policy: str
