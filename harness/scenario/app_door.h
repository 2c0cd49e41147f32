// The app door: the calls between the rig and a subject, both ways. Whatever runs between the two is the subject's:
// what it allocates can be made to fail, and law C7 is asked of each callback.
#pragma once

#include <string_view>

#include "harness/lab/allocation.h"
#include "harness/oracle/violation.h"
#include "harness/scenario/kernel_watch.h"
#include "harness/scenario/library_watch.h"
#include "harness/subjects/subject.h"

namespace rig {

// through_app_door answers a table with the verbs of `subject`, each of which is called as the subject; a verb that the
// subject does not have is not there either. Breaches of C7 go to `log`, each kind of them once. Thread: the only one
// that uses a subject; one subject at a time in a process, whose table and log are valid until the next.
const rig_subject& through_app_door(const rig_subject& subject, ViolationLog& log);

// CalledBack stands in each callback that the rig gives to a subject: as long as it does, the rig's own code runs.
//
// It asks C7 of the thread that calls back: a callback comes inside loop_turn (or loop_destroy, which may end what is
// left), and inside no other verb, so that none comes inside another; with no lock held that the subject has taken
// since it was entered, as far as the lab knows locks; and in one turn never from ever deeper in the stack.
class CalledBack {
 public:
  CalledBack(std::string_view where, std::string_view callback) noexcept;
  ~CalledBack();
  CalledBack(const CalledBack&) = delete;
  CalledBack& operator=(const CalledBack&) = delete;

  // depth_growth_max is by how much the stack may be deeper than at the first callback of a turn. What a layer calls
  // between two of them differs by some frames; one that recurses has a frame more for each op. Units: bytes.
  static constexpr std::size_t depth_growth_max = 64 * 1024;

 private:
  lab::Acting rig_{lab::Party::rig};
};

}  // namespace rig
