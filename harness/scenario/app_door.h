// The app door: the calls between the rig and a subject, both ways. Whatever runs between the two is the subject's:
// what it allocates can be made to fail.
#pragma once

#include "harness/lab/allocation.h"
#include "harness/scenario/kernel_watch.h"
#include "harness/scenario/library_watch.h"
#include "harness/subjects/subject.h"

namespace rig {

// through_app_door answers a table with the verbs of `subject`, each of which is called as the subject; a verb that the
// subject does not have is not there either. Thread: the only one that uses a subject; one subject at a time in a
// process, whose table is valid until the next.
const rig_subject& through_app_door(const rig_subject& subject);

// CalledBack stands in each callback that the rig gives to a subject: as long as it does, the rig's own code runs.
class CalledBack {
 public:
  CalledBack() noexcept { LibraryWatch::control_leaves(); }
  ~CalledBack() {
    LibraryWatch::control_enters();
    KernelWatch::control_enters();
  }
  CalledBack(const CalledBack&) = delete;
  CalledBack& operator=(const CalledBack&) = delete;

 private:
  lab::Acting rig_{lab::Party::rig};
};

}  // namespace rig
