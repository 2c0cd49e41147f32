#include "harness/subjects/house.h"

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <memory>
#include <new>
#include <string>

#include "harness/engine/backend.h"
#include "harness/socket/listener.h"
#include "harness/socket/loop.h"
#include "harness/socket/tls_socket.h"
#include "harness/subjects/abi.h"
#include "harness/subjects/arguments.h"

// The handles of subject.h are these objects.
struct rig_loop {
  std::shared_ptr<rig::Loop> loop;
};

struct rig_context {
  std::shared_ptr<const rig::Context> context;
};

// rig_socket forwards the callbacks of one socket, and dies when it is both closed and destroyed.
struct rig_socket final : rig::SocketEvents {
  std::shared_ptr<rig::TlsSocket> socket;
  rig_socket_callbacks callbacks{};
  void* user = nullptr;
  bool destroyed = false;
  bool ended = false;  // `closed` was delivered

  void on_connected(const rig::Error* error) override {
    rig_error abi;
    callbacks.connected(user, translate(error, abi));
  }
  void on_data(rig::ByteView bytes) override { callbacks.data(user, bytes.data(), bytes.size()); }
  void on_ended() override { callbacks.ended(user); }
  void on_sent(const rig::Completion& completion) override {
    rig_error abi;
    callbacks.sent(user, completion.token, completion.bytes,
                   translate(completion.error.has_value() ? &*completion.error : nullptr, abi));
  }
  void on_writable() override { callbacks.writable(user); }
  void on_closed(const rig::Error* error) override {
    rig_error abi;
    callbacks.closed(user, translate(error, abi));
    ended = true;
    if (destroyed) {
      delete this;
    }
  }

  static const rig_error* translate(const rig::Error* error, rig_error& abi) {
    if (error == nullptr) {
      return nullptr;
    }
    rig::to_abi(*error, &abi);
    return &abi;
  }
};

struct rig_listener final : rig::ListenerEvents {
  std::shared_ptr<rig::Listener> listener;
  rig_listener_callbacks callbacks{};
  void* user = nullptr;
  bool accepting = false;  // inside on_accepted
  bool closed = false;

  void on_accepted(const std::shared_ptr<rig::TlsSocket>& socket) override;
};

