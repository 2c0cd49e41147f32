// Hoarders: subjects that do not give back what they used, or queue without end. The canaries of law R1.
#pragma once

#include <cstdint>
#include <span>
#include <string_view>

#include "harness/subjects/subject.h"

namespace rig {

// Hoard is what is kept.
enum class Hoard : std::uint8_t {
  none,
  session,     // each handshake that fails leaves a session of OpenSSL's
  descriptor,  // each `closed` leaves a socket of the system's
  ops,         // a send that the queue refuses waits in a list without end
};

// HoardKind is its name.
struct HoardKind {
  Hoard hoard;
  std::string_view name;
};

// hoards lists all but `none`.
std::span<const HoardKind> hoards();

// make_hoarder wraps `inner`, which must outlive its use. There is one in the process, which must be made while no run
// is under way; all sockets of the process have one table of callbacks. `ops` is for one sender per socket, on its
// loop's thread. give_back_hoard frees what was kept, for leak checkers.
const rig_subject* make_hoarder(const rig_subject* inner, Hoard hoard);
void give_back_hoard();

}  // namespace rig
