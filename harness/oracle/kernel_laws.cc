#include "harness/oracle/kernel_laws.h"

#include <cerrno>

namespace rig {

namespace {

void feed_opened(DescriptorAudit& audit, DescriptorScope scope, DescriptorOwner owner, const KernelCall& call,
                 int descriptor) noexcept {
  const bool is_socket = call.verb == KernelVerb::socket || call.verb == KernelVerb::accept ||
                         (call.verb == KernelVerb::duplicate && audit.is_socket(call.descriptor));
  if (!is_socket && scope == DescriptorScope::sockets) {
    audit.replaced(descriptor);
    return;
  }
  DescriptorAudit::Use made = use_of(call);
  made.descriptor = descriptor;
  audit.opened(made, is_socket, owner);
}

}  // namespace

void feed(DescriptorAudit& audit, DescriptorScope scope, DescriptorOwner owner, const KernelCall& call,
          const KernelReturn& result) noexcept {
  DescriptorAudit::Use use = use_of(call);
  use.refused = result.error == EBADF;
  if (call.verb == KernelVerb::close) {
    if (use.refused && !result.noted) {
      audit.close_refused(use);
    }
    return;
  }
  if (owner == DescriptorOwner::judged && call.descriptor >= 0) {
    const bool moves = call.verb == KernelVerb::receive || call.verb == KernelVerb::send;
    use.session = moves || call.verb == KernelVerb::shutdown ? door_session() : nullptr;
    use.moves = moves;
    // Events are collected where all are judged; elsewhere a thread may never give its number back.
    use.thread = moves && scope == DescriptorScope::all ? door_thread() : door_threads_max;
    // Where all are judged, a use that succeeds may be of somebody else's.
    if (use.refused || use.session != nullptr || scope == DescriptorScope::all) {
      audit.used(use);
    }
    if (call.verb == KernelVerb::watch && (use.refused || scope == DescriptorScope::all)) {
      use.descriptor = call.other;
      use.session = nullptr;
      audit.used(use);
    }
  }
  if (call.verb == KernelVerb::connect && result.error == EINPROGRESS) {
    audit.connecting(call.descriptor);
  }
  if (opens(call.verb) && result.error == 0) {
    feed_opened(audit, scope, owner, call, static_cast<int>(result.result));
  }
}

}  // namespace rig
