#include "stress/bench/link.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "harness/engine/identities.h"
#include "harness/engine/pair.h"
#include "harness/subjects/house.h"

namespace rig::bench {
namespace {

// So many ops may be pending before the loop is turned: a sender that never waits measures its own queue.
constexpr std::size_t window_ops = 64;

[[noreturn]] void give_up(std::string_view what, std::string_view why) {
  std::fprintf(stderr, "bench_layer: %.*s: %.*s\n", static_cast<int>(what.size()), what.data(),
               static_cast<int>(why.size()), why.data());
  std::exit(3);
}

void demand(rig_status status, std::string_view what, const rig_error& error) {
  if (status != RIG_OK) {
    give_up(what, error.detail);
  }
}

std::unique_ptr<TlsEngine> make_engine(Backend& backend, TlsVersion version, Role role) {
  ContextConfig config;
  config.role = role;
  config.version_min = config.version_max = version;
  if (version != TlsVersion::none) {
    config.psk = test_psk();
  }
  const auto context = backend.make_context(config);
  if (!context.has_value()) {
    give_up("the context", context.error().detail());
  }
  auto engine = (*context)->make_engine({.host = "localhost", .resume = {}});
  if (!engine.has_value()) {
    give_up("the engine", engine.error().detail());
  }
  return std::move(*engine);
}

class PairLink final : public Link {
 public:
  PairLink(Backend& backend, TlsVersion version)
      : pair_(make_engine(backend, version, Role::client), make_engine(backend, version, Role::server)) {
    expect_done(pair_.run_handshake());
  }

  void transfer(std::size_t count, std::size_t bytes) override {
    pair_.knobs().write_bytes_max = bytes;  // a write is a message
    pair_.send(Side::client, count * bytes);
    expect_done(pair_.run_traffic());
  }

 private:
  static void expect_done(const PairOutcome& outcome) {
    if (!outcome.done()) {
      give_up("the engine pair", outcome.detail);
    }
  }

  EnginePair pair_;
};

class LayerLink final : public Link {
 public:
  LayerLink(Backend& backend, TlsVersion version, bool fast_track) : layer_(*house_subject()) {
    const rig_loop_config loop_config{.poller = RIG_POLLER_EPOLL, .fast_track = fast_track ? 1u : 0u};
    demand(layer_.loop_create(&loop_config, &loop_, &error_), "the loop", error_);
    const std::string library(backend.name());
    contexts_[0] = make_context(library, version, false);
    contexts_[1] = make_context(library, version, true);
    static const rig_listener_callbacks accepting{.accepted = [](void* user, rig_socket* socket) {
      auto& link = *static_cast<LayerLink*>(user);
      link.server_.socket = socket;
      link.layer_.adopt(socket, &callbacks(), &link.server_);
    }};
    const rig_socket_config config = socket_config();
    rig_listener* listener = nullptr;
    demand(layer_.listen(loop_, contexts_[1], "127.0.0.1", 0, &config, &accepting, this, &listener, &error_),
           "the listener", error_);
    demand(layer_.connect(loop_, contexts_[0], "127.0.0.1", layer_.listener_port(listener), &config, &callbacks(),
                          &client_, &client_.socket, &error_),
           "the connection", error_);
    while (!client_.connected || !server_.connected) {
      turn();
    }
    layer_.listener_close(listener);
  }

  ~LayerLink() override {
    ending_ = true;
    for (Peer* peer : {&client_, &server_}) {
      layer_.close(peer->socket, RIG_CLOSE_GRACEFUL, nullptr);
    }
    while (!client_.closed || !server_.closed) {
      turn();
    }
    layer_.destroy(client_.socket);
    layer_.destroy(server_.socket);
    layer_.loop_destroy(loop_);
    for (rig_context* context : contexts_) {
      layer_.context_destroy(context);
    }
  }

  void transfer(std::size_t count, std::size_t bytes) override {
    payload_.resize(std::max(payload_.size(), bytes));
    const std::uint64_t due = server_.received + count * bytes;
    for (std::size_t sent = 0; sent < count;) {
      if (client_.pending < window_ops && send(bytes)) {
        ++sent;
      } else {
        turn();
      }
    }
    while (server_.received < due || client_.pending > 0) {
      turn();
    }
  }

 private:
  struct Peer {
    LayerLink& link;
    rig_socket* socket = nullptr;
    bool connected = false;
    bool closed = false;
    std::size_t pending = 0;
    std::uint64_t received = 0;
  };

  static rig_socket_config socket_config() {
    rig_socket_config config{};
    config.host = "localhost";
    config.nodelay = 1;
    return config;
  }

  static const rig_socket_callbacks& callbacks() {
    static const rig_socket_callbacks table{
        .connected =
            [](void* user, const rig_error* error) {
              if (error != nullptr) {
                give_up("the handshake", error->detail);
              }
              static_cast<Peer*>(user)->connected = true;
            },
        .data = [](void* user, const std::uint8_t*, std::size_t count) { static_cast<Peer*>(user)->received += count; },
        .ended = [](void*) {},
        .sent = [](void* user, std::uint64_t, std::size_t, const rig_error*) { --static_cast<Peer*>(user)->pending; },
        .writable = [](void*) {},
        .closed =
            [](void* user, const rig_error* error) {
              auto& peer = *static_cast<Peer*>(user);
              if (!peer.link.ending_) {
                give_up("the connection", error != nullptr ? error->detail : "it was closed");
              }
              peer.closed = true;
            }};
    return table;
  }

  rig_context* make_context(const std::string& library, TlsVersion version, bool server) {
    const Psk psk = test_psk();
    const bool tls = version != TlsVersion::none;
    rig_context_config config{};
    config.library = library.c_str();
    config.server = server ? 1 : 0;
    config.tls_min = config.tls_max = version == TlsVersion::tls12   ? RIG_TLS_1_2
                                      : version == TlsVersion::tls13 ? RIG_TLS_1_3
                                                                     : RIG_TLS_NONE;
    config.psk_identity = tls ? psk.identity.c_str() : nullptr;
    config.psk = tls ? psk.key.data() : nullptr;
    config.psk_bytes = tls ? psk.key.size() : 0;
    rig_context* context = nullptr;
    demand(layer_.context_create(&config, &context, &error_), "the context", error_);
    return context;
  }

  void turn() { demand(layer_.loop_turn(loop_, 1'000'000, &error_), "the loop", error_); }

  bool send(std::size_t bytes) {
    switch (layer_.send(client_.socket, ++token_, payload_.data(), bytes, 0, &error_)) {
      case RIG_SEND_COMPLETED:
        return true;
      case RIG_SEND_PENDING:
        ++client_.pending;
        return true;
      case RIG_SEND_REFUSED:
        break;
    }
    demand(error_.status == RIG_WOULD_BLOCK ? RIG_OK : error_.status, "a send", error_);
    return false;
  }

  const rig_subject& layer_;
  rig_loop* loop_ = nullptr;
  rig_context* contexts_[2] = {};
  Peer client_{.link = *this};
  Peer server_{.link = *this};
  bool ending_ = false;
  std::uint64_t token_ = 0;
  Bytes payload_;
  rig_error error_{};
};

}  // namespace

std::unique_ptr<Link> open_pair(Backend& backend, TlsVersion version) {
  return std::make_unique<PairLink>(backend, version);
}

std::unique_ptr<Link> open_layer(Backend& backend, TlsVersion version, bool fast_track) {
  return std::make_unique<LayerLink>(backend, version, fast_track);
}

}  // namespace rig::bench
