#include "harness/subjects/canary/canary.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <optional>
#include <unordered_map>
#include <utility>

#include "harness/base/bytes.h"
#include "harness/base/check.h"
#include "harness/base/mutex.h"
#include "harness/oracle/hygiene_probe.h"

namespace rig {

namespace {

constexpr std::array<CanaryKind, 19> kinds{{
    {Canary::c1_lost, "c1_lost", Law::c1_exactly_once},
    {Canary::c1_twice, "c1_twice", Law::c1_exactly_once},
    {Canary::c1_wrong_token, "c1_wrong_token", Law::c1_exactly_once},
    {Canary::c1_connected_twice, "c1_connected_twice", Law::c1_exactly_once},
    {Canary::c2_callback_too, "c2_callback_too", Law::c2_return_or_callback},
    {Canary::c3_data_after_closed, "c3_data_after_closed", Law::c3_nothing_after_closed},
    {Canary::c3_data_before_connected, "c3_data_before_connected", Law::c3_nothing_after_closed},
    {Canary::c4_swapped, "c4_swapped", Law::c4_order},
    {Canary::c5_short, "c5_short", Law::c5_status_and_bytes},
    {Canary::c5_success_for_failure, "c5_success_for_failure", Law::c5_status_and_bytes},
    {Canary::c6_never_closed, "c6_never_closed", Law::c6_quiet},
    {Canary::c6_registration_left, "c6_registration_left", Law::c6_quiet},
    {Canary::c6_listener_left, "c6_listener_left", Law::c6_quiet},
    {Canary::c6_undestroyed, "c6_undestroyed", Law::c6_quiet},
    {Canary::s1_changed, "s1_changed", Law::s1_stream},
    {Canary::s1_lost, "s1_lost", Law::s1_stream},
    {Canary::s1_doubled, "s1_doubled", Law::s1_stream},
    {Canary::s1_swapped, "s1_swapped", Law::s1_stream},
    {Canary::h1_entry_left, "h1_entry_left", Law::h1_nothing_left},
}};

// Sent is a `sent` that waits to be delivered.
struct Sent {
  std::uint64_t token = 0;
  std::size_t bytes = 0;
  std::optional<rig_error> error;
};

// Cage is the one canary of the process, and what it knows of its victim.
struct Cage {
  // Set by make_canary, while nothing runs.
  const rig_subject* inner = nullptr;
  rig_subject table{};
  Canary which = Canary::none;
  CanarySide side = CanarySide::client;
  std::uint32_t victim_index = 0;
  std::uint64_t moment = 1;

  // Set once, before the victim's handle is known to anybody else.
  rig_socket_callbacks app{};
  void* app_user = nullptr;

  std::atomic<std::uint32_t> sockets = 0;
  std::atomic<rig_socket*> victim = nullptr;
  std::atomic<rig_loop*> loop = nullptr;
  std::atomic<bool> struck = false;

