"""Mutants that no test can notice, each with its reason: (file, statement, what it says instead) -> why."""

_TWO_LOCKS = "attach() also takes the session's end away"

ALLOWED = {
    ("broker/core/engine.cpp", "v5[MQTT-4.1.0-1]", "0"): _TWO_LOCKS,
    ("broker/core/engine.cpp", "v311[MQTT-4.1.0-1]", "0"): _TWO_LOCKS,
    ("broker/core/engine.cpp", "v311[MQTT-4.1.0-2]", "0"): _TWO_LOCKS,
}
