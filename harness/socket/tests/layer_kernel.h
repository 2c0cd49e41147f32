// Sockets over the kernel: a listener and its clients on one loop that the test turns by hand.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "harness/engine/identities.h"
#include "harness/socket/tests/layer_fixture.h"

namespace rig::test {

// Wiring is what a Kernel is made of. A backend other than null speaks TLS with a pre-shared key.
struct Wiring {
  Backend* backend = &null_backend();
  TlsVersion version = TlsVersion::none;
  PollerKind poller = PollerKind::epoll;
  bool fast_track = true;
  std::string host = "127.0.0.1";
  ListenerConfig listener = {};
};

inline std::shared_ptr<const Context> psk_context(const Wiring& wiring, Role role, const Psk& psk) {
  ContextConfig config;
  config.role = role;
  config.version_min = config.version_max = wiring.version;
  config.psk = psk;
  const auto context = wiring.backend->make_context(config);
  EXPECT_TRUE(context) << context.error().detail();
  return context.value_or(nullptr);
}

// KernelEnd is one socket over the kernel.
struct KernelEnd {
  std::shared_ptr<TlsSocket> socket;
  Recorder events;

  auto send(Token token, std::string_view text, bool more = false) { return socket->send(token, as_bytes(text), more); }
};

// Kernel is a loop, a listener on it, and both ends of its connections. A wait has no limit: an event that is lost
// hangs the test. When it dies it destroys all, and the loop must be empty.
class Kernel : public ListenerEvents {
 public:
  explicit Kernel(Wiring wiring = {}) : wiring_(std::move(wiring)) {
    auto made = Loop::make(wiring_.poller, wiring_.fast_track);
    EXPECT_TRUE(made);
    loop = std::move(*made);
    client_context = psk_context(wiring_, Role::client, test_psk());
    server_context = psk_context(wiring_, Role::server, test_psk());
    auto opened = Listener::open(loop, server_context, {wiring_.host, 0}, wiring_.listener, *this);
    EXPECT_TRUE(opened) << opened.error().detail();
    listener = std::move(*opened);
    where = listener->local();
  }
  ~Kernel() override {
    if (listener != nullptr) {
      listener->close();
    }
    for (auto* const ends : {&clients, &servers}) {
      for (const auto& end : *ends) {
        end->socket->destroy();
      }
    }
    EXPECT_TRUE(loop->turn(0));
    const LoopCounts left = loop->counts();
    EXPECT_EQ(left.listeners + left.connecting + left.handshaking + left.open, 0U);
    EXPECT_EQ(left.closing + left.undestroyed + left.registrations, 0U);
  }
  Kernel(const Kernel&) = delete;
  Kernel& operator=(const Kernel&) = delete;

  void on_accepted(const std::shared_ptr<TlsSocket>& socket) override {
    if (adopts) {
      KernelEnd& end = *servers.emplace_back(std::make_unique<KernelEnd>());
      end.socket = socket;
      socket->adopt(end.events);
    }
    if (at_accepted) {
      at_accepted();
    }
  }

  // connect begins a client's connection to `peer`, or else to the listener.
  KernelEnd& connect(const SocketConfig& config = {}, const Endpoint* peer = nullptr) {
    KernelEnd& end = *clients.emplace_back(std::make_unique<KernelEnd>());
    auto made = TlsSocket::connect(loop, *client_context, {.host = "localhost", .resume = {}},
                                   peer != nullptr ? *peer : where, config, end.events);
    EXPECT_TRUE(made) << made.error().detail();
    end.socket = std::move(*made);
    return end;
  }
  // establish is a connection whose ends are both connected and have nothing in their logs.
  std::pair<KernelEnd&, KernelEnd&> establish(const SocketConfig& config = {}) {
    const std::size_t before = servers.size();
    KernelEnd& client = connect(config);
    turn_until([&] {
      return servers.size() > before && client.events.has("connected") && servers.back()->events.has("connected");
    });
    KernelEnd& server = *servers.back();
    client.events.log.clear();
    server.events.log.clear();
    return {client, server};
  }

  void turn() { ASSERT_TRUE(loop->turn(-1)); }
  template <typename Condition>
  void turn_until(Condition condition) {
    while (!condition()) {
      turn();
    }
  }
  // turn_without_waiting serves what is there, a few times over.
  void turn_without_waiting(int turns = 10) {
    for (int i = 0; i < turns; ++i) {
      ASSERT_TRUE(loop->turn(0));
    }
  }

  std::shared_ptr<Loop> loop;
  std::shared_ptr<const Context> client_context;
  std::shared_ptr<const Context> server_context;
  std::shared_ptr<Listener> listener;
  Endpoint where;
  std::vector<std::unique_ptr<KernelEnd>> clients;
  std::vector<std::unique_ptr<KernelEnd>> servers;
  bool adopts = true;
  std::function<void()> at_accepted;

 private:
  const Wiring wiring_;
};

}  // namespace rig::test