  Mutex mutex;
  std::uint64_t seen RIG_GUARDED_BY(mutex) = 0;
  bool closed RIG_GUARDED_BY(mutex) = false;
  std::optional<Sent> held RIG_GUARDED_BY(mutex);                               // c4: the one that is overtaken
  std::optional<Sent> uncalled RIG_GUARDED_BY(mutex);                           // c2: the callback that must not come
  std::unordered_map<std::uint64_t, std::size_t> issued RIG_GUARDED_BY(mutex);  // c5: lengths
};

Cage& cage() {
  static Cage one;
  return one;
}

// turning is the loop that this thread turns: an accepted socket belongs to it.
thread_local rig_loop* turning = nullptr;
// ambient_entry is the error state that h1_entry_left leaves behind.
thread_local std::uint64_t ambient_entry = 0;

std::uint64_t peek_entry(char* sentence, std::uint64_t sentence_bytes) {
  if (ambient_entry != 0) {
    std::snprintf(sentence, sentence_bytes, "left by the canary");
  }
  return ambient_entry;
}

void clear_entry() {
  ambient_entry = 0;
}

// strike counts an event that `which` can spoil, and says whether it is the one.
bool strike(Canary which) {
  Cage& own = cage();
  if (own.which != which) {
    return false;
  }
  const MutexLock lock(own.mutex);
  if (own.struck || own.closed || ++own.seen < own.moment) {
    return false;
  }
  own.struck = true;
  return true;
}

void deliver(const Sent& sent) {
  const Cage& own = cage();
  own.app.sent(own.app_user, sent.token, sent.bytes, sent.error.has_value() ? &*sent.error : nullptr);
}

// release delivers what was kept back in `place`, on the loop's thread.
void release(std::optional<Sent> Cage::* place) {
  Cage& own = cage();
  std::optional<Sent> sent;
  {
    const MutexLock lock(own.mutex);
    sent = std::exchange(own.*place, std::nullopt);
  }
  if (sent.has_value()) {
    deliver(*sent);
  }
}

// The victim's callbacks. Each passes on what the inner subject says, but for the one thing.

void on_connected(void*, const rig_error* error) {
  Cage& own = cage();
  if (own.which == Canary::c3_data_before_connected && !own.struck.exchange(true)) {
    const std::uint8_t none = 0;
    own.app.data(own.app_user, &none, 0);
  }
  own.app.connected(own.app_user, error);
  if (own.which == Canary::c1_connected_twice && !own.struck.exchange(true)) {
    own.app.connected(own.app_user, error);
  }
}

// spoil_data is S1: the bytes of a `data` with one thing wrong in the middle; nothing if it is to pass as it is.
std::optional<Bytes> spoil_data(ByteView bytes) {
  const auto middle = static_cast<std::ptrdiff_t>(bytes.size() / 2);
  const auto copy = [&] { return Bytes(bytes.begin(), bytes.end()); };
  if (bytes.size() >= 2 && strike(Canary::s1_swapped)) {
    Bytes spoiled = copy();
    std::rotate(spoiled.begin(), spoiled.begin() + middle, spoiled.end());
    return spoiled;
  }
  if (bytes.empty()) {
    return std::nullopt;
  }
  if (strike(Canary::s1_changed)) {
    Bytes spoiled = copy();
    spoiled[static_cast<std::size_t>(middle)] ^= 0x01;
    return spoiled;
  }
  if (strike(Canary::s1_lost)) {
    Bytes spoiled = copy();
    spoiled.erase(spoiled.begin() + middle);
    return spoiled;
  }
  if (strike(Canary::s1_doubled)) {
    Bytes spoiled = copy();
    const std::uint8_t again = bytes[static_cast<std::size_t>(middle)];
    spoiled.insert(spoiled.begin() + middle, again);
    return spoiled;
  }
  return std::nullopt;
}

void on_data(void*, const std::uint8_t* bytes, std::size_t count) {
  const Cage& own = cage();
  release(&Cage::held);
  const std::optional<Bytes> spoiled = spoil_data({bytes, count});
  if (!spoiled.has_value()) {
    own.app.data(own.app_user, bytes, count);
  } else if (!spoiled->empty()) {
    own.app.data(own.app_user, spoiled->data(), spoiled->size());
  }
}

void on_ended(void*) {
  cage().app.ended(cage().app_user);
}

// swap_with_held is c4: the first of two completions waits for the second, but not beyond another callback or the end
// of its turn, so that an app which waits for it is not stopped.
bool swap_with_held(const Sent& sent) {
  Cage& own = cage();
  if (own.which != Canary::c4_swapped) {
    return false;
  }
  std::optional<Sent> first;
  {
    const MutexLock lock(own.mutex);
    if (own.struck || (!own.held.has_value() && ++own.seen < own.moment)) {
      return false;
    }
    if (!own.held.has_value()) {
      own.held = sent;
      return true;
    }
    first = std::exchange(own.held, std::nullopt);
    own.struck = true;
  }
  deliver(sent);
  deliver(*first);
  return true;
}

std::size_t issued_length(std::uint64_t token) {
  Cage& own = cage();
  const MutexLock lock(own.mutex);
  const auto found = own.issued.find(token);
  return found == own.issued.end() ? 0 : found->second;
}

void on_sent(void*, std::uint64_t token, std::size_t bytes, const rig_error* error) {
  Sent sent{token, bytes, error == nullptr ? std::nullopt : std::optional<rig_error>(*error)};
  if (strike(Canary::c1_lost) || swap_with_held(sent)) {
    return;
  }
  if (strike(Canary::c1_wrong_token)) {
    sent.token = ~token;
  } else if (strike(Canary::c1_twice)) {
    deliver(sent);
  } else if (error == nullptr && bytes >= 1 && strike(Canary::c5_short)) {
    --sent.bytes;
  } else if (error != nullptr && strike(Canary::c5_success_for_failure)) {
    sent.error.reset();
    sent.bytes = issued_length(token);
  }
  deliver(sent);
}

void on_writable(void*) {
  cage().app.writable(cage().app_user);
}

void on_closed(void*, const rig_error* error) {
  Cage& own = cage();
  {
    const MutexLock lock(own.mutex);
    own.closed = true;
  }
  release(&Cage::held);
  release(&Cage::uncalled);
  switch (own.which) {
    case Canary::c6_never_closed:
      own.struck = true;
      return;
    case Canary::c6_registration_left:
    case Canary::c6_listener_left:
      own.struck = true;
      break;
    default:
      break;
  }
  own.app.closed(own.app_user, error);
  if (own.which == Canary::c3_data_after_closed) {
    own.struck = true;
    const std::uint8_t none = 0;
    own.app.data(own.app_user, &none, 0);
  }
}

// spoiled_callbacks is the table that the inner subject gets for the victim; what the app lacks, it lacks.
const rig_socket_callbacks* spoiled_callbacks(const rig_socket_callbacks& app) {
  static rig_socket_callbacks table;
  table.connected = app.connected == nullptr ? nullptr : on_connected;
  table.data = app.data == nullptr ? nullptr : on_data;
  table.ended = app.ended == nullptr ? nullptr : on_ended;
  table.sent = app.sent == nullptr ? nullptr : on_sent;
  table.writable = app.writable == nullptr ? nullptr : on_writable;
  table.closed = app.closed == nullptr ? nullptr : on_closed;
  return &table;
}

// choose counts a socket of `side`, and says whether it is the victim.
bool choose(CanarySide side, const rig_socket_callbacks* callbacks, void* user, rig_loop* loop) {
  Cage& own = cage();
  if (own.side != side || own.sockets++ != own.victim_index) {
    return false;
  }
  own.app = *callbacks;
  own.app_user = user;
  own.loop = loop;
  return true;
}

// The verbs that are not the inner subject's own.

rig_status connect(rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                   const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                   rig_socket** socket, rig_error* error) {
  Cage& own = cage();
  if (!choose(CanarySide::client, callbacks, user, loop)) {
    return own.inner->connect(loop, context, host, port, config, callbacks, user, socket, error);
  }
  const rig_status status =
      own.inner->connect(loop, context, host, port, config, spoiled_callbacks(*callbacks), nullptr, socket, error);
  if (status == RIG_OK) {
    own.victim = *socket;
  }
  return status;
}

void adopt(rig_socket* socket, const rig_socket_callbacks* callbacks, void* user) {
  Cage& own = cage();
  if (!choose(CanarySide::server, callbacks, user, turning)) {
    own.inner->adopt(socket, callbacks, user);
    return;
  }
  own.victim = socket;
  own.inner->adopt(socket, spoiled_callbacks(*callbacks), nullptr);
}

// call_later has a `sent` come with the next turn of the victim's loop; not if `closed` was faster.
void call_later(const Sent& sent) {
  Cage& own = cage();
  {
    const MutexLock lock(own.mutex);
    if (own.closed) {
      own.struck = false;
      return;
    }
    own.uncalled = sent;
  }
  if (rig_loop* const loop = own.loop; loop != nullptr) {
    own.inner->loop_wake(loop);
  }
}

rig_send_result send(rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                     std::uint32_t flags, rig_error* error) {
  Cage& own = cage();
  if (socket != own.victim) {
    return own.inner->send(socket, token, bytes, count, flags, error);
  }
  if (own.which == Canary::c5_success_for_failure) {
    // Before the send: its callback may come before it returns.
    const MutexLock lock(own.mutex);
    own.issued[token] = count;
  }
  const rig_send_result result = own.inner->send(socket, token, bytes, count, flags, error);
  if (strike(Canary::h1_entry_left)) {
    ambient_entry = 0xca7a;
  }
  if (result == RIG_SEND_REFUSED || !strike(Canary::c2_callback_too)) {
    return result;
  }
  if (result == RIG_SEND_COMPLETED) {
    call_later({token, count, std::nullopt});
  }
  return RIG_SEND_COMPLETED;
}

void destroy(rig_socket* socket) {
  Cage& own = cage();
  // The inner subject may give the same handle to another socket from here on.
  rig_socket* expected = socket;
  const bool victim = own.victim.compare_exchange_strong(expected, nullptr);
  own.inner->destroy(socket);
  // To swallow it in earnest would leave a loop that cannot be destroyed: only what the loop counts says so.
  if (victim && own.which == Canary::c6_undestroyed) {
    own.struck = true;
  }
}

rig_status loop_turn(rig_loop* loop, std::uint64_t timeout_us, rig_error* error) {
  const Cage& own = cage();
  rig_loop* const outer = std::exchange(turning, loop);
  const rig_status status = own.inner->loop_turn(loop, timeout_us, error);
  if (loop == own.loop) {
    release(&Cage::held);
    release(&Cage::uncalled);
  }
  turning = outer;
  return status;
}

void loop_counts(rig_loop* loop, rig_loop_counts* counts) {
  const Cage& own = cage();
  own.inner->loop_counts(loop, counts);
  if (loop == own.loop && own.struck) {
    counts->registrations += own.which == Canary::c6_registration_left ? 1 : 0;
    counts->listeners += own.which == Canary::c6_listener_left ? 1 : 0;
    counts->undestroyed += own.which == Canary::c6_undestroyed ? 1 : 0;
  }
}

}  // namespace

std::span<const CanaryKind> canaries() {
  return kinds;
}

const rig_subject* make_canary(const rig_subject* inner, Canary which, std::uint32_t connection_index,
                               std::uint64_t moment, CanarySide side) {
  Cage& own = cage();
  RIG_CHECK(inner != nullptr && inner != &own.table && moment >= 1);
  if (which == Canary::h1_entry_left) {
    register_ambient_source({"canary's error state", peek_entry, clear_entry});
  }
  own.inner = inner;
  own.which = which;
  own.side = side;
  own.victim_index = connection_index;
  own.moment = moment;
  own.table = *inner;
  own.table.connect = connect;
  own.table.adopt = adopt;
  own.table.send = send;
  own.table.destroy = destroy;
  own.table.loop_turn = loop_turn;
  own.table.loop_counts = loop_counts;
  own.sockets = 0;
  own.victim = nullptr;
  own.loop = nullptr;
  own.struck = false;
  const MutexLock lock(own.mutex);
  own.seen = 0;
  own.closed = false;
  own.held.reset();
  own.uncalled.reset();
  own.issued.clear();
  return &own.table;
}

bool canary_struck() {
  return cage().struck;
}

}  // namespace rig
