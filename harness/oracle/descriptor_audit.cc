#include "harness/oracle/descriptor_audit.h"

#include <fmt/format.h>

#include <mutex>

namespace rig {

DescriptorAudit::DescriptorAudit(ViolationLog& log)
    : log_(&log), descriptors_(std::make_unique<std::array<Descriptor, descriptors_max>>()) {
  CallStack::prepare();
}

DescriptorAudit::Descriptor* DescriptorAudit::find(int descriptor) const noexcept {
  return descriptor < 0 || descriptor >= descriptors_max ? nullptr
                                                         : &(*descriptors_)[static_cast<std::size_t>(descriptor)];
}

// Two sessions of one slot push each other out, and are then not judged until their next use.
DescriptorAudit::Binding& DescriptorAudit::binding(const void* session) noexcept {
  return bindings_[(reinterpret_cast<std::uintptr_t>(session) >> 4) * 0x9e3779b97f4a7c15u >> 54];
}

bool DescriptorAudit::is_socket(int descriptor) const noexcept {
  const Descriptor* const known = find(descriptor);
  return known != nullptr && known->state == State::open;
}

void DescriptorAudit::opened(int descriptor) noexcept {
  const std::lock_guard guard(lock_);
  if (Descriptor* const known = find(descriptor); known != nullptr) {
    known->state = State::open;
  }
}

void DescriptorAudit::replaced(int descriptor) noexcept {
  const std::lock_guard guard(lock_);
  if (Descriptor* const known = find(descriptor); known != nullptr) {
    known->state = State::unknown;
  }
}

void DescriptorAudit::closed(const Use& use) noexcept {
  Descriptor* const known = find(use.descriptor);
  if (known == nullptr) {
    return;
  }
  const CallStack here = CallStack::capture(use.caller);
  CallStack before;
  {
    const std::lock_guard guard(lock_);
    if (!use.refused) {
      *known = {.state = known->state == State::open ? State::closed : State::unknown,
                .generation = known->generation + 1,
                .closed_at = here};
      return;
    }
    if (known->state != State::closed) {
      return;
    }
    before = known->closed_at;
  }
  if (sites_.first(Law::f1_descriptors, use.caller)) {
    log_->report(Law::f1_descriptors, fmt::format("descriptor {}", use.descriptor),
                 fmt::format("it is closed twice: first in {}, then in {}", before.describe(), here.describe()));
  }
}

void DescriptorAudit::used(const Use& use) noexcept {
  Descriptor* const known = find(use.descriptor);
  if (known == nullptr) {
    return;
  }
  CallStack before;
  const char* what = nullptr;
  {
    const std::lock_guard guard(lock_);
    if (use.refused && known->state == State::closed) {
      what = "is used after its close";
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
  if (what != nullptr && sites_.first(Law::f1_descriptors, use.caller)) {
    log_->report(Law::f1_descriptors, fmt::format("descriptor {}", use.descriptor),
                 fmt::format("it {}: closed in {}; {} called from {}", what, before.describe(), use.function,
                             CallStack::capture(use.caller).describe()));
  }
}

void DescriptorAudit::killed(const Use& use) noexcept {
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

}  // namespace rig
