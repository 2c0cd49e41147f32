#include "harness/subjects/canary/tests/fake_subject.h"

#include <cstdint>
#include <cstdio>
#include <deque>
#include <functional>
#include <map>
#include <utility>
#include <vector>

struct rig_loop {
  std::deque<std::function<void()>> due;
  bool fast_track = false;
  rig_loop_counts counts{};
};

struct rig_listener {
  rig_loop* loop;
  std::uint16_t port;
  rig_listener_callbacks callbacks;
  void* user;
};

struct rig_socket {
  struct Op {
    std::uint64_t token;
    std::vector<std::uint8_t> bytes;
  };

  rig_loop* loop = nullptr;
  rig_socket* peer = nullptr;
  rig_socket_callbacks callbacks{};
  void* user = nullptr;
  std::deque<Op> pending;
  bool paused = false;
  bool closing = false;
  bool closed = false;
  bool destroyed = false;
};

namespace rig {

namespace {

int sockets = 0;

std::map<std::uint16_t, rig_listener*>& listeners() {
  static std::map<std::uint16_t, rig_listener*> all;
  return all;
}

rig_status refuse(rig_error* error, rig_status status, const char* detail) {
  if (error != nullptr) {
    *error = {};
    error->status = status;
    std::snprintf(error->detail, sizeof error->detail, "%s", detail);
  }
  return status;
}

void free_socket(rig_socket* socket) {
  --socket->loop->counts.undestroyed;
  --sockets;
  delete socket;
}

void deliver(rig_socket* socket, std::vector<std::uint8_t> bytes) {
  socket->loop->due.push_back([socket, bytes = std::move(bytes)] {
    if (!socket->closed) {
      socket->callbacks.data(socket->user, bytes.data(), bytes.size());
    }
  });
}

// flush moves what is pending to the peer, as far as the peer reads.
void flush(rig_socket* socket) {
  while (!socket->pending.empty() && socket->peer != nullptr && !socket->peer->paused) {
    rig_socket::Op op = std::move(socket->pending.front());
    socket->pending.pop_front();
    const std::size_t count = op.bytes.size();
    if (count > 0) {
      deliver(socket->peer, std::move(op.bytes));
    }
    socket->callbacks.sent(socket->user, op.token, count, nullptr);
  }
}

// end closes a socket: what is pending fails, `closed` comes.
void end(rig_socket* socket, rig_status status) {
  socket->closing = true;
  if (socket->peer != nullptr) {
    socket->peer->peer = nullptr;
    socket->peer = nullptr;
  }
  socket->loop->due.push_back([socket, status] {
    if (socket->closed) {
      return;
    }
    rig_error error{};
    refuse(&error, status, "the connection ended");
    while (!socket->pending.empty()) {
      const std::uint64_t token = socket->pending.front().token;
      socket->pending.pop_front();
      socket->callbacks.sent(socket->user, token, 0, &error);
    }
    // The callback may destroy the socket, which then frees it.
    const bool destroyed_before = socket->destroyed;
    socket->closed = true;
    --socket->loop->counts.open;
    ++socket->loop->counts.undestroyed;
    socket->callbacks.closed(socket->user, status == RIG_OK ? nullptr : &error);
    if (destroyed_before) {
      free_socket(socket);
    }
  });
}

rig_status loop_create(const rig_loop_config* config, rig_loop** loop, rig_error*) {
  *loop = new rig_loop;
  (*loop)->fast_track = config->fast_track != 0;
  return RIG_OK;
}

rig_status loop_turn(rig_loop* loop, std::uint64_t, rig_error*) {
  for (std::size_t left = loop->due.size(); left > 0; --left) {
    const std::function<void()> call = std::move(loop->due.front());
    loop->due.pop_front();
    call();
  }
  return RIG_OK;
}

rig_status listen(rig_loop* loop, rig_context*, const char*, std::uint16_t port, const rig_socket_config*,
                  const rig_listener_callbacks* callbacks, void* user, rig_listener** listener, rig_error*) {
  *listener = new rig_listener{loop, port, *callbacks, user};
  listeners()[port] = *listener;
  ++loop->counts.listeners;
  return RIG_OK;
}

void listener_close(rig_listener* listener) {
  --listener->loop->counts.listeners;
  listeners().erase(listener->port);
  delete listener;
}

rig_socket* make_socket(rig_loop* loop) {
  ++sockets;
  ++loop->counts.open;
  auto* const socket = new rig_socket;
  socket->loop = loop;
  return socket;
}

rig_status connect(rig_loop* loop, rig_context*, const char*, std::uint16_t port, const rig_socket_config*,
                   const rig_socket_callbacks* callbacks, void* user, rig_socket** socket, rig_error* error) {
  const auto found = listeners().find(port);
  if (found == listeners().end()) {
    return refuse(error, RIG_REFUSED, "nobody listens there");
  }
  rig_listener* const listener = found->second;
  rig_socket* const near = make_socket(loop);
  near->callbacks = *callbacks;
  near->user = user;
  rig_socket* const far = make_socket(listener->loop);
  near->peer = far;
  far->peer = near;
  listener->loop->due.push_back([=] {
    listener->callbacks.accepted(listener->user, far);
    far->callbacks.connected(far->user, nullptr);
    near->loop->due.push_back([=] { near->callbacks.connected(near->user, nullptr); });
  });
  *socket = near;
  return RIG_OK;
}

void adopt(rig_socket* socket, const rig_socket_callbacks* callbacks, void* user) {
  socket->callbacks = *callbacks;
  socket->user = user;
}

rig_send_result send(rig_socket* socket, std::uint64_t token, const std::uint8_t* bytes, std::size_t count,
                     std::uint32_t, rig_error* error) {
  if (socket->closing) {
    refuse(error, RIG_CLOSED, "the socket is closed");
    return RIG_SEND_REFUSED;
  }
  std::vector<std::uint8_t> copy(bytes, bytes + count);
  if (socket->loop->fast_track && socket->pending.empty() && !socket->peer->paused) {
    deliver(socket->peer, std::move(copy));
    return RIG_SEND_COMPLETED;
  }
  socket->pending.push_back({token, std::move(copy)});
  socket->loop->due.push_back([socket] {
    if (!socket->closed) {
      flush(socket);
    }
  });
  return RIG_SEND_PENDING;
}

rig_status pause(rig_socket* socket, rig_error*) {
  socket->paused = true;
  return RIG_OK;
}

rig_status close(rig_socket* socket, rig_close_mode mode, rig_error*) {
  if (socket->closing) {
    return RIG_OK;
  }
  if (rig_socket* const peer = socket->peer; peer != nullptr) {
    end(peer, mode == RIG_CLOSE_ABORT ? RIG_RESET : RIG_OK);
  }
  end(socket, mode == RIG_CLOSE_ABORT ? RIG_ABORTED : RIG_OK);
  return RIG_OK;
}

void destroy(rig_socket* socket) {
  socket->destroyed = true;
  if (socket->closed) {
    free_socket(socket);
  } else {
    close(socket, RIG_CLOSE_ABORT, nullptr);
  }
}

}  // namespace

const rig_subject* fake_subject() {
  static const rig_subject table = [] {
    rig_subject made{};
    made.abi = RIG_SUBJECT_ABI;
    made.size = sizeof(rig_subject);
    made.name = "fake";
    made.libraries = "null";
    made.pollers = RIG_POLLER_POLL;
    made.capabilities = [](const char*) { return RIG_CAN_ORDER_COMPLETIONS | RIG_CAN_PAUSE; };
    made.loop_create = loop_create;
    made.loop_turn = loop_turn;
    made.loop_wake = [](rig_loop*) {};
    made.loop_counts = [](rig_loop* loop, rig_loop_counts* counts) { *counts = loop->counts; };
    made.loop_destroy = [](rig_loop* loop) { delete loop; };
    made.listen = listen;
    made.listener_close = listener_close;
    made.connect = connect;
    made.adopt = adopt;
    made.send = send;
    made.pause = pause;
    made.close = close;
    made.destroy = destroy;
    return made;
  }();
  return &table;
}

int fake_sockets() {
  return sockets;
}

}  // namespace rig
