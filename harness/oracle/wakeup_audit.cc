#include "harness/oracle/wakeup_audit.h"

#include <fmt/format.h>

#include <algorithm>
#include <mutex>
#include <string>
#include <utility>

#include "harness/base/call_stack.h"

namespace rig {

namespace {

constexpr std::uint32_t input_events = POLLIN | POLLPRI | POLLHUP | POLLERR | EPOLLRDHUP;

bool would_block(const KernelReturn& result) {
  return result.error == EAGAIN || result.error == EWOULDBLOCK;
}

}  // namespace

WakeupAudit::WakeupAudit(ViolationLog& log) : log_(&log) {
  CallStack::prepare();
}

WakeupAudit::Thread* WakeupAudit::thread_of(std::uint32_t thread) noexcept {
  return threads_.make(thread);
}

WakeupAudit::Loop& WakeupAudit::loop_of(const void* loop) noexcept {
  const auto known = std::ranges::find(loops_, loop, &Loop::loop);
  return known != loops_.end() ? *known : loops_.emplace_back(Loop{.loop = loop});
}

void WakeupAudit::renew(Thread& thread) noexcept {
  thread.stretch = next_stretch_++;
}

void WakeupAudit::renew_turn(Thread& thread) noexcept {
  thread.turn = next_stretch_++;
  thread.ready_count = 0;
}

void WakeupAudit::entered(std::uint32_t thread) noexcept {
  const std::lock_guard guard(lock_);
  if (Thread* const here = thread_of(thread); here != nullptr) {
    renew(*here);
    here->looks = 0;
  }
}

void WakeupAudit::turning(std::uint32_t thread, const void* loop, std::int64_t until_ns) noexcept {
  const std::lock_guard guard(lock_);
  if (Thread* const here = thread_of(thread); here != nullptr) {
    here->turn_until_ns = until_ns;
    here->loop = loop;
    Loop& turned = loop_of(loop);
    turned.until_ns = until_ns;
    turned.slept_on_in = nullptr;
    renew_turn(*here);
  }
}

// Who wakes a loop behind its last wait has come in time: the turn ends.
void WakeupAudit::turned(std::uint32_t thread, std::int64_t now_ns) noexcept {
  Loop turned{};
  {
    const std::lock_guard guard(lock_);
    Thread* const here = thread_of(thread);
    if (here == nullptr || here->loop == nullptr) {
      return;
    }
    Loop& loop = loop_of(std::exchange(here->loop, nullptr));
    loop.woken = false;
    ++loop.waits;
    turned = loop;
  }
  if (turned.slept_on_in != nullptr && now_ns != no_time && now_ns >= turned.until_ns) {
    report({.what = "waits to the end of the turn, although the loop has been woken"}, turned.slept_on_in,
           turned.caller);
  }
}

std::uint64_t WakeupAudit::waking(const void* loop) noexcept {
  const std::lock_guard guard(lock_);
  return loop_of(loop).waits;
}

void WakeupAudit::woken(const void* loop, std::uint64_t waits) noexcept {
  const std::lock_guard guard(lock_);
  Loop& known = loop_of(loop);
  known.woken = known.woken || known.waits == waits;
}

// A look that found nothing takes no wake-up.
void WakeupAudit::note_sleep(const KernelWait& wait, int result, Loop& loop) noexcept {
  if (!wait.blocks && result == 0) {
    return;
  }
  ++loop.waits;
  const bool woken = std::exchange(loop.woken, false);
  loop.slept_on_in = woken && result == 0 ? wait.function : nullptr;
  loop.caller = wait.caller;
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
    watched_.push_back(
        {.epoll = call.descriptor, .data = call.data, .descriptor = call.other, .edges = (call.events & EPOLLET) != 0});
  }
}

const WakeupAudit::Watched* WakeupAudit::watched_by(int epoll, std::uint64_t data) const noexcept {
  const Watched* found = nullptr;
  for (const Watched& one : watched_) {
    if (one.epoll == epoll && one.data == data) {
      if (found != nullptr) {
        return nullptr;
      }
      found = &one;
    }
  }
  return found;
}

std::span<const int> WakeupAudit::reported(std::uint32_t thread) const noexcept {
  const Thread* const here = threads_.find(thread);
  return here != nullptr ? std::span<const int>{here->reported.data(), here->reported_count} : std::span<const int>{};
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
    if ((call.verb == KernelVerb::send || call.verb == KernelVerb::receive) && result.result > 0) {
      here->looks = 0;
    }
    here->wakes = 0;
    here->idle_wakes = result.error == 0 ? 0 : here->idle_wakes;
    if (call.verb == KernelVerb::watch && result.error == 0) {
      note_watch(call);
    }
    if (known != nullptr) {
      finding = judge_call(*known, *here, call, result);
    }
  }
  report(finding, call.function, call.caller);
}

void WakeupAudit::judge_blocking(const KernelCall& call) noexcept {
  const bool connects = call.verb == KernelVerb::connect || call.verb == KernelVerb::accept;
  const bool moves = call.verb == KernelVerb::receive || call.verb == KernelVerb::send;
  if (call.is_blocking == nullptr || call.at_once || !(connects || moves)) {
    return;
  }
  {
    const std::lock_guard guard(lock_);
    Descriptor* const known = descriptors_.make(call.descriptor);
    if (known == nullptr || std::exchange(known->asked[moves ? 1 : 0], true)) {
      return;
    }
  }
  if (call.is_blocking(call.descriptor)) {
    report({.what = "may wait for the other side, and all else with it: the socket is not O_NONBLOCK",
            .descriptor = call.descriptor},
           call.function, call.caller);
  }
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
  }
  if (known.turn != thread.turn) {
    known.turn = thread.turn;
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
    known.bytes += static_cast<std::uint64_t>(result.result);
    return judge_turn(known, thread, call.descriptor);
  }
  return {};
}

