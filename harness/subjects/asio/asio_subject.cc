// The table of subject.h over Asio's ssl::stream. Nothing but subject.h is of the rig.
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <memory>
#include <new>
#include <utility>

#include "harness/subjects/asio/context.h"
#include "harness/subjects/asio/socket.h"
#include "harness/subjects/subject.h"

namespace asio_guest {

// Listener is what a rig_listener is: it accepts while it has places.
class Listener : public std::enable_shared_from_this<Listener> {
 public:
  Listener(Loop& loop, Context& context, const rig_socket_config& config, const rig_listener_callbacks& callbacks,
           void* user, const tcp::endpoint& here)
      : loop_(loop),
        context_(context),
        config_(config),
        callbacks_(callbacks),
        user_(user),
        acceptor_(loop.io, here),
        again_(loop.io) {}

  std::uint16_t port() const { return acceptor_.local_endpoint().port(); }

  void accept() {
    const long places = config_.connections_max != 0 ? config_.connections_max : 1024;
    if (!acceptor_.is_open() || accepting_ || place_.use_count() > places) {
      return;
    }
    accepting_ = true;
    acceptor_.async_accept([self = shared_from_this()](const Failure& failure, tcp::socket socket) {
      self->accepting_ = false;
      if (failure && failure != asio::error::operation_aborted) {
        self->rest();
      } else if (!failure) {
        self->hand_over(std::move(socket));
        self->accept();
      }
    });
  }

  void close() {
    Failure ignored;
    acceptor_.close(ignored);
    again_.cancel();
    loop_.listeners.erase(shared_from_this());
  }

 private:
  // Without a descriptor, say: others may have given some back by then.
  void rest() {
    again_.expires_after(std::chrono::milliseconds(100));
    again_.async_wait([self = shared_from_this()](const Failure&) { self->accept(); });
  }

  void hand_over(tcp::socket accepted) {
    const auto socket = std::make_shared<Socket>(loop_, context_, config_, std::move(accepted), place_);
    loop_.sockets.insert(socket);
    callbacks_.accepted(user_, reinterpret_cast<rig_socket*>(socket.get()));
    socket->handshake(asio::ssl::stream_base::server);
  }

