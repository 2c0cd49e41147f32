#include "harness/oracle/descriptor_audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstddef>
#include <mutex>
#include <new>
#include <string>
#include <utility>
#include <vector>

namespace rig {

DescriptorAudit::DescriptorAudit(ViolationLog& log) : log_(&log) {
  CallStack::prepare();
}

// Two sessions of one slot push each other out, and are then not judged until their next use.
DescriptorAudit::Binding& DescriptorAudit::binding(const void* session) noexcept {
  return bindings_.make_or(session_slot(session), shared_binding_);
}

bool DescriptorAudit::is_socket(int descriptor) noexcept {
  const std::lock_guard guard(lock_);
  const Descriptor* const known = descriptors_.find(descriptor);
  return known != nullptr && known->state == State::open && known->socket;
}

void DescriptorAudit::opened(const Use& made, bool is_socket, DescriptorOwner owner) noexcept {
  const bool judged = owner == DescriptorOwner::judged;
  const CallStack here = judged ? CallStack::capture(made.caller) : CallStack();
  const std::lock_guard guard(lock_);
  if (Descriptor* const known = descriptors_.make(made.descriptor); known != nullptr) {
    known->state = judged ? State::open : State::foreign;
    known->socket = is_socket;
    known->connecting = false;
    known->function = made.function;
    known->opened_at = here;
  }
}

void DescriptorAudit::replaced(int descriptor) noexcept {
  const std::lock_guard guard(lock_);
  if (Descriptor* const known = descriptors_.find(descriptor); known != nullptr) {
    known->state = State::unknown;
  }
}

bool DescriptorAudit::is_known(int descriptor) noexcept {
  const std::lock_guard guard(lock_);
  const Descriptor* const known = descriptors_.find(descriptor);
  return known != nullptr && known->state != State::unknown;
}

bool DescriptorAudit::closing(const Use& use, DescriptorOwner owner) noexcept {
  if (!is_known(use.descriptor)) {
    return false;
  }
  const CallStack here = CallStack::capture(use.caller);
  bool stolen = false;
  {
    const std::lock_guard guard(lock_);
    Descriptor* const known = descriptors_.find(use.descriptor);
    if (known == nullptr || known->state == State::closed) {
      return false;
    }
    stolen = known->state == State::foreign && owner == DescriptorOwner::judged;
    known->state = known->state == State::open ? State::closed : State::unknown;
    ++known->generation;
    known->closed_at = here;
  }
  if (stolen) {
    report(use, "belongs to somebody else, and is closed", {});
  }
  return true;
}

void DescriptorAudit::close_refused(const Use& use) noexcept {
  CallStack before;
  {
    const std::lock_guard guard(lock_);
    const Descriptor* const known = descriptors_.find(use.descriptor);
    if (known == nullptr || known->state != State::closed) {
      return;
    }
    before = known->closed_at;
  }
  if (sites_.first(Law::f1_descriptors, use.caller)) {
    log_->report(Law::f1_descriptors, fmt::format("descriptor {}", use.descriptor),
                 fmt::format("it is closed twice: first in {}, then in {}", before.describe(),
                             CallStack::capture(use.caller).describe()));
  }
}

void DescriptorAudit::used(const Use& use) noexcept {
  CallStack before;
  const char* what = nullptr;
  {
    const std::lock_guard guard(lock_);
    const Descriptor* const known = descriptors_.find(use.descriptor);
    if (known == nullptr) {
      return;
    }
    if (known->state == State::foreign) {
      what = "belongs to somebody else, and is used";
    } else if (use.refused && known->state == State::closed) {
      what = "is used after its close";
      before = known->closed_at;
    } else if (is_stale(use, *known)) {
      what = "is connecting still, and used by a thread that has an event of the old owner of its number at hand";
      before = known->closed_at;
    } else if (!use.refused && use.session != nullptr) {
      Binding& bound = binding(use.session);
      if (bound.session == use.session && bound.descriptor == use.descriptor && bound.generation != known->generation) {
        what = "has been closed under a TLS session, which uses what has its number since";
        before = known->closed_at;
      }
      bound = {.session = use.session, .descriptor = use.descriptor, .generation = known->generation};
    }
  }
  if (what != nullptr) {
    report(use, what, before);
  }
}

bool DescriptorAudit::is_stale(const Use& use, const Descriptor& known) const noexcept {
  const Collected* const here = use.moves && known.connecting ? collected_.find(use.thread) : nullptr;
  if (here == nullptr) {
    return false;
  }
  const auto end = here->events.begin() + static_cast<std::ptrdiff_t>(here->count);
  const auto at = std::find_if(here->events.begin(), end, [&](const Event& event) {
    return event.descriptor == use.descriptor && event.generation != known.generation;
  });
  return at != end;
}

void DescriptorAudit::connecting(int descriptor) noexcept {
  const std::lock_guard guard(lock_);
  if (Descriptor* const known = descriptors_.find(descriptor); known != nullptr) {
    known->connecting = true;
  }
}

void DescriptorAudit::collected(std::uint32_t thread, std::span<const int> descriptors) noexcept {
  const std::lock_guard guard(lock_);
  Collected* const here = collected_.make(thread);
  if (here == nullptr) {
    return;
  }
  here->count = 0;
  for (const int descriptor : descriptors) {
    Descriptor* const known = descriptors_.find(descriptor);
    if (known != nullptr && here->count < collected_max) {
      known->connecting = false;
      here->events[here->count++] = {.descriptor = descriptor, .generation = known->generation};
    }
  }
}

void DescriptorAudit::report(const Use& use, const char* what, const CallStack& before) {
  if (!sites_.first(Law::f1_descriptors, use.caller)) {
    return;
  }
  const std::string closed = before.empty() ? "" : fmt::format(": closed in {}", before.describe());
  log_->report(
      Law::f1_descriptors, fmt::format("descriptor {}", use.descriptor),
      fmt::format("it {}{}; {} called from {}", what, closed, use.function, CallStack::capture(use.caller).describe()));
}

void DescriptorAudit::killed(const Use& use) noexcept {
  if (!sites_.first(Law::p1_sigpipe, use.caller)) {
    return;
  }
  log_->report(Law::p1_sigpipe, fmt::format("descriptor {}", use.descriptor),
               fmt::format("{} to a connection that is gone raises SIGPIPE, which kills the process; called from {}",
                           use.function, CallStack::capture(use.caller).describe()));
}

void DescriptorAudit::forgotten(const void* session) noexcept {
  const std::lock_guard guard(lock_);
  if (Binding& bound = binding(session); bound.session == session) {
    bound = {};
  }
}

// What is not the subject's goes on while this is asked: a relay of the rig closes its own descriptors.
void DescriptorAudit::finish() {
  std::vector<std::pair<int, Descriptor>> left_open;
  {
    const std::lock_guard guard(lock_);
    descriptors_.each([&left_open](int number, const Descriptor& known) {
      if (known.state == State::open) {
        left_open.emplace_back(number, known);
      }
    });
  }
  for (const auto& [number, known] : left_open) {
    if (sites_.first(Law::f1_descriptors, known.opened_at.site())) {
      log_->report(Law::f1_descriptors, fmt::format("descriptor {}", number),
                   fmt::format("it was never closed; {} called from {}", known.function, known.opened_at.describe()));
    }
  }
}

}  // namespace rig
