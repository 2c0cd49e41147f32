#include "harness/oracle/session_book.h"

#include <fmt/format.h>

#include <mutex>

namespace rig {

namespace {

const char* outcome_words(DoorOutcome outcome) {
  switch (outcome) {
    case DoorOutcome::done:
      return "succeeded";
    case DoorOutcome::want_read:
      return "waits for input";
    case DoorOutcome::want_write:
      return "waits for room";
    case DoorOutcome::end:
      return "met the peer's end";
    case DoorOutcome::fatal:
      return "failed";
    case DoorOutcome::broken:
      return "lost its transport";
    case DoorOutcome::given_up:
      return "was declined by the peer";
    case DoorOutcome::other:
      break;
  }
  return "was refused";
}

bool is_told(const DoorCall& call) {
  return call.session != nullptr && call.verb != DoorVerb::classify;
}

}  // namespace

// Two sessions of one slot push each other out.
SessionBook::Session& SessionBook::slot(const void* key) noexcept {
  return sessions_.make_or(session_slot(key), shared_session_);
}

SessionBook::Thread& SessionBook::thread_of(std::uint32_t thread) noexcept {
  return threads_.make_or(thread, shared_thread_);
}

void SessionBook::bind(const void* key, int descriptor) noexcept {
  Session& session = slot(key);
  const void** const owner = owners_.make(descriptor);
  if (owner != nullptr && *owner == nullptr && session.key == key && session.descriptor < 0) {
    session.descriptor = descriptor;
    *owner = key;
  }
}

void SessionBook::entering(const DoorCall& call) noexcept {
  if (!is_told(call)) {
    return;
  }
  const std::lock_guard guard(lock_);
  Thread& thread = thread_of(call.thread);
  Session& session = slot(call.session);
  if (call.verb == DoorVerb::destroy) {
    if (const void** const owner = owners_.find(session.descriptor); owner != nullptr && session.key == call.session) {
      *owner = nullptr;
      session = {};
    }
    thread = {};
    return;
  }
  if (session.key != call.session) {
    session = {.key = call.session};
  }
  session.function = call.function;
  session.bytes = call.verb == DoorVerb::write ? call.bytes : 0;
  session.is_within = true;
  if (thread.descriptor >= 0) {
    bind(call.session, thread.descriptor);
  }
  thread = {.session = call.session};
}

void SessionBook::left(const DoorCall& call, const DoorReturn& result) noexcept {
  if (!is_told(call) || call.verb == DoorVerb::destroy) {
    return;
  }
  const std::lock_guard guard(lock_);
  if (Session& session = slot(call.session); session.key == call.session) {
    session.is_within = false;
    session.outcome = result.outcome;
  }
}

void SessionBook::carried(std::uint32_t thread, int descriptor, const void* driving, bool sends) noexcept {
  const std::lock_guard guard(lock_);
  Thread& here = thread_of(thread);
  if (driving != nullptr) {
    bind(driving, descriptor);
  } else if (!sends) {
    here.descriptor = descriptor;
  } else if (here.session != nullptr) {
    bind(here.session, descriptor);
  }
}

void SessionBook::begun(int descriptor) noexcept {
  const std::lock_guard guard(lock_);
  const void** const owner = owners_.find(descriptor);
  if (owner == nullptr || *owner == nullptr) {
    return;
  }
  if (Session& session = slot(*owner); session.key == *owner) {
    session = {};
  }
  *owner = nullptr;
}

std::string SessionBook::last_asked(int descriptor) {
  Session session;
  {
    const std::lock_guard guard(lock_);
    const void** const owner = owners_.find(descriptor);
    if (owner == nullptr || *owner == nullptr || slot(*owner).key != *owner) {
      return "";
    }
    session = slot(*owner);
  }
  if (session.function == nullptr) {
    return "";
  }
  const std::string amount = session.bytes != 0 ? fmt::format(" of {} bytes", session.bytes) : "";
  return fmt::format("the last {}(){} {}", session.function, amount,
                     session.is_within ? "has not come back" : outcome_words(session.outcome));
}

}  // namespace rig