  Loop& loop_;
  Context& context_;
  const rig_socket_config config_;
  const rig_listener_callbacks callbacks_;
  void* const user_;
  tcp::acceptor acceptor_;
  asio::steady_timer again_;
  const std::shared_ptr<char> place_ = std::make_shared<char>();  // a share of it is a socket that is not freed
  bool accepting_ = false;
};

namespace {

Loop& of(rig_loop* loop) {
  return *reinterpret_cast<Loop*>(loop);
}
Context& of(rig_context* context) {
  return *reinterpret_cast<Context*>(context);
}
Listener& of(rig_listener* listener) {
  return *reinterpret_cast<Listener*>(listener);
}
Socket& of(rig_socket* socket) {
  return *reinterpret_cast<Socket*>(socket);
}

// guarded turns what Asio throws into a status.
rig_status guarded(rig_error* error, auto verb) {
  try {
    verb();
    return RIG_OK;
  } catch (const asio::system_error& failure) {
    return error_of(failure.code(), {}, error);
  } catch (const std::bad_alloc&) {
    return error_of(asio::error::no_memory, {}, error);
  }
}

uint32_t capabilities(const char* library) {
  constexpr uint32_t all = RIG_CAN_TLS12 | RIG_CAN_TLS13 | RIG_CAN_PSK | RIG_CAN_CERTIFICATES | RIG_CAN_FAST_TRACK_OFF |
                           RIG_CAN_SEND_FROM_ANY_THREAD | RIG_CAN_CLOSE_FROM_ANY_THREAD | RIG_CAN_ORDER_COMPLETIONS |
                           RIG_CAN_PAUSE | RIG_CAN_TELL_TRUNCATION;
  return std::string_view(library) == "openssl" ? all : 0;
}

void library_version(const char*, char* text, size_t text_bytes) {
  std::snprintf(text, text_bytes, "%s", asio_guest::library_version().c_str());
}

rig_status loop_create(const rig_loop_config* config, rig_loop** loop, rig_error* error) {
  return guarded(error, [&] {
    auto made = std::make_unique<Loop>();
    made->fast_track = config->fast_track != 0;
    *loop = reinterpret_cast<rig_loop*>(made.release());
  });
}

rig_status loop_turn(rig_loop* loop, uint64_t timeout_us, rig_error* error) {
  constexpr int handlers_per_turn = 128;
  return guarded(error, [&] {
    of(loop).io.run_one_for(std::chrono::microseconds(std::min<uint64_t>(timeout_us, 3'600'000'000)));
    for (int count = 0; count < handlers_per_turn && of(loop).io.poll_one() > 0; ++count) {
    }
    for (const auto& listener : of(loop).listeners) {
      listener->accept();  // there may be a place again
    }
  });
}

void loop_wake(rig_loop* loop) {
  asio::post(of(loop).io, [] {});
}

void loop_counts(rig_loop* loop, rig_loop_counts* counts) {
  *counts = {};
  counts->listeners = counts->registrations = static_cast<uint32_t>(of(loop).listeners.size());
  for (const auto& socket : of(loop).sockets) {
    socket->count(*counts);
  }
}

void loop_destroy(rig_loop* loop) {
  while (!of(loop).sockets.empty() && of(loop).io.poll_one() > 0) {  // a `closed` that is due
  }
  delete &of(loop);
}

rig_status context_create(const rig_context_config* config, rig_context** context, rig_error* error) {
  return guarded(error, [&] { *context = reinterpret_cast<rig_context*>(new Context(*config)); });
}

void context_destroy(rig_context* context) {
  delete &of(context);
}

rig_status listen(rig_loop* loop, rig_context* context, const char* host, uint16_t port,
                  const rig_socket_config* config, const rig_listener_callbacks* callbacks, void* listener_user,
                  rig_listener** listener, rig_error* error) {
  return guarded(error, [&] {
    const auto made = std::make_shared<Listener>(of(loop), of(context), *config, *callbacks, listener_user,
                                                 tcp::endpoint(asio::ip::make_address(host), port));
    of(loop).listeners.insert(made);
    made->accept();
    *listener = reinterpret_cast<rig_listener*>(made.get());
  });
}

uint16_t listener_port(rig_listener* listener) {
  return of(listener).port();
}

void listener_close(rig_listener* listener) {
  of(listener).close();
}

rig_status connect(rig_loop* loop, rig_context* context, const char* host, uint16_t port,
                   const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                   rig_socket** socket, rig_error* error) {
  return guarded(error, [&] {
    const tcp::endpoint peer(asio::ip::make_address(host), port);
    const auto made =
        std::make_shared<Socket>(of(loop), of(context), *config, tcp::socket(of(loop).io, peer.protocol()), nullptr);
    made->adopt(*callbacks, user);
    made->connect(peer, config->host != nullptr ? config->host : host);
    of(loop).sockets.insert(made);
    *socket = reinterpret_cast<rig_socket*>(made.get());
  });
}

void adopt(rig_socket* socket, const rig_socket_callbacks* callbacks, void* user) {
  of(socket).adopt(*callbacks, user);
}

rig_send_result send(rig_socket* socket, uint64_t token, const uint8_t* bytes, size_t count, uint32_t,
                     rig_error* error) {
  rig_send_result result = RIG_SEND_REFUSED;
  guarded(error, [&] { result = of(socket).send(token, bytes, count, error); });
  return result;
}

rig_status pause(rig_socket* socket, rig_error* error) {
  return guarded(error, [&] { of(socket).set_paused(true); });
}

rig_status resume(rig_socket* socket, rig_error* error) {
  return guarded(error, [&] { of(socket).set_paused(false); });
}

rig_status close(rig_socket* socket, rig_close_mode mode, rig_error* error) {
  return guarded(error, [&] { of(socket).close(mode); });
}

void destroy(rig_socket* socket) {
  of(socket).destroy();
}

void info(rig_socket* socket, rig_socket_info* info) {
  of(socket).info(*info);
}

constexpr rig_subject table{.abi = RIG_SUBJECT_ABI,
                            .size = sizeof(rig_subject),
                            .name = "asio",
                            .libraries = "openssl",
                            .pollers = RIG_POLLER_EPOLL,
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
                            .renegotiate = nullptr,
                            .update_keys = nullptr,
                            .half_close = nullptr,
                            .close = close,
                            .destroy = destroy,
                            .info = info};

}  // namespace
}  // namespace asio_guest

extern "C" __attribute__((visibility("default"))) const rig_subject* rig_subject_entry(void) {
  return &asio_guest::table;
}
