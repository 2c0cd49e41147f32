#include "harness/subjects/canary/hoarder.h"

#include <openssl/ssl.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <deque>
#include <map>
#include <vector>

#include "harness/base/bytes.h"
#include "harness/base/mutex.h"
#include "harness/subjects/canary/spoiled_callbacks.h"

namespace rig {
namespace {

// Stashed is a send that was to be refused.
struct Stashed {
  std::uint64_t token;
  Bytes bytes;
  std::uint32_t flags;
};

// Hoarded is all that is kept, by whoever keeps it.
struct Hoarded {
  Mutex mutex;
  std::vector<SSL*> sessions RIG_GUARDED_BY(mutex);
  std::vector<int> descriptors RIG_GUARDED_BY(mutex);
  std::map<rig_socket*, std::deque<Stashed>> ops RIG_GUARDED_BY(mutex);
  std::map<void*, rig_socket*> sockets RIG_GUARDED_BY(mutex);  // of connect(), by the app's `user`
};

Hoarded& hoarded() {
  static Hoarded all;
  return all;
}

void spoil(rig_socket_callbacks& callbacks);
using Around = SpoiledCallbacks<spoil>;

Hoard active = Hoard::none;

void on_connected(void* user, const rig_error* error) {
  if (active == Hoard::session && error != nullptr) {
    SSL_CTX* const context = SSL_CTX_new(TLS_method());
    SSL* const session = SSL_new(context);
    SSL_CTX_free(context);
    const MutexLock lock(hoarded().mutex);
    hoarded().sessions.push_back(session);
  }
  Around::app().connected(user, error);
}

void on_closed(void* user, const rig_error* error) {
  if (active == Hoard::descriptor) {
    const int descriptor = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const MutexLock lock(hoarded().mutex);
    hoarded().descriptors.push_back(descriptor);
  }
  Around::app().closed(user, error);
}

// send_stashed sends what waits, until the queue is full again.
void send_stashed(rig_socket* socket) {
  for (;;) {
    Stashed next;
    {
      const MutexLock lock(hoarded().mutex);
      std::deque<Stashed>& waiting = hoarded().ops[socket];
      if (waiting.empty()) {
        return;
      }
      next = waiting.front();
    }
    rig_error error{};
    if (Around::inner().send(socket, next.token, next.bytes.data(), next.bytes.size(), next.flags, &error) ==
        RIG_SEND_REFUSED) {
      return;
    }
    const MutexLock lock(hoarded().mutex);
    hoarded().ops[socket].pop_front();
  }
}

void on_writable(void* user) {
  rig_socket* socket = nullptr;
  {
    const MutexLock lock(hoarded().mutex);
    const auto found = hoarded().sockets.find(user);
    socket = found == hoarded().sockets.end() ? nullptr : found->second;
  }
  if (active == Hoard::ops && socket != nullptr) {
    send_stashed(socket);
  }
  Around::app().writable(user);
}

void spoil(rig_socket_callbacks& callbacks) {
  callbacks.connected = on_connected;
  callbacks.closed = on_closed;
  callbacks.writable = on_writable;
}

rig_status connect(rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                   const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                   rig_socket** socket, rig_error* error) {
  const rig_status status = Around::connect(loop, context, host, port, config, callbacks, user, socket, error);
  if (status == RIG_OK) {
    const MutexLock lock(hoarded().mutex);
    hoarded().sockets[user] = *socket;
  }
  return status;
}

rig_send_result send(rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                     std::uint32_t flags, rig_error* error) {
  if (active == Hoard::ops) {
    const MutexLock lock(hoarded().mutex);
    std::deque<Stashed>& waiting = hoarded().ops[socket];
    if (!waiting.empty()) {
      waiting.push_back({token, Bytes(bytes, bytes + count), flags});
      return RIG_SEND_PENDING;
    }
  }
  const rig_send_result result = Around::inner().send(socket, token, bytes, count, flags, error);
  if (active != Hoard::ops || result != RIG_SEND_REFUSED || error->status != RIG_WOULD_BLOCK) {
    return result;
  }
  const MutexLock lock(hoarded().mutex);
  hoarded().ops[socket].push_back({token, Bytes(bytes, bytes + count), flags});
  return RIG_SEND_PENDING;
}

}  // namespace

std::span<const HoardKind> hoards() {
  static constexpr std::array<HoardKind, 3> kinds{
      {{Hoard::session, "session"}, {Hoard::descriptor, "descriptor"}, {Hoard::ops, "ops"}}};
  return kinds;
}

const rig_subject* make_hoarder(const rig_subject* subject, Hoard hoard) {
  active = hoard;
  rig_subject& table = Around::wrap(subject);
  table.connect = connect;
  table.send = send;
  return &table;
}

void give_back_hoard() {
  const MutexLock lock(hoarded().mutex);
  for (SSL* const session : hoarded().sessions) {
    SSL_free(session);
  }
  // Those of the lab have gone with their run, and their numbers are none of the system's.
  for (const int descriptor : hoarded().descriptors) {
    ::close(descriptor);
  }
  hoarded().sessions.clear();
  hoarded().descriptors.clear();
  hoarded().ops.clear();
  hoarded().sockets.clear();
}

}  // namespace rig