namespace rig {
namespace {

rig_status out_of_memory(rig_error* error) {
  return to_abi(Error(Code::no_memory, "no memory"), error);
}

rig_status answer(const Status& status, rig_error* error) {
  return status.has_value() ? RIG_OK : to_abi(status.error(), error);
}

std::uint32_t capabilities(const char* library) {
  const Backend* const backend = library != nullptr ? find_backend(library) : nullptr;
  if (backend == nullptr) {
    return 0;
  }
  const Capabilities& can = backend->capabilities();
  std::uint32_t mask = RIG_CAN_FAST_TRACK_OFF | RIG_CAN_SEND_FROM_ANY_THREAD | RIG_CAN_CLOSE_FROM_ANY_THREAD |
                       RIG_CAN_ORDER_COMPLETIONS | RIG_CAN_PAUSE | RIG_CAN_HALF_CLOSE | RIG_CAN_LIMIT_QUEUE |
                       RIG_CAN_MORE | RIG_CAN_CLOSE_OVER_INPUT;
  const auto add = [&mask](bool has, std::uint32_t bit) { mask |= has ? bit : 0; };
  add(can.tls12, RIG_CAN_TLS12);
  add(can.tls13, RIG_CAN_TLS13);
  add(can.psk, RIG_CAN_PSK);
  add(can.certificates, RIG_CAN_CERTIFICATES);
  add(can.close_notify, RIG_CAN_TELL_TRUNCATION);
  add(can.renegotiate_as_client, RIG_CAN_RENEGOTIATE_AS_CLIENT);
  add(can.renegotiate_as_server, RIG_CAN_RENEGOTIATE_AS_SERVER);
  add(can.renegotiate_in_flight, RIG_CAN_RENEGOTIATE_IN_FLIGHT);
  add(can.update_keys, RIG_CAN_UPDATE_KEYS);
  return mask;
}

template <std::size_t bytes>
void copy_text(char (&target)[bytes], std::string_view text) {
  const std::size_t copied = std::min(text.size(), bytes - 1);
  std::memcpy(target, text.data(), copied);
  target[copied] = '\0';
}

void library_version(const char* library, char* text, size_t text_bytes) {
  const Backend* const backend = library != nullptr ? find_backend(library) : nullptr;
  if (text == nullptr || text_bytes == 0) {
    return;
  }
  text[0] = '\0';
  try {
    if (backend != nullptr) {
      std::snprintf(text, text_bytes, "%s", backend->runtime_version().c_str());
    }
  } catch (const std::bad_alloc&) {
    // Without memory the version is not told, and a claim about it fails.
  }
}

rig_status loop_create(const rig_loop_config* config, rig_loop** loop, rig_error* error) {
  RIG_TRY_ABI(sound(config), error);
  RIG_TRY_ABI(there(loop, "loop"), error);
  const PollerKind kind = config->poller == RIG_POLLER_EPOLL  ? PollerKind::epoll
                          : config->poller == RIG_POLLER_POLL ? PollerKind::poll
                                                              : PollerKind::select;
  auto made = Loop::make(kind, config->fast_track != 0);
  if (!made.has_value()) {
    return to_abi(made.error(), error);
  }
  *loop = new (std::nothrow) rig_loop{std::move(*made)};
  return *loop != nullptr ? RIG_OK : out_of_memory(error);
}

rig_status loop_turn(rig_loop* loop, uint64_t timeout_us, rig_error* error) {
  RIG_TRY_ABI(there(loop, "loop"), error);
  return answer(loop->loop->turn(static_cast<std::int64_t>(timeout_us)), error);
}

void loop_wake(rig_loop* loop) {
  loop->loop->wake();
}

void loop_counts(rig_loop* loop, rig_loop_counts* counts) {
  const LoopCounts now = loop->loop->counts();
  const auto narrow = [](std::size_t count) { return static_cast<std::uint32_t>(count); };
  *counts = {.listeners = narrow(now.listeners),
             .connecting = narrow(now.connecting),
             .handshaking = narrow(now.handshaking),
             .open = narrow(now.open),
             .closing = narrow(now.closing),
             .undestroyed = narrow(now.undestroyed),
             .registrations = narrow(now.registrations)};
}

void loop_destroy(rig_loop* loop) {
  // A destroyed socket leaves its loop in the next turn, and the two own each other until then.
  static_cast<void>(loop->loop->turn(0));
  delete loop;
}

TlsVersion version_from_abi(std::uint32_t version) {
  return version == RIG_TLS_1_2 ? TlsVersion::tls12 : version == RIG_TLS_1_3 ? TlsVersion::tls13 : TlsVersion::none;
}

ContextConfig context_config(const rig_context_config& abi) {
  ContextConfig config;
  config.role = abi.server != 0 ? Role::server : Role::client;
  config.version_min = version_from_abi(abi.tls_min);
  config.version_max = version_from_abi(abi.tls_max);
  config.peer_check = abi.verify_peer != 0 ? PeerCheck::verify : PeerCheck::none;
  config.allow_renegotiation = abi.allow_renegotiation != 0;
  if (abi.ca_pem != nullptr) {
    config.ca_pem = abi.ca_pem;
  }
  if (abi.certificate_pem != nullptr && abi.private_key_pem != nullptr) {
    config.credentials = Credentials{abi.certificate_pem, abi.private_key_pem};
  }
  if (abi.psk_identity != nullptr) {
    config.psk = Psk{abi.psk_identity, Bytes(abi.psk, abi.psk + abi.psk_bytes)};
  }
  if (abi.key_log != nullptr) {
    config.key_log = [log = abi.key_log, user = abi.key_log_user](std::string_view line) {
      log(user, std::string(line).c_str());
    };
  }
  return config;
}

rig_status context_create(const rig_context_config* config, rig_context** context, rig_error* error) {
  RIG_TRY_ABI(sound(config), error);
  RIG_TRY_ABI(there(context, "context"), error);
  try {
    Backend* const backend = find_backend(config->library);
    if (backend == nullptr) {
      return to_abi(Error(Code::unsupported, std::string("the library '") + config->library + "' is not built in"),
                    error);
    }
    auto made = backend->make_context(context_config(*config));
    if (!made.has_value()) {
      return to_abi(made.error(), error);
    }
    *context = new rig_context{std::move(*made)};
    return RIG_OK;
  } catch (const std::bad_alloc&) {
    return out_of_memory(error);
  }
}

void context_destroy(rig_context* context) {
  delete context;
}

SocketConfig socket_config(const rig_socket_config& abi) {
  SocketConfig config;
  const auto set = [](auto& target, auto value) {
    if (value != 0) {
      target = static_cast<std::remove_reference_t<decltype(target)>>(value);
    }
  };
  config.nodelay = abi.nodelay != 0;
  set(config.limits.ops_max, abi.queue_ops_max);
  set(config.limits.bytes_max, abi.queue_bytes_max);
  set(config.kernel_send_bytes, abi.kernel_send_bytes);
  set(config.kernel_recv_bytes, abi.kernel_recv_bytes);
  set(config.connect_timeout_us, abi.connect_timeout_us);
  set(config.handshake_timeout_us, abi.handshake_timeout_us);
  set(config.close_timeout_us, abi.close_timeout_us);
  return config;
}

rig_status listen(rig_loop* loop, rig_context* context, const char* host, uint16_t port,
                  const rig_socket_config* config, const rig_listener_callbacks* callbacks, void* listener_user,
                  rig_listener** listener, rig_error* error) {
  RIG_TRY_ABI(sound_beginning(loop, context, host, config, listener, "listener"), error);
  RIG_TRY_ABI(sound(callbacks), error);
  try {
    auto made = std::make_unique<rig_listener>();
    made->callbacks = *callbacks;
    made->user = listener_user;
    ListenerConfig listener_config{.socket = socket_config(*config)};
    if (config->connections_max != 0) {
      listener_config.connections_max = config->connections_max;
    }
    auto opened = Listener::open(loop->loop, context->context, {host, port}, listener_config, *made);
    if (!opened.has_value()) {
      return to_abi(opened.error(), error);
    }
    made->listener = std::move(*opened);
    *listener = made.release();
    return RIG_OK;
  } catch (const std::bad_alloc&) {
    return out_of_memory(error);
  }
}

uint16_t listener_port(rig_listener* listener) {
  return listener->listener->local().port;
}

void listener_close(rig_listener* listener) {
  listener->closed = true;
  listener->listener->close();
  if (!listener->accepting) {
    delete listener;
  }
}

rig_status connect(rig_loop* loop, rig_context* context, const char* host, uint16_t port,
                   const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                   rig_socket** socket, rig_error* error) {
  RIG_TRY_ABI(sound_beginning(loop, context, host, config, socket, "socket"), error);
  RIG_TRY_ABI(sound(callbacks), error);
  try {
    auto made = std::make_unique<rig_socket>();
    made->callbacks = *callbacks;
    made->user = user;
    const EngineConfig engine{.host = config->host != nullptr ? config->host : "", .resume = {}};
    auto connected =
        TlsSocket::connect(loop->loop, *context->context, engine, {host, port}, socket_config(*config), *made);
    if (!connected.has_value()) {
      return to_abi(connected.error(), error);
    }
    made->socket = std::move(*connected);
    *socket = made.release();
    return RIG_OK;
  } catch (const std::bad_alloc&) {
    return out_of_memory(error);
  }
}

void adopt(rig_socket* socket, const rig_socket_callbacks* callbacks, void* user) {
  socket->callbacks = *callbacks;
  socket->user = user;
  socket->socket->adopt(*socket);
}

rig_send_result send(rig_socket* socket, uint64_t token, const uint8_t* bytes, size_t count, uint32_t flags,
                     rig_error* error) {
  if (const Status sent = sound_send(bytes, count, flags); !sent.has_value()) {
    to_abi(sent.error(), error);
    return RIG_SEND_REFUSED;
  }
  const auto outcome = socket->socket->send(token, {bytes, count}, (flags & RIG_SEND_MORE) != 0);
  if (!outcome.has_value()) {
    to_abi(outcome.error(), error);
    return RIG_SEND_REFUSED;
  }
  return *outcome == SendOutcome::completed ? RIG_SEND_COMPLETED : RIG_SEND_PENDING;
}

rig_status pause(rig_socket* socket, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  return answer(socket->socket->pause(), error);
}
rig_status resume(rig_socket* socket, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  return answer(socket->socket->resume(), error);
}
rig_status renegotiate(rig_socket* socket, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  return answer(socket->socket->renegotiate(), error);
}
rig_status update_keys(rig_socket* socket, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  return answer(socket->socket->update_keys(), error);
}
rig_status half_close(rig_socket* socket, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  return answer(socket->socket->half_close(), error);
}

rig_status close(rig_socket* socket, rig_close_mode mode, rig_error* error) {
  RIG_TRY_ABI(there(socket, "socket"), error);
  socket->socket->close(mode == RIG_CLOSE_ABORT ? CloseMode::abort : CloseMode::graceful);
  return RIG_OK;
}

void destroy(rig_socket* socket) {
  socket->destroyed = true;
  socket->socket->destroy();
  // Inside `closed` the forwarder itself comes back to look.
  if (socket->ended || !socket->socket->adopted()) {
    delete socket;
  }
}

void info(rig_socket* socket, rig_socket_info* abi) {
  const SocketInfo now = socket->socket->info();
  *abi = {};
  // Both are the engine's own: what was asked for has no part in the answer.
  copy_text(abi->library, now.facts.library);
  library_version(abi->library, abi->library_version, sizeof abi->library_version);
  copy_text(abi->poller, poller_kind_name(now.poller));
  copy_text(abi->cipher, now.facts.cipher);
  abi->fast_track = now.fast_track ? 1 : 0;
  abi->tls_version = now.facts.version == TlsVersion::tls12   ? RIG_TLS_1_2
                     : now.facts.version == TlsVersion::tls13 ? RIG_TLS_1_3
                                                              : RIG_TLS_NONE;
  abi->psk = now.facts.psk ? 1 : 0;
  abi->peer_verified = now.facts.peer_verified ? 1 : 0;
  abi->nodelay = now.nodelay ? 1 : 0;
  abi->handshakes = now.facts.handshakes;
  abi->key_updates_out = now.facts.key_updates_out;
  abi->key_updates_in = now.facts.key_updates_in;
  abi->ops_pending = static_cast<std::uint32_t>(now.ops_pending);
  abi->queued_bytes = now.queued_bytes;
}

rig_subject make_table(const char* name, const char* libraries) {
  return {.abi = RIG_SUBJECT_ABI,
          .size = sizeof(rig_subject),
          .name = name,
          .libraries = libraries,
          .pollers = RIG_POLLER_EPOLL | RIG_POLLER_POLL | RIG_POLLER_SELECT,
          .capabilities = capabilities,
          .library_version = library_version,
          .loop_create = loop_create,
          .loop_turn = loop_turn,
          .loop_wake = loop_wake,
          .loop_counts = loop_counts,
          .loop_destroy = loop_destroy,
          .context_create = context_create,
          .context_destroy = context_destroy,
          .listen = listen,
          .listener_port = listener_port,
          .listener_close = listener_close,
          .connect = connect,
          .adopt = adopt,
          .send = send,
          .pause = pause,
          .resume = resume,
          .renegotiate = renegotiate,
          .update_keys = update_keys,
          .half_close = half_close,
          .close = close,
          .destroy = destroy,
          .info = info};
}

}  // namespace

const rig_subject* house_subject() {
  static const std::string libraries = [] {
    std::string words;
    for (const Backend* backend : backends()) {
      words += words.empty() ? "" : " ";
      words += backend->name();
    }
    return words;
  }();
  static const rig_subject table = make_table("house", libraries.c_str());
  return &table;
}

const rig_subject* plain_subject() {
  static const rig_subject table = make_table("plain", "null");
  return &table;
}

}  // namespace rig

void rig_listener::on_accepted(const std::shared_ptr<rig::TlsSocket>& socket) {
  auto* const accepted = new (std::nothrow) rig_socket;
  if (accepted == nullptr) {
    return;  // not adopted: the listener destroys it
  }
  accepted->socket = socket;
  accepting = true;
  callbacks.accepted(user, accepted);
  accepting = false;
  if (closed) {
    delete this;
  }
}
