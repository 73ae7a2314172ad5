"""The three versions of the protocol, and how they differ, each difference under a name.

Nothing outside this file compares versions: whoever needs a difference asks for it by its name.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Version:
    """One version of MQTT. There are three objects of this class and no more."""

    name: str
    level: int  # the number in CONNECT
    protocol_name: str  # the string in front of it
    has_properties: bool  # packets carry properties, SUBSCRIBE carries options
    can_say_why: bool  # acknowledgements carry reason codes, the server may send DISCONNECT, AUTH exists
    has_session_present: bool  # CONNACK tells whether a session was found
    assigns_client_ids: bool  # an empty client identifier is accepted
    empty_id_needs_clean_start: bool  # ... but only together with a clean session [3.1.1: MQTT-3.1.3-7]
    password_needs_user_name: bool  # a password alone is refused
    login_may_be_missing: bool  # user name and password may be announced and yet be absent
    requests_may_be_duplicates: bool  # PUBREL, SUBSCRIBE and UNSUBSCRIBE may carry the DUP flag

    def __repr__(self) -> str:
        return f"<MQTT {self.name}>"


V3_1 = Version(
    name="3.1",
    level=3,
    protocol_name="MQIsdp",
    has_properties=False,
    can_say_why=False,
    has_session_present=False,
    assigns_client_ids=False,
    empty_id_needs_clean_start=False,
    password_needs_user_name=True,
    login_may_be_missing=True,
    requests_may_be_duplicates=True,
)
V3_1_1 = Version(
    name="3.1.1",
    level=4,
    protocol_name="MQTT",
    has_properties=False,
    can_say_why=False,
    has_session_present=True,
    assigns_client_ids=True,
    empty_id_needs_clean_start=True,
    password_needs_user_name=True,
    login_may_be_missing=False,
    requests_may_be_duplicates=False,
)
V5 = Version(
    name="5.0",
    level=5,
    protocol_name="MQTT",
    has_properties=True,
    can_say_why=True,
    has_session_present=True,
    assigns_client_ids=True,
    empty_id_needs_clean_start=False,
    password_needs_user_name=False,
    login_may_be_missing=False,
    requests_may_be_duplicates=False,
)

VERSIONS: dict[int, Version] = {version.level: version for version in (V3_1, V3_1_1, V5)}
