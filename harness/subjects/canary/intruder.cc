#include "harness/subjects/canary/intruder.h"

#include <alloca.h>

#include <array>
#include <atomic>
#include <map>
#include <thread>

#include "harness/base/check.h"
#include "harness/base/mutex.h"

namespace rig {
namespace {

constexpr std::size_t frame_bytes = 24 * 1024;  // a few of them are too many

const rig_subject* inner = nullptr;
rig_subject table{};
rig_socket_callbacks app{};
Intrusion active = Intrusion::none;
std::atomic<std::uint32_t> sends{0};
thread_local std::size_t sent_in_turn = 0;

Mutex& held() {
  static Mutex mutex;
  return mutex;
}

Mutex& users_mutex() {
  static Mutex mutex;
  return mutex;
}

// users tells the app's `user` of a socket that connect() has made.
std::map<rig_socket*, void*>& users() {
  static std::map<rig_socket*, void*> all;
  return all;
}

void* user_of(rig_socket* socket) {
  const MutexLock lock(users_mutex());
  const auto found = users().find(socket);
  return found == users().end() ? nullptr : found->second;
}

void on_data(void* user, const std::uint8_t* bytes, std::size_t count) {
  if (active != Intrusion::under_lock) {
    app.data(user, bytes, count);
    return;
  }
  const MutexLock lock(held());
  app.data(user, bytes, count);
}

[[gnu::noinline]] void sent_from(std::size_t depth, void* user, std::uint64_t token, std::size_t bytes,
                                 const rig_error* error) {
  auto* const frame = static_cast<volatile char*>(::alloca(depth + 1));
  frame[0] = 1;
  app.sent(user, token, bytes, error);
  frame[depth] = frame[0];
}

void on_sent(void* user, std::uint64_t token, std::size_t bytes, const rig_error* error) {
  sent_from(active == Intrusion::deeper ? sent_in_turn++ * frame_bytes : 0, user, token, bytes, error);
}

const rig_socket_callbacks* spoiled(const rig_socket_callbacks* callbacks) {
  static const rig_socket_callbacks spoilt = [callbacks] {
    app = *callbacks;
    rig_socket_callbacks made = *callbacks;
    made.data = on_data;
    made.sent = on_sent;
    return made;
  }();
  return &spoilt;
}

rig_status connect(rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                   const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                   rig_socket** socket, rig_error* error) {
  const rig_status status = inner->connect(loop, context, host, port, config, spoiled(callbacks), user, socket, error);
  if (status == RIG_OK) {
    const MutexLock lock(users_mutex());
    users()[*socket] = user;
  }
  return status;
}

void adopt(rig_socket* socket, const rig_socket_callbacks* callbacks, void* user) {
  inner->adopt(socket, spoiled(callbacks), user);
}

rig_send_result send(rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                     std::uint32_t flags, rig_error* error) {
  void* const user = user_of(socket);
  if (user != nullptr && active == Intrusion::foreign && ++sends == 2) {
    std::thread([user] { app.writable(user); }).join();
  }
  const rig_send_result result = inner->send(socket, token, bytes, count, flags, error);
  if (user != nullptr && active == Intrusion::inside_send && result != RIG_SEND_REFUSED) {
    app.writable(user);
  }
  return result;
}

void destroy(rig_socket* socket) {
  {
    const MutexLock lock(users_mutex());
    users().erase(socket);
  }
  inner->destroy(socket);
}

rig_status loop_turn(rig_loop* loop, std::uint64_t timeout_us, rig_error* error) {
  sent_in_turn = 0;
  return inner->loop_turn(loop, timeout_us, error);
}

}  // namespace

std::span<const IntrusionKind> intrusions() {
  static constexpr std::array<IntrusionKind, 4> kinds{{{Intrusion::under_lock, "under_lock"},
                                                       {Intrusion::inside_send, "inside_send"},
                                                       {Intrusion::foreign, "foreign"},
                                                       {Intrusion::deeper, "deeper"}}};
  return kinds;
}

const rig_subject* make_intruder(const rig_subject* subject, Intrusion intrusion) {
  RIG_CHECK(subject != nullptr && subject != &table);
  inner = subject;
  active = intrusion;
  sends = 0;
  table = *subject;
  table.connect = connect;
  table.adopt = adopt;
  table.send = send;
  table.destroy = destroy;
  table.loop_turn = loop_turn;
  return &table;
}

}  // namespace rig
