// The misuser: a subject whose sends use a session of OpenSSL against its manual.
#pragma once

#include <cstdint>

#include "harness/subjects/subject.h"

namespace rig {

// Misuse is what the sends do with a session of the misuser's own, which has shaken hands and has nothing to read. Its
// transport is a pair of sockets.
enum class Misuse : std::uint8_t {
  none,                   // a read and a wait, as they should be: clear, read, ask; read on, and then wait
  no_clear,               // a read over whatever is in the error queue (H2)
  shutdown_in_handshake,  // a new session is shut down before it has shaken hands (E3)
  empty_write,            // a write of no bytes (E1)
  entry_at_wait,          // it waits, with an entry in the error queue (H1)
  pending_at_wait,        // it waits for input that the library holds (L1)
  shared,                 // all threads that send drive one session, whose transport is in memory (E2)
};

// make_misuser wraps `inner`, which must outlive its use. Each thread that sends has a session, from its second send
// on; with `shared` they have one, from the first send on, until the last of them ends. There is one misuser in the
// process.
const rig_subject* make_misuser(const rig_subject* inner, Misuse misuse);

}  // namespace rig
