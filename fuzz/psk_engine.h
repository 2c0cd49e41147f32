// Engines for targets that need some of their own.
#pragma once

#include <memory>
#include <string>

#include "harness/engine/engine.h"

namespace rig {

// PskEngine is what an engine is to be like; keys are pre-shared.
struct PskEngine {
  std::string library;
  Role role = Role::client;
  TlsVersion version = TlsVersion::tls12;
  bool renegotiation = false;
};

// make_psk_engine makes one. Contexts are made once in a process and kept. What there is not is found(). Thread: one.
std::unique_ptr<TlsEngine> make_psk_engine(const PskEngine& wanted);

}  // namespace rig
