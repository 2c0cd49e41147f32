#include "harness/scenario/library_watch.h"

#include <atomic>
#include <cerrno>

#include "harness/lab/allocation.h"
#include "harness/lab/scheduler.h"
#include "harness/scenario/kernel_watch.h"

namespace rig {
namespace {

constinit std::atomic<LibraryWatch*> current{nullptr};

bool drives(const DoorCall& call) noexcept {
  return call.session != nullptr && (call.verb == DoorVerb::handshake || call.verb == DoorVerb::read ||
                                     call.verb == DoorVerb::write || call.verb == DoorVerb::shutdown);
}

}  // namespace

LibraryWatch::LibraryWatch(ViolationLog& log, bool poison) : laws_(log, poison) {
  current.store(this);
  open_door(this);
}

LibraryWatch::~LibraryWatch() {
  // A run that was given up may outlive the next one's beginning.
  LibraryWatch* self = this;
  if (current.compare_exchange_strong(self, nullptr)) {
    open_door(nullptr);
  }
}

void LibraryWatch::entering(const DoorCall& call) noexcept {
  const lab::Acting rig(lab::Party::rig);
  if (call.verb == DoorVerb::destroy || call.verb == DoorVerb::reset) {
    KernelWatch::session_ends(call.session);
  }
  KernelWatch::session_asked(call);
  laws_.entering(call);
  sessions_.entering(call);
  // In the lab another thread may go on while this one is in the session, or two would never be in it.
  if (drives(call) && lab::self() != nullptr) {
    lab::point(lab::Op::work);
  }
}

void LibraryWatch::left(const DoorCall& call, const DoorReturn& result) noexcept {
  const lab::Acting rig(lab::Party::rig);
  KernelWatch::session_answered(call, result);
  laws_.left(call, result);
  sessions_.left(call);
}

void LibraryWatch::waiting(const DoorWait& wait) noexcept {
  const lab::Acting rig(lab::Party::rig);
  laws_.waiting(wait);
}

void LibraryWatch::resumed(std::uint32_t thread) noexcept {
  const lab::Acting rig(lab::Party::rig);
  laws_.resumed(thread);
}

void LibraryWatch::control_enters() noexcept {
  door_resumed();
}

void LibraryWatch::control_leaves() noexcept {
  LibraryWatch* const watch = current.load(std::memory_order_acquire);
  if (watch == nullptr || door_session() != nullptr) {
    return;
  }
  const int kept = errno;
  const lab::Acting rig(lab::Party::rig);
  watch->laws_.returned(door_thread());
  errno = kept;
}

}  // namespace rig
