// Carries out a plan: the operations go to simulated shards (transcript.hpp) by clients that keep to MQTT, and every
// packet in both directions is told to the model. At the end everybody comes back, acknowledges everything, and
// nothing that is owed may be missing.
#pragma once

#include <string>
#include <vector>

#include "tests/sim/operations.hpp"

namespace fb::sim {

struct outcome {
    bool diverged = false;
    int step = 0; // operations carried out before; the plan's length: while everybody came back
    std::string expected;
    std::string came;
    std::vector<std::string> story; // every operation that did something, and what clients were sent
};

outcome run(const plan& p);

/// The shortest plan found that still diverges: prefixes and parts of it are tried with operations removed.
plan shrink(plan p);

/// For people: seed, shards, step, what was expected and what came, and the steps.
std::string report(const plan& p, const outcome& o);

} // namespace fb::sim
