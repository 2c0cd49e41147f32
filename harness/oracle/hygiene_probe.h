// HygieneProbe: law H1. A call leaves no ambient error behind.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "harness/base/ambient.h"
#include "harness/oracle/violation.h"

namespace rig {

// ambient_sources_max is how many sources a process can have.
inline constexpr std::size_t ambient_sources_max = 8;

// register_ambient_source adds a source for the rest of the process; one with a name that is there already is left out,
// so that each adapter registers what it needs. Thread: any, at start-up.
void register_ambient_source(const AmbientSource& source);

// HygieneProbe looks at the calling thread when a verb of the subject has returned to the app, or a callback is about
// to run. `after(call)` reports H1 for each source with an entry left, naming `call`, and clears it, so that one
// leftover is one report. errno is not judged: POSIX lets a successful call change it. Thread: any; it judges the
// calling thread.
class HygieneProbe {
 public:
  HygieneProbe(std::string where, ViolationLog& log);
  void after(std::string_view call) const;

 private:
  std::string where_;
  ViolationLog* log_;
};

}  // namespace rig