WakeupAudit::Finding WakeupAudit::judge_turn(Descriptor& known, const Thread& thread, int descriptor) noexcept {
  if (known.bytes <= turn_bytes_max) {
    return {};
  }
  for (std::size_t i = 0; i < thread.ready_count; ++i) {
    const Descriptor* const other = descriptors_.find(thread.ready[i]);
    if (thread.ready[i] != descriptor && other != nullptr && other->turn != thread.turn) {
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

WakeupAudit::Finding WakeupAudit::judge_idle(Thread& thread, bool timed_out, std::int64_t now_ns) noexcept {
  if (!timed_out || now_ns == no_time) {
    thread.idle_wakes = 0;
    return {};
  }
  if (thread.turn_until_ns != no_time && now_ns >= thread.turn_until_ns) {
    thread.turn_until_ns = no_time;
    return {};
  }
  thread.idle_since_ns = thread.idle_wakes == 0 ? now_ns : thread.idle_since_ns;
  const std::int64_t gap_min_ns = std::int64_t{1'000'000'000} / idle_wakes_per_second;
  if (++thread.idle_wakes <= idle_wakes_max ||
      now_ns - thread.idle_since_ns >= gap_min_ns * std::int64_t{thread.idle_wakes - 1}) {
    return {};
  }
  return {.what = "is where the thread wakes up by its own timeout while nothing happens", .count = thread.idle_wakes};
}

void WakeupAudit::resumed(const KernelWait& wait, int result, std::uint32_t thread, std::int64_t now_ns) noexcept {
  Finding finding;
  {
    const std::lock_guard guard(lock_);
    Thread* const here = thread_of(thread);
    if (here == nullptr || wait.kind == KernelWait::Kind::accept) {
      return;
    }
    renew(*here);
    renew_turn(*here);
    if (here->loop != nullptr) {
      note_sleep(wait, result, loop_of(here->loop));
    }
    here->reported_count = 0;
    here->wakes = result > 0 ? here->wakes : 0;
    here->looks = result == 0 && !wait.blocks ? here->looks + 1 : 0;
    if (result > 0) {
      const std::uint32_t edges = here->edges;
      finding = judge_ready(wait, result, *here);
      here->wakes += here->edges == edges + static_cast<std::uint32_t>(result) ? 0 : 1;
    }
    if (wait.blocks) {
      const Finding idle = judge_idle(*here, result == 0, now_ns);
      finding = finding.what == nullptr ? idle : finding;
    }
  }
  report(finding, wait.function, wait.caller);
}

WakeupAudit::Finding WakeupAudit::note_ready(Thread& thread, const Ready& ready) noexcept {
  Descriptor* const known = descriptors_.make(ready.descriptor);
  if (known == nullptr || !(ready.readable || ready.writable)) {
    return {};
  }
  if (thread.reported_count < ready_max) {
    thread.reported[thread.reported_count++] = ready.descriptor;
  }
  if (ready.readable && thread.ready_count < ready_max) {
    thread.ready[thread.ready_count++] = ready.descriptor;
  }
  known->ignored[in] = ready.readable && ready.again ? known->ignored[in] + 1 : 0;
  known->ignored[out] = ready.writable && ready.again ? known->ignored[out] + 1 : 0;
  for (const Direction each : {in, out}) {
    if (known->ignored[each] == ignored_max) {
      return {.what = each == in ? "reports input that nobody reads" : "reports room that nobody uses",
              .descriptor = ready.descriptor,
              .count = ignored_max};
    }
  }
  return {};
}

WakeupAudit::Finding WakeupAudit::judge_ready(const KernelWait& wait, int result, Thread& thread) noexcept {
  Finding found;
  const auto note = [&](const Ready& ready) {
    const Finding one = note_ready(thread, ready);
    found = one.what != nullptr ? one : found;
  };
  if (wait.kind == KernelWait::Kind::poll) {
    for (const pollfd& one : wait.polls) {
      const auto events = static_cast<std::uint32_t>(one.revents);
      note({.descriptor = one.fd, .readable = (events & input_events) != 0, .writable = (events & POLLOUT) != 0});
    }
  } else if (wait.kind == KernelWait::Kind::select) {
    for (int descriptor = 0; descriptor < wait.count; ++descriptor) {
      note({.descriptor = descriptor, .readable = is_in(wait.in, descriptor), .writable = is_in(wait.out, descriptor)});
    }
  } else {
    for (int i = 0; i < result; ++i) {
      const epoll_event& one = wait.events[i];
      if (const Watched* const watched = watched_by(wait.descriptor, one.data.u64); watched != nullptr) {
        thread.edges += watched->edges ? 1 : 0;
        note({.descriptor = watched->descriptor,
              .readable = (one.events & input_events) != 0,
              .writable = (one.events & EPOLLOUT) != 0,
              .again = !watched->edges});
      }
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
  const std::string count =
      finding.count == 0 ? ""
                         : fmt::format(" ({}{})", finding.count, finding.neighbour >= 0 ? " bytes" : " times in a row");
  log_->report(Law::l2_wakeups, where,
               fmt::format("{} {}{}{}; called from {}", function, finding.what, neighbour, count,
                           CallStack::capture(caller).describe()));
}

}  // namespace rig
