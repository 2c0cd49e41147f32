#include "harness/scenario/app_door.h"

namespace rig {
namespace {

constinit const rig_subject* inner = nullptr;
constinit rig_subject door{};

// Inside is a thread that is in a verb of the subject's.
class Inside {
 public:
  Inside() noexcept {
    LibraryWatch::control_enters();
    KernelWatch::control_enters();
  }
  ~Inside() { LibraryWatch::control_leaves(); }
  Inside(const Inside&) = delete;
  Inside& operator=(const Inside&) = delete;

 private:
  lab::Acting subject_{lab::Party::subject};
};

template <auto Verb>
struct Through;

template <class Result, class... Arguments, Result (*rig_subject::*Verb)(Arguments...)>
struct Through<Verb> {
  // An exception must not cross the C interface: it would leave half of the rig's work undone.
  static Result call(Arguments... arguments) noexcept {
    const Inside inside;
    return (inner->*Verb)(arguments...);
  }
};

template <auto... Verbs>
void lead_through() {
  ((door.*Verbs = inner->*Verbs != nullptr ? Through<Verbs>::call : nullptr), ...);
}

}  // namespace

const rig_subject& through_app_door(const rig_subject& subject) {
  if (&subject == &door) {
    return door;
  }
  inner = &subject;
  door = subject;
  lead_through<&rig_subject::loop_create, &rig_subject::loop_turn, &rig_subject::loop_wake, &rig_subject::loop_counts,
               &rig_subject::loop_destroy, &rig_subject::context_create, &rig_subject::context_destroy,
               &rig_subject::listen, &rig_subject::listener_port, &rig_subject::listener_close, &rig_subject::connect,
               &rig_subject::adopt, &rig_subject::send, &rig_subject::pause, &rig_subject::resume,
               &rig_subject::renegotiate, &rig_subject::update_keys, &rig_subject::half_close, &rig_subject::close,
               &rig_subject::destroy, &rig_subject::info>();
  return door;
}

}  // namespace rig
