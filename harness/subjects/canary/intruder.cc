#include "harness/subjects/canary/intruder.h"

#include <alloca.h>

#include <array>
#include <atomic>
#include <map>
#include <thread>

#include "harness/base/mutex.h"
#include "harness/subjects/canary/spoiled_callbacks.h"

namespace rig {
namespace {

constexpr std::size_t frame_bytes = 24 * 1024;  // a few of them are too many

void spoil(rig_socket_callbacks& callbacks);
using Around = SpoiledCallbacks<spoil>;

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
    Around::app().data(user, bytes, count);
    return;
  }
  const MutexLock lock(held());
  Around::app().data(user, bytes, count);
}

[[gnu::noinline]] void sent_from(std::size_t depth, void* user, std::uint64_t token, std::size_t bytes,
                                 const rig_error* error) {
  auto* const frame = static_cast<volatile char*>(::alloca(depth + 1));
  frame[0] = 1;
  Around::app().sent(user, token, bytes, error);
  frame[depth] = frame[0];
}

void on_sent(void* user, std::uint64_t token, std::size_t bytes, const rig_error* error) {
  sent_from(active == Intrusion::deeper ? sent_in_turn++ * frame_bytes : 0, user, token, bytes, error);
}

void spoil(rig_socket_callbacks& callbacks) {
  callbacks.data = on_data;
  callbacks.sent = on_sent;
}

rig_status connect(rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                   const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                   rig_socket** socket, rig_error* error) {
  const rig_status status = Around::connect(loop, context, host, port, config, callbacks, user, socket, error);
  if (status == RIG_OK) {
    const MutexLock lock(users_mutex());
    users()[*socket] = user;
  }
  return status;
}

rig_send_result send(rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                     std::uint32_t flags, rig_error* error) {
  void* const user = user_of(socket);
  if (user != nullptr && active == Intrusion::foreign && ++sends == 2) {
    std::thread([user] { Around::app().writable(user); }).join();
  }
  const rig_send_result result = Around::inner().send(socket, token, bytes, count, flags, error);
  if (user != nullptr && active == Intrusion::inside_send && result != RIG_SEND_REFUSED) {
    Around::app().writable(user);
  }
  return result;
}

void destroy(rig_socket* socket) {
  {
    const MutexLock lock(users_mutex());
    users().erase(socket);
  }
  Around::inner().destroy(socket);
}

rig_status loop_turn(rig_loop* loop, std::uint64_t timeout_us, rig_error* error) {
  sent_in_turn = 0;
  return Around::inner().loop_turn(loop, timeout_us, error);
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
  active = intrusion;
  sends = 0;
  rig_subject& table = Around::wrap(subject);
  table.connect = connect;
  table.send = send;
  table.destroy = destroy;
  table.loop_turn = loop_turn;
  return &table;
}

}  // namespace rig
