// The null backend: an engine without crypto, so that the same layer speaks plain TCP and a lab run costs next to
// nothing.
#pragma once

#include "harness/engine/backend.h"

namespace rig {

// null_backend passes bytes through unchanged. Its handshake is done at once, FIN is its clean end (plain TCP cannot
// tell a truncation), close_notify is empty, and renegotiation and key update are unsupported. Thread: any.
Backend& null_backend();

}  // namespace rig
