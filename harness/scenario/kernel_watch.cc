#include "harness/scenario/kernel_watch.h"

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/select.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <string_view>
#include <utility>

#include "harness/base/call_stack.h"
#include "harness/lab/allocation.h"
#include "harness/lab/lab.h"
#include "harness/lab/scheduler.h"
#include "harness/oracle/kernel_laws.h"

namespace rig {
namespace {

constinit std::atomic<KernelWatch*> current{nullptr};

bool by_subject() noexcept {
  return lab::acting() == lab::Party::subject;
}

std::uint16_t port_of(const sockaddr* address) noexcept {
  if (address == nullptr || (address->sa_family != AF_INET && address->sa_family != AF_INET6)) {
    return 0;
  }
  // It stands at the same place in both.
  sockaddr_in in;
  std::memcpy(&in, address, sizeof(in));
  return ntohs(in.sin_port);
}

std::int64_t virtual_now_ns() noexcept {
  return lab::running() ? lab::now_ns() : WakeupAudit::no_time;
}

// After such an errno a connection carries nothing any more.
bool is_gone(int error) noexcept {
  return error == ECONNRESET || error == EPIPE || error == ECONNABORTED || error == ETIMEDOUT;
}

std::string words(const char* none, const KernelWatch::Seen& seen) {
  if (seen.function == nullptr) {
    return none;
  }
  return std::string("the last ") + seen.function + "() answered " +
         (seen.error == 0 ? std::to_string(seen.result) : std::string(strerrorname_np(seen.error)));
}

}  // namespace

KernelWatch::KernelWatch(ViolationLog& log) : log_(log), audit_(log), wakeups_(log) {
  current.store(this);
  open_kernel_door(this);
}

KernelWatch::~KernelWatch() {
  // A run that was given up may outlive the next one's beginning.
  KernelWatch* self = this;
  if (current.compare_exchange_strong(self, nullptr)) {
    open_kernel_door(nullptr);
  }
}

void KernelWatch::announce(WireSide side, std::uint32_t connection, std::uint16_t port, std::optional<WireRules> rules,
                           PushAudit* pushes) {
  auto line = std::make_unique<Line>(Line{.side = side, .connection = connection, .port = port, .pushes = pushes});
  if (rules.has_value()) {
    rules->judged = side;
    line->tap = std::make_unique<WireTap>("connection " + std::to_string(connection), *rules, log_);
  }
  const std::lock_guard guard(lock_);
  lines_.push_back(std::move(line));
}

KernelWatch::Line* KernelWatch::find(WireSide side, std::uint32_t connection) noexcept {
  for (const auto& line : lines_) {
    if (line->side == side && line->connection == connection) {
      return line.get();
    }
  }
  return nullptr;
}

void KernelWatch::finish_wire(WireSide side, std::uint32_t connection, bool orderly) {
  if (Line* const line = find(side, connection); line != nullptr && line->tap != nullptr && line->carried) {
    line->tap->finish(side, orderly);
  }
}

std::uint64_t KernelWatch::records(WireSide side, std::uint32_t connection) {
  const Line* const line = find(side, connection);
  return line == nullptr || line->tap == nullptr ? 0 : line->tap->records(side);
}

std::optional<std::uint64_t> KernelWatch::sent_bytes(WireSide side, std::uint32_t connection) {
  const std::lock_guard guard(lock_);
  const Line* const line = find(side, connection);
  return line == nullptr || !line->carried ? std::nullopt : std::optional(line->sent_bytes);
}

std::optional<bool> KernelWatch::saw_reset(WireSide side, std::uint32_t connection) {
  const std::lock_guard guard(lock_);
  const Line* const line = find(side, connection);
  return line == nullptr || !line->carried ? std::nullopt : std::optional(line->gone);
}

std::optional<KernelWatch::LastSeen> KernelWatch::last_seen(WireSide side, std::uint32_t connection) {
  LastSeen seen;
  int descriptor = -1;
  {
    const std::lock_guard guard(lock_);
    const Line* const line = find(side, connection);
    if (line == nullptr || line->descriptor < 0) {
      return std::nullopt;
    }
    descriptor = line->descriptor;
    seen = {.is_full = line->sent.error == EAGAIN,
            .is_closed = line->closed,
            .wants_input = line->wants_input,
            .wants_room = line->wants_room};
    const char* const waits = line->closed                            ? "it is closed"
                              : line->wants_input && line->wants_room ? "it is waited on for input and for room"
                              : line->wants_input                     ? "it is waited on for input, not for room"
                              : line->wants_room                      ? "it is waited on for room, not for input"
                                                                      : "nothing is waited for on it";
    seen.kernel = "descriptor " + std::to_string(descriptor) + ": " + words("nothing was received", line->received) +
                  ", " + words("nothing was sent", line->sent) + ", " + waits;
  }
  seen.library = seen.is_closed ? "" : sessions_.last_asked(descriptor);
  return seen;
}

void KernelWatch::control_enters() noexcept {
  KernelWatch* const watch = current.load(std::memory_order_acquire);
  if (watch != nullptr && door_session() == nullptr) {
    watch->wakeups_.entered(door_thread());
  }
}

void KernelWatch::turn_begins(const void* loop, std::uint64_t limit_us) noexcept {
  KernelWatch* const watch = current.load(std::memory_order_acquire);
  if (watch != nullptr) {
    const lab::Acting rig(lab::Party::rig);
    const std::int64_t now_ns = virtual_now_ns();
    watch->wakeups_.turning(
        door_thread(), loop,
        now_ns == WakeupAudit::no_time ? now_ns : now_ns + static_cast<std::int64_t>(limit_us) * 1000);
  }
}

void KernelWatch::turn_ends() noexcept {
  if (KernelWatch* const watch = current.load(std::memory_order_acquire); watch != nullptr) {
    const lab::Acting rig(lab::Party::rig);
    watch->wakeups_.turned(door_thread(), virtual_now_ns());
  }
}

std::uint64_t KernelWatch::wake_begins(const void* loop) noexcept {
  const lab::Acting rig(lab::Party::rig);
  KernelWatch* const watch = current.load(std::memory_order_acquire);
  return watch != nullptr ? watch->wakeups_.waking(loop) : 0;
}

void KernelWatch::wake_ends(const void* loop, std::uint64_t mark) noexcept {
  if (KernelWatch* const watch = current.load(std::memory_order_acquire); watch != nullptr) {
    const lab::Acting rig(lab::Party::rig);
    watch->wakeups_.woken(loop, mark);
  }
}

void KernelWatch::session_ends(const void* session) noexcept {
  if (KernelWatch* const watch = current.load(std::memory_order_acquire); watch != nullptr) {
    watch->audit_.forgotten(session);
  }
}

void KernelWatch::session_asked(const DoorCall& call) noexcept {
  if (KernelWatch* const watch = current.load(std::memory_order_acquire); watch != nullptr) {
    watch->sessions_.entering(call);
  }
}

void KernelWatch::session_answered(const DoorCall& call, const DoorReturn& result) noexcept {
  if (KernelWatch* const watch = current.load(std::memory_order_acquire); watch != nullptr) {
    watch->sessions_.left(call, result);
  }
}

// What the rig opens is not the subject's to use.
bool KernelWatch::looks(KernelVerb verb) noexcept {
  return by_subject() || opens(verb) || verb == KernelVerb::close;
}

bool KernelWatch::looks_at_waits() noexcept {
  return by_subject();
}

bool KernelWatch::entering(const KernelCall& call) noexcept {
  const DescriptorOwner owner = by_subject() ? DescriptorOwner::judged : DescriptorOwner::other;
  const lab::Acting rig(lab::Party::rig);
  wakeups_.begun(call.descriptor);
  sessions_.begun(call.descriptor);
  {
    const std::lock_guard guard(lock_);
    if (Descriptor* const known = descriptors_.find(call.descriptor); known != nullptr) {
      if (known->line != nullptr) {
        known->line->closed = true;
        step_push(*known->line, [](PushAudit& pushes) { pushes.ended(); });
      }
      *known = {};
    }
  }
  return audit_.closing(use_of(call), owner);
}

void KernelWatch::assign(WireSide side, std::uint16_t port, int descriptor) noexcept {
  for (const auto& line : lines_) {
    if (line->side == side && line->port == port && !line->carried) {
      line->descriptor = descriptor;
      line->closed = false;
      if (Descriptor* const known = descriptors_.make(descriptor); known != nullptr) {
        known->line = line.get();
      }
      return;
    }
  }
}

// Steps and counts who holds back, with the lock held.
template <class Step>
void KernelWatch::step_push(Line& line, Step step) noexcept {
  if (line.pushes != nullptr) {
    holding_ -= line.pushes->holds() ? 1 : 0;
    step(*line.pushes);
    holding_ += line.pushes->holds() ? 1 : 0;
  }
}

void KernelWatch::note_gone(Line& line) noexcept {
  line.gone = true;
  if (line.tap != nullptr) {
    line.tap->cut();
  }
}

// A stream that was carried and not ended has no peer any more: it was reset.
bool KernelWatch::has_lost_its_peer(const Line& line, const KernelReturn& result) noexcept {
  return line.carried && !line.ended && result.error == ENOTCONN;
}

// A layer that asks hears of a reset here as well: by the error that the socket had, be it before anything was carried
// (what had come can be read behind that), or since the peer of a stream that it has not ended is gone.
void KernelWatch::note_option(Line& line, const KernelCall& call, const KernelReturn& result) noexcept {
  const std::string_view function = call.function;
  const bool asks_error = function == "getsockopt" && call.level == SOL_SOCKET && call.option == SO_ERROR;
  const bool pushes =
      function == "setsockopt" && call.level == IPPROTO_TCP && (call.option == TCP_NODELAY || call.option == TCP_CORK);
  int value = 0;
  if ((asks_error && result.error == 0) || (pushes && result.error != EFAULT)) {
    std::memcpy(&value, call.value, sizeof(value));
  }
  const bool has_failed = asks_error && value != 0;
  const bool has_no_peer = function == "getpeername" && has_lost_its_peer(line, result);
  if (has_failed || has_no_peer) {
    note_gone(line);
  }
  if (pushes) {
    step_push(line, [&](PushAudit& audit) { audit.optioned(call.level, call.option, value); });
  }
}

// The part of a call that concerns connections, with the lock held.
void KernelWatch::learn(const KernelCall& call, const KernelReturn& result) noexcept {
  const Descriptor* const known = descriptors_.find(call.descriptor);
  Line* const line = known != nullptr ? known->line : nullptr;
  if (line != nullptr && call.verb == KernelVerb::option) {
    note_option(*line, call, result);
  } else if (line != nullptr && call.verb == KernelVerb::shutdown && result.error == 0) {
    line->ended = true;
    step_push(*line, [](PushAudit& pushes) { pushes.ended(); });
  } else if (line != nullptr && call.verb == KernelVerb::shutdown && has_lost_its_peer(*line, result)) {
    note_gone(*line);
  }
  // One that was interrupted goes on by itself.
  if (call.verb == KernelVerb::connect && (result.error == 0 || result.error == EINPROGRESS || result.error == EINTR)) {
    assign(WireSide::client, port_of(call.address), call.descriptor);
  } else if (call.verb == KernelVerb::accept && result.error == 0) {
    assign(WireSide::server, known != nullptr ? known->port : 0, static_cast<int>(result.result));
  } else if (call.verb == KernelVerb::option && call.address != nullptr && result.error == 0) {
    if (Descriptor* const named = descriptors_.make(call.descriptor); named != nullptr) {
      named->port = port_of(call.address);
    }
  } else if (call.verb == KernelVerb::watch && result.error == 0) {
    const std::uint32_t events = call.operation == EPOLL_CTL_DEL ? 0 : call.events;
    note_interest(call.other, (events & EPOLLIN) != 0, (events & EPOLLOUT) != 0);
  }
}

WireTap* KernelWatch::carry(Line& line, const KernelCall& call, const KernelReturn& result) noexcept {
  const bool sends = call.verb == KernelVerb::send;
  (sends ? line.sent : line.received) = {.function = call.function, .result = result.result, .error = result.error};
  if (call.peeks || (result.error == 0 && result.result <= 0)) {
    return nullptr;
  }
  if (result.error != 0) {
    if (is_gone(result.error)) {
      note_gone(line);
    }
    return nullptr;
  }
  line.carried = true;
  if (sends) {
    std::size_t asked = 0;
    for (const iovec& piece : call.pieces) {
      asked += piece.iov_len;
    }
    line.sent_bytes += static_cast<std::uint64_t>(result.result);
    line.sent_thread = door_thread();
    step_push(line, [&](PushAudit& pushes) { pushes.sent(call.more, asked, static_cast<std::size_t>(result.result)); });
  }
  if (line.tap == nullptr) {
    return nullptr;
  }
  const WireSide other = line.side == WireSide::client ? WireSide::server : WireSide::client;
  auto left = static_cast<std::size_t>(result.result);
  for (const iovec& piece : call.pieces) {
    const std::size_t now = std::min(left, piece.iov_len);
    line.tap->look(sends ? line.side : other, {static_cast<const std::uint8_t*>(piece.iov_base), now});
    left -= now;
  }
  return line.tap->has_found() ? line.tap.get() : nullptr;
}

void KernelWatch::left(const KernelCall& call, const KernelReturn& result) noexcept {
  const DescriptorOwner owner = by_subject() ? DescriptorOwner::judged : DescriptorOwner::other;
  const lab::Acting rig(lab::Party::rig);
  if (opens(call.verb) && result.error == 0) {
    wakeups_.begun(static_cast<int>(result.result));
  }
  feed(audit_, DescriptorScope::all, owner, call, result);
  if (owner != DescriptorOwner::judged) {
    return;
  }
  wakeups_.called(call, result, door_thread());
  if (audit_.is_socket(call.descriptor)) {
    wakeups_.judge_blocking(call);
  }
  if ((call.verb == KernelVerb::send || call.verb == KernelVerb::receive) && result.result > 0) {
    sessions_.carried(door_thread(), call.descriptor, door_session(), call.verb == KernelVerb::send);
  }
  WireTap* found = nullptr;
  {
    const std::lock_guard guard(lock_);
    if (call.verb == KernelVerb::send || call.verb == KernelVerb::receive) {
      const Descriptor* const known = descriptors_.find(call.descriptor);
      found = known != nullptr && known->line != nullptr ? carry(*known->line, call, result) : nullptr;
    } else {
      learn(call, result);
    }
  }
  if (found != nullptr) {
    found->tell();
  }
}

void KernelWatch::note_interest(int descriptor, bool input, bool room) noexcept {
  const Descriptor* const known = descriptors_.find(descriptor);
  if (known != nullptr && known->line != nullptr) {
    known->line->wants_input = input;
    known->line->wants_room = room;
  }
}

// What a poll or a select does not name is not waited for.
void KernelWatch::note_interest(const KernelWait& wait) noexcept {
  for (const auto& line : lines_) {
    const int descriptor = line->descriptor;
    if (descriptor < 0 || line->closed) {
      continue;
    }
    if (wait.kind == KernelWait::Kind::select && descriptor < wait.count) {
      note_interest(descriptor, is_in(wait.in, descriptor), is_in(wait.out, descriptor));
    }
    if (wait.kind == KernelWait::Kind::poll) {
      const auto named = std::ranges::find(wait.polls, descriptor, &pollfd::fd);
      if (named != wait.polls.end()) {
        note_interest(descriptor, (named->events & POLLIN) != 0, (named->events & POLLOUT) != 0);
      }
    }
  }
}

// Whoever goes to wait has nothing left to do: what it lets the system hold back, it holds back for nothing.
void KernelWatch::judge_pushes() noexcept {
  const Line* found = nullptr;
  {
    const std::lock_guard guard(lock_);
    for (std::size_t i = 0; holding_ > 0 && i < lines_.size(); ++i) {
      const auto& line = lines_[i];
      const bool own = line->pushes != nullptr && line->sent_thread == door_thread();
      if (own && line->pushes->holds() && !line->pushes->may_hold()) {
        step_push(*line, [](PushAudit& pushes) { pushes.ended(); });
        line->pushes = nullptr;
        found = line.get();
        break;
      }
    }
  }
  if (found != nullptr) {
    const char* const side = found->side == WireSide::client ? "client" : "server";
    log_.report(Law::l3_more, "connection " + std::to_string(found->connection) + ", from the " + side,
                std::string("every op is done, the last of them was sent without `more`, and the system may hold bytes "
                            "back since the last ") +
                    found->sent.function + "() (MSG_MORE or TCP_CORK)");
  }
}

// No sanitizer sees an fd_set that is written beyond its end where another member of its object follows.
void KernelWatch::judge_sets(const KernelWait& wait) noexcept {
  if (sets_overlap(wait) && !sets_reported_.exchange(true)) {
    log_.report(Law::m1_memory, "select",
                std::string(wait.function) + " is asked for descriptors below " + std::to_string(wait.count) +
                    ", and its sets, which hold those below " + std::to_string(FD_SETSIZE) +
                    ", lie within each other; called from " + CallStack::capture(wait.caller).describe());
  }
}

void KernelWatch::waiting(const KernelWait& wait) noexcept {
  const lab::Acting rig(lab::Party::rig);
  judge_sets(wait);
  if (wait.blocks) {
    judge_pushes();
  }
  door_waiting(door_wait_of(wait));
  wakeups_.waiting(wait, door_thread());
  if (wait.kind == KernelWait::Kind::poll || wait.kind == KernelWait::Kind::select) {
    const std::lock_guard guard(lock_);
    note_interest(wait);
  }
}

// A closed descriptor in a set is a use of it.
void KernelWatch::refuse(const KernelWait& wait, int result) noexcept {
  DescriptorAudit::Use use{.function = wait.function, .caller = wait.caller, .refused = true};
  if (wait.kind == KernelWait::Kind::poll && result > 0) {
    for (const pollfd& one : wait.polls) {
      if ((one.revents & POLLNVAL) != 0) {
        use.descriptor = one.fd;
        audit_.used(use);
      }
    }
  } else if (wait.kind == KernelWait::Kind::epoll && result < 0 && errno == EBADF) {
    use.descriptor = wait.descriptor;
    audit_.used(use);
  }
}

void KernelWatch::resumed(const KernelWait& wait, int result) noexcept {
  const lab::Acting rig(lab::Party::rig);
  refuse(wait, result);
  wakeups_.resumed(wait, result, door_thread(), virtual_now_ns());
  if (wait.kind != KernelWait::Kind::accept) {
    audit_.collected(door_thread(), wakeups_.reported(door_thread()));
  }
  door_resumed();
}

// The run goes on without the signal: its report is enough.
bool KernelWatch::killed(const KernelCall& call) noexcept {
  const lab::Acting rig(lab::Party::rig);
  audit_.killed(use_of(call));
  return false;
}

}  // namespace rig
