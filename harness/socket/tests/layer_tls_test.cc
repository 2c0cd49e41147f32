// The layer with every TLS library of the build: handshakes that fail, ends of all kinds, and bytes that arrive whole.
#include <gtest/gtest.h>

#include <tuple>

#include "harness/base/prng.h"
#include "harness/socket/tests/layer_kernel.h"

namespace rig {
namespace {

using namespace test;

struct Cell {
  Backend* backend;
  TlsVersion version;
};

std::vector<Cell> tls_cells() {
  std::vector<Cell> cells;
  for (Backend* const backend : backends()) {
    const Capabilities& can = backend->capabilities();
    if (can.psk && can.tls12) {
      cells.push_back({backend, TlsVersion::tls12});
    }
    if (can.psk && can.tls13) {
      cells.push_back({backend, TlsVersion::tls13});
    }
  }
  return cells;
}

std::vector<Cell> all_cells() {
  std::vector<Cell> cells = tls_cells();
  cells.push_back({&null_backend(), TlsVersion::none});
  return cells;
}

std::string cell_name(const Cell& cell) {
  const std::string name(cell.backend->name());
  return cell.version == TlsVersion::none ? name : name + (cell.version == TlsVersion::tls12 ? "_tls12" : "_tls13");
}

class layer_tls : public testing::TestWithParam<std::tuple<Cell, PollerKind, bool>> {
 protected:
  static Wiring wiring() {
    const auto& [cell, poller, fast_track] = GetParam();
    return {.backend = cell.backend, .version = cell.version, .poller = poller, .fast_track = fast_track};
  }
};

INSTANTIATE_TEST_SUITE_P(, layer_tls,
                         testing::Combine(testing::ValuesIn(all_cells()),
                                          testing::Values(PollerKind::epoll, PollerKind::poll, PollerKind::select),
                                          testing::Bool()),
                         [](const auto& at) {
                           return cell_name(std::get<0>(at.param)) + "_" +
                                  std::string(poller_kind_name(std::get<1>(at.param))) +
                                  (std::get<2>(at.param) ? "_fast_on" : "_fast_off");
                         });

std::string pattern(std::size_t bytes, Token salt) {
  std::string text(bytes, '\0');
  for (std::size_t i = 0; i < bytes; ++i) {
    text[i] = static_cast<char>(mix64(i / 7 + salt) >> 56);
  }
  return text;
}

TEST_P(layer_tls, ops_of_all_sizes_arrive_whole_and_complete_once_in_both_directions) {
  Kernel kernel(wiring());
  auto [client, server] = kernel.establish();
  EXPECT_EQ(client.socket->info().facts.version, wiring().version);
  std::string expected;
  std::size_t pending = 0;
  Token token = 0;
  for (const std::size_t bytes : {0, 1, 16383, 16384, 16385, 0, 65537, 5, 300'000, 0}) {
    const std::string text = pattern(bytes, token);
    expected += text;
    for (KernelEnd* const end : {&client, &server}) {
      const auto outcome = end->send(token, text);
      ASSERT_TRUE(outcome);
      pending += *outcome == SendOutcome::pending ? 1 : 0;
    }
    ++token;
  }
  kernel.turn_until([&, &a = client, &b = server] {
    return a.events.received.size() >= expected.size() && b.events.received.size() >= expected.size() &&
           a.socket->info().ops_pending + b.socket->info().ops_pending == 0;
  });
  kernel.turn_without_waiting();
  EXPECT_EQ(client.events.received, expected);
  EXPECT_EQ(server.events.received, expected);
  EXPECT_EQ(client.events.sent.size() + server.events.sent.size(), pending);
  if (!wiring().fast_track) {
    EXPECT_EQ(pending, 2 * token);
  }
  for (const Completion& completion : client.events.sent) {
    EXPECT_FALSE(completion.error.has_value());
  }
}

TEST_P(layer_tls, both_sides_end_in_the_orderly_way) {
  Kernel kernel(wiring());
  auto [client, server] = kernel.establish();
  EXPECT_TRUE(server.send(1, "last words"));
  EXPECT_TRUE(server.socket->half_close());
  kernel.turn_until([&, &to = client] { return to.events.has("ended"); });
  EXPECT_EQ(client.events.received, "last words");
  EXPECT_TRUE(client.send(1, "still here"));
  client.socket->close(CloseMode::graceful);
  kernel.turn_until([&, &a = client, &b = server] { return a.events.closed && b.events.closed; });
  EXPECT_EQ(server.events.received, "still here");
  EXPECT_EQ(client.events.log.back(), "closed");
  EXPECT_EQ(server.events.log.back(), "closed");
  EXPECT_EQ(server.events.count("ended"), 1U);
}

TEST_P(layer_tls, an_abort_is_a_reset_for_the_peer) {
  Kernel kernel(wiring());
  auto [client, server] = kernel.establish();
  client.socket->close(CloseMode::abort);
  kernel.turn_until([&, &a = client, &b = server] { return a.events.closed && b.events.closed; });
  EXPECT_EQ(client.events.log, Log{"closed:aborted"});
  EXPECT_EQ(server.events.log, Log{"closed:reset"});
}

TEST_P(layer_tls, what_was_paused_inside_data_comes_with_resume_and_no_new_input) {
  Kernel kernel(wiring());
  auto [client, server] = kernel.establish();
  EXPECT_TRUE(server.socket->pause());
  kernel.turn_without_waiting();
  for (Token token = 0; token < 5; ++token) {
    EXPECT_TRUE(client.send(token, pattern(1000, token), token < 4));
  }
  kernel.turn_until([&, &from = client] { return from.socket->info().ops_pending == 0; });
  server.events.at_data = [&, &to = server] { EXPECT_TRUE(to.socket->pause()); };
  std::size_t deliveries = 0;
  while (server.events.received.size() < 5000) {
    EXPECT_TRUE(server.socket->resume());
    ++deliveries;
    kernel.turn_until([&, &to = server] { return to.events.log.size() == deliveries; });
    kernel.turn_without_waiting();
    EXPECT_EQ(server.events.log.size(), deliveries);  // and not more than one of them
  }
  for (Token token = 0; token < 5; ++token) {
    EXPECT_EQ(server.events.received.substr(token * 1000, 1000), pattern(1000, token));
  }
}

class layer_handshake : public testing::TestWithParam<Cell> {
 protected:
  static Wiring wiring() { return {.backend = GetParam().backend, .version = GetParam().version}; }
  static std::size_t failures(const Recorder& events) {
    return static_cast<std::size_t>(std::count_if(events.log.begin(), events.log.end(),
                                                  [](const auto& word) { return word.starts_with("connected:"); }));
  }
  // expect_failed_once expects one connected(error), then closed with the same, and nothing else.
  static void expect_failed_once(const Recorder& events) {
    EXPECT_EQ(failures(events), 1U);
    ASSERT_EQ(events.log.size(), 2U);
    EXPECT_EQ(events.log[1], "closed" + events.log[0].substr(std::string_view("connected").size()));
  }
  // meet is a client that has met the raw peer `peer` in the middle of its handshake, or at its deadline: this thread
  // may get no turn before that.
  KernelEnd& meet(Kernel& kernel, Acceptor& acceptor, std::unique_ptr<Transport>& peer) {
    KernelEnd& client = kernel.connect(config_, &*std::make_unique<Endpoint>(*acceptor.local_endpoint()));
    kernel.turn_until([&] { return kernel.loop->counts().handshaking == 1 || client.events.closed; });
    until(acceptor.handle(), POLLIN);
    peer = std::move(*acceptor.accept());
    until_readable(*peer);
    return client;
  }
  SocketConfig config_;
};

INSTANTIATE_TEST_SUITE_P(, layer_handshake, testing::ValuesIn(tls_cells()),
                         [](const auto& at) { return cell_name(at.param); });

TEST_P(layer_handshake, a_wrong_key_fails_both_sides_once) {
  Kernel kernel(wiring());
  Psk wrong = test_psk();
  wrong.key[0] ^= 1;
  kernel.client_context = psk_context(wiring(), Role::client, wrong);
  KernelEnd& client = kernel.connect();
  EXPECT_EQ(client.send(1, "secret"), SendOutcome::pending);
  kernel.turn_until(
      [&] { return client.events.closed && !kernel.servers.empty() && kernel.servers[0]->events.closed; });
  expect_failed_once(kernel.servers[0]->events);
  EXPECT_EQ(kernel.servers[0]->events.received, "");
  ASSERT_EQ(client.events.log.size(), 3U);
  EXPECT_TRUE(client.events.sent[0].error.has_value());
  client.events.log.erase(client.events.log.begin());
  expect_failed_once(client.events);
}

TEST_P(layer_handshake, garbage_fails_a_server_once) {
  Kernel kernel(wiring());
  auto peer = connect_tcp(kernel.where);
  ASSERT_TRUE(peer);
  kernel.turn_until([&] { return kernel.servers.size() == 1; });
  ASSERT_TRUE(send_text(**peer, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"));
  kernel.turn_until([&] { return kernel.servers[0]->events.closed; });
  expect_failed_once(kernel.servers[0]->events);
}

TEST_P(layer_handshake, garbage_fails_a_client_once) {
  Kernel kernel(wiring());
  const auto acceptor = listen_tcp({"127.0.0.1", 0}, 1);
  std::unique_ptr<Transport> peer;
  KernelEnd& client = meet(kernel, **acceptor, peer);
  ASSERT_TRUE(send_text(*peer, "HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n"));
  kernel.turn_until([&] { return client.events.closed; });
  expect_failed_once(client.events);
}

TEST_P(layer_handshake, a_fin_in_the_handshake_is_a_truncation_on_either_side) {
  Kernel kernel(wiring());
  const auto acceptor = listen_tcp({"127.0.0.1", 0}, 1);
  std::unique_ptr<Transport> peer;
  KernelEnd& client = meet(kernel, **acceptor, peer);
  ASSERT_TRUE(peer->shutdown_send());
  kernel.turn_until([&] { return client.events.closed; });
  EXPECT_EQ(client.events.log, (Log{"connected:truncated", "closed:truncated"}));
  auto other = connect_tcp(kernel.where);
  kernel.turn_until([&] { return kernel.servers.size() == 1; });
  ASSERT_TRUE((*other)->shutdown_send());
  kernel.turn_until([&] { return kernel.servers[0]->events.closed; });
  EXPECT_EQ(kernel.servers[0]->events.log, (Log{"connected:truncated", "closed:truncated"}));
}

TEST_P(layer_handshake, a_reset_in_the_handshake_is_a_reset) {
  Kernel kernel(wiring());
  const auto acceptor = listen_tcp({"127.0.0.1", 0}, 1);
  std::unique_ptr<Transport> peer;
  KernelEnd& client = meet(kernel, **acceptor, peer);
  peer->close(true);
  kernel.turn_until([&] { return client.events.closed; });
  EXPECT_EQ(client.events.log, (Log{"connected:reset", "closed:reset"}));
}

TEST_P(layer_handshake, a_silent_peer_meets_the_deadline) {
  Kernel kernel(wiring());
  const auto acceptor = listen_tcp({"127.0.0.1", 0}, 1);
  config_.handshake_timeout_us = 20'000;
  const std::int64_t began_us = Loop::now_us();
  std::unique_ptr<Transport> peer;
  KernelEnd& client = meet(kernel, **acceptor, peer);
  kernel.turn_until([&] { return client.events.closed; });
  EXPECT_GE(Loop::now_us() - began_us, 20'000);
  EXPECT_EQ(client.events.log, (Log{"connected:timeout", "closed:timeout"}));
}

TEST_P(layer_handshake, an_abort_or_a_destroy_in_the_handshake_is_reported_once) {
  for (const bool destroy : {false, true}) {
    Kernel kernel(wiring());
    const auto acceptor = listen_tcp({"127.0.0.1", 0}, 1);
    std::unique_ptr<Transport> peer;
    KernelEnd& client = meet(kernel, **acceptor, peer);
    if (destroy) {
      client.socket->destroy();
    } else {
      client.socket->close(CloseMode::abort);
    }
    ASSERT_TRUE(kernel.loop->turn(0));
    EXPECT_EQ(client.events.log, (Log{"connected:aborted", "closed:aborted"}));
  }
}

TEST_P(layer_handshake, a_fin_without_goodbye_is_a_truncation) {
  Kernel kernel(wiring());
  auto transport = connect_tcp(kernel.where);
  ASSERT_TRUE(transport);
  Transport* const below = transport->get();
  auto engine = kernel.client_context->make_engine({.host = "localhost", .resume = {}});
  ASSERT_TRUE(engine);
  KernelEnd& client = *kernel.clients.emplace_back(std::make_unique<KernelEnd>());
  client.socket = *TlsSocket::make(kernel.loop, std::move(*transport), std::move(*engine), Role::client, {});
  ASSERT_TRUE(client.socket->start(&client.events));
  kernel.turn_until([&] {
    return client.events.has("connected") && !kernel.servers.empty() && kernel.servers[0]->events.has("connected");
  });
  ASSERT_TRUE(below->shutdown_send());
  kernel.turn_until([&] { return kernel.servers[0]->events.closed; });
  EXPECT_EQ(kernel.servers[0]->events.log, (Log{"connected", "closed:truncated"}));
}

}  // namespace
}  // namespace rig
