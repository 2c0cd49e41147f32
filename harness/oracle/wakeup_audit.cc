#include "harness/oracle/wakeup_audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <string>

#include "harness/base/call_stack.h"

namespace rig {

namespace {

constexpr std::uint32_t input_events = POLLIN | POLLPRI | POLLHUP | POLLERR | EPOLLRDHUP;

bool would_block(const KernelReturn& result) {
  return result.error == EAGAIN || result.error == EWOULDBLOCK;
}

}  // namespace

WakeupAudit::WakeupAudit(ViolationLog& log)
    : log_(&log), threads_(std::make_unique<std::array<Thread, door_threads_max>>()) {
  CallStack::prepare();
}

WakeupAudit::Thread* WakeupAudit::thread_of(std::uint32_t thread) noexcept {
  return thread < door_threads_max ? &(*threads_)[thread] : nullptr;
}

void WakeupAudit::renew(Thread& thread) noexcept {
  thread.stretch = next_stretch_++;
}

void WakeupAudit::entered(std::uint32_t thread) noexcept {
  const std::lock_guard guard(lock_);
  if (Thread* const here = thread_of(thread); here != nullptr) {
    renew(*here);
    here->looks = 0;
    here->ready_count = 0;
  }
}

void WakeupAudit::begun(int descriptor) noexcept {
  const std::lock_guard guard(lock_);
  if (Descriptor* const known = descriptors_.find(descriptor); known != nullptr) {
    *known = {};
  }
  // The system has forgotten its registrations with the descriptor, and those of an epoll with that.
  std::erase_if(watched_, [=](const Watched& one) { return one.descriptor == descriptor || one.epoll == descriptor; });
}

void WakeupAudit::note_watch(const KernelCall& call) noexcept {
  std::erase_if(watched_,
                [&](const Watched& one) { return one.epoll == call.descriptor && one.descriptor == call.other; });
  if (call.operation != EPOLL_CTL_DEL) {
    watched_.push_back({.epoll = call.descriptor, .data = call.data, .descriptor = call.other});
  }
}

int WakeupAudit::watched_by(int epoll, std::uint64_t data) const noexcept {
  int found = -1;
  for (const Watched& one : watched_) {
    if (one.epoll == epoll && one.data == data) {
      if (found >= 0) {
        return -1;
      }
      found = one.descriptor;
    }
  }
  return found;
}

void WakeupAudit::called(const KernelCall& call, const KernelReturn& result, std::uint32_t thread) noexcept {
  Finding finding;
  {
    const std::lock_guard guard(lock_);
    Thread* const here = thread_of(thread);
    const int concerned = call.verb == KernelVerb::watch ? call.other : call.descriptor;
    Descriptor* const known = descriptors_.make(concerned);
    if (here == nullptr) {
      return;
    }
    here->called = true;
    here->wakes = 0;
    if (call.verb == KernelVerb::watch && result.error == 0) {
      note_watch(call);
    }
    if (known != nullptr) {
      finding = judge_call(*known, *here, call, result);
    }
  }
  report(finding, call.function, call.caller);
}

WakeupAudit::Finding WakeupAudit::judge_call(Descriptor& known, Thread& thread, const KernelCall& call,
                                             const KernelReturn& result) noexcept {
  const bool reads = call.verb == KernelVerb::receive || call.verb == KernelVerb::accept;
  const bool sends = call.verb == KernelVerb::send;
  if (!sends) {
    known.ignored[in] = 0;
  }
  if (!reads) {
    known.ignored[out] = 0;
  }
  if (known.stretch != thread.stretch) {
    known.stretch = thread.stretch;
    known.would_block = {};
    known.reads = 0;
    known.bytes = 0;
  }
  if (!reads && !sends) {
    return {};
  }
  std::uint32_t& blocked = known.would_block[reads ? in : out];
  blocked = would_block(result) ? blocked + 1 : 0;
  if (blocked == would_block_max) {
    return {.what = "would block, and is tried again at once", .descriptor = call.descriptor, .count = blocked};
  }
  if (reads && result.result > 0 && !call.peeks) {
    ++known.reads;
    known.bytes += static_cast<std::uint64_t>(result.result);
    return judge_turn(known, thread, call.descriptor);
  }
  return {};
}

WakeupAudit::Finding WakeupAudit::judge_turn(Descriptor& known, const Thread& thread, int descriptor) noexcept {
  if (known.reads <= reads_max || known.bytes <= bytes_max) {
    return {};
  }
  for (std::size_t i = 0; i < thread.ready_count; ++i) {
    const Descriptor* const other = descriptors_.find(thread.ready[i]);
    if (thread.ready[i] != descriptor && other != nullptr && other->stretch != thread.stretch) {
      return {.what = "is read from on and on, while a neighbour that is ready waits for its turn",
              .descriptor = descriptor,
              .count = known.bytes,
              .neighbour = thread.ready[i]};
    }
  }
  return {};
}

void WakeupAudit::waiting(const KernelWait& wait, std::uint32_t thread) noexcept {
  Finding finding;
  {
    const std::lock_guard guard(lock_);
    Thread* const here = thread_of(thread);
    if (here == nullptr || wait.kind == KernelWait::Kind::accept) {
      return;
    }
    if (here->wakes == wakes_max) {
      finding = {.what = "is where the thread wakes up and does nothing", .count = here->wakes};
    } else if (here->looks == looks_max) {
      finding = {.what = "finds nothing, and is called again at once", .count = here->looks};
    }
  }
  report(finding, wait.function, wait.caller);
}

void WakeupAudit::resumed(const KernelWait& wait, int result, std::uint32_t thread) noexcept {
  Finding finding;
  {
    const std::lock_guard guard(lock_);
    Thread* const here = thread_of(thread);
    if (here == nullptr || wait.kind == KernelWait::Kind::accept) {
      return;
    }
    renew(*here);
    here->ready_count = 0;
    here->wakes = result > 0 ? here->wakes + 1 : 0;
    here->looks = result == 0 && !wait.blocks ? here->looks + 1 : 0;
    if (result > 0) {
      finding = judge_ready(wait, result, *here);
    }
  }
  report(finding, wait.function, wait.caller);
}

WakeupAudit::Finding WakeupAudit::note_ready(Thread& thread, int descriptor, bool readable, bool writable) noexcept {
  Descriptor* const known = descriptors_.make(descriptor);
  if (known == nullptr || !(readable || writable)) {
    return {};
  }
  if (readable && thread.ready_count < ready_max) {
    thread.ready[thread.ready_count++] = descriptor;
  }
  known->ignored[in] = readable ? known->ignored[in] + 1 : 0;
  known->ignored[out] = writable ? known->ignored[out] + 1 : 0;
  for (const Direction each : {in, out}) {
    if (known->ignored[each] == ignored_max) {
      return {.what = each == in ? "reports input that nobody reads" : "reports room that nobody uses",
              .descriptor = descriptor,
              .count = ignored_max};
    }
  }
  return {};
}

WakeupAudit::Finding WakeupAudit::judge_ready(const KernelWait& wait, int result, Thread& thread) noexcept {
  Finding found;
  const auto note = [&](int descriptor, bool readable, bool writable) {
    const Finding one = note_ready(thread, descriptor, readable, writable);
    found = one.what != nullptr ? one : found;
  };
  if (wait.kind == KernelWait::Kind::poll) {
    for (const pollfd& one : wait.polls) {
      const auto events = static_cast<std::uint32_t>(one.revents);
      note(one.fd, (events & input_events) != 0, (events & POLLOUT) != 0);
    }
  } else if (wait.kind == KernelWait::Kind::select) {
    for (int descriptor = 0; descriptor < wait.count; ++descriptor) {
      note(descriptor, is_in(wait.in, descriptor), is_in(wait.out, descriptor));
    }
  } else {
    for (int i = 0; i < result; ++i) {
      const epoll_event& one = wait.events[i];
      note(watched_by(wait.descriptor, one.data.u64), (one.events & input_events) != 0, (one.events & EPOLLOUT) != 0);
    }
  }
  return found;
}

void WakeupAudit::report(const Finding& finding, const char* function, const void* caller) {
  if (finding.what == nullptr || !sites_.first(Law::l2_wakeups, caller)) {
    return;
  }
  const std::string where = finding.descriptor >= 0 ? fmt::format("descriptor {}", finding.descriptor) : "a thread";
  const std::string neighbour = finding.neighbour >= 0 ? fmt::format(", descriptor {}", finding.neighbour) : "";
  log_->report(
      Law::l2_wakeups, where,
      fmt::format("{} {}{} ({}{}); called from {}", function, finding.what, neighbour, finding.count,
                  finding.neighbour >= 0 ? " bytes" : " times in a row", CallStack::capture(caller).describe()));
}

}  // namespace rig
