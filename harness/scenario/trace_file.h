// The events of a run in the lab as a file that trace viewers open.
#pragma once

#include <cstdint>
#include <span>
#include <string>

#include "harness/base/error.h"
#include "harness/lab/lab.h"

namespace rig {

// AppNote is something at the app door, as it stands in the lab's events (Op::note).
struct AppNote {
  // Kind: an op was sent; it completed by callback; its send was final (completed at once, or refused).
  enum class Kind : std::uint8_t { issued, completed, final_return } kind = Kind::issued;
  bool server = false;
  std::uint32_t connection = 0;
  std::uint64_t op = 0;  // counts from 1 on each side of a connection
};

// note_in_lab puts a note among the events of the run, if one is going on. It enters the schedule hash.
void note_in_lab(const AppNote& note);

// note_of is the inverse, for an event whose op is Op::note.
AppNote note_of(const lab::Event& event);

// write_trace writes Chrome's trace format, which Perfetto reads too: one track per thread with a slice for each point
// and event, one per side of a connection with an async span per op, and the number of pending ops as a counter. Times
// are virtual, from the beginning of the run. Errors: refused_by_system with the path.
Status write_trace(const std::string& path, std::span<const lab::Event> events);

}  // namespace rig
