// What the engines of a pair are like, out of choices; and configurations that no context can be made of.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "fuzz/choices.h"
#include "harness/engine/backend.h"

namespace rig {

// Nature is both contexts of a pair, and what a connection adds. A context that the library refuses is null.
struct Nature {
  std::shared_ptr<const Context> client;
  std::shared_ptr<const Context> server;
  EngineConfig connect;
};

// nature_of takes a handful of choices: keys or certificates, names, who is checked, protocols, tickets, versions, who
// logs keys, and whether that log throws. Contexts are kept for the next input that asks for the same. Thread: one.
Nature nature_of(Choices& choices, const std::string& library);

// refusal_of asks `backend` for the context, or for the engine, that `choice` describes, most of which cannot be.
std::optional<Error> refusal_of(Backend& backend, std::uint8_t choice);

}  // namespace rig
