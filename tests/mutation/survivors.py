"""Mutants that no test can notice, each with its reason: (file, statement, what it says instead) -> why."""

_TWICE = "valid_topic_name() checks the same string again"
_TWO_LOCKS = "attach() also takes the session's end away"
_SLOWER = "through the inbox the order is the same, only later"

ALLOWED = {
    ("proto/decode_connect.cpp", "v5[MQTT-3.1.3-11]", "1"): _TWICE,
    ("proto/decode_connect.cpp", "v311[MQTT-3.1.3-10]", "1"): _TWICE,
    ("broker/core/engine.cpp", "v5[MQTT-4.1.0-1]", "0"): _TWO_LOCKS,
    ("broker/core/engine.cpp", "v311[MQTT-4.1.0-1]", "0"): _TWO_LOCKS,
    ("broker/core/engine.cpp", "v311[MQTT-4.1.0-2]", "0"): _TWO_LOCKS,
    ("broker/core/routing.cpp", "v5[MQTT-4.6.0-5]", "1"): _SLOWER,
    ("broker/core/routing.cpp", "v5[MQTT-4.6.0-6]", "1"): _SLOWER,
    ("broker/core/routing.cpp", "v311[MQTT-4.6.0-5]", "1"): _SLOWER,
    ("broker/core/routing.cpp", "v311[MQTT-4.6.0-6]", "1"): _SLOWER,
    ("broker/core/session_connect.cpp", "v5[MQTT-3.1.2-27]", "1"): "a table for 0 aliases hands out none",
}
