// Running out of memory: what needs memory says so and leaves no trace; completing, failing and closing need none.
#include <gtest/gtest.h>

#include <array>

#include "harness/socket/tests/allocations.h"
#include "harness/socket/tests/layer_kernel.h"

namespace rig {
namespace {

using namespace test;

// Frugal events count and allocate nothing.
class Frugal final : public SocketEvents {
 public:
  void on_connected(const Error* error) override { ++(error == nullptr ? connected : refused); }
  void on_data(ByteView bytes) override { received += bytes.size(); }
  void on_ended() override {}
  void on_sent(const Completion& completion) override { ++(completion.error.has_value() ? failed : sent); }
  void on_writable() override {}
  void on_closed(const Error* error) override {
    ++closed;
    code = error == nullptr ? Code::clean_end : error->code();
  }
  int connected = 0, refused = 0, sent = 0, failed = 0, closed = 0;
  std::size_t received = 0;
  Code code = Code::internal;
};

class layer_memory : public testing::TestWithParam<bool> {
 protected:
  // open is a client of `kernel` with frugal events; its socket is told to use small buffers of the kernel.
  std::shared_ptr<TlsSocket> open(Kernel& kernel) {
    auto socket = TlsSocket::connect(kernel.loop, *kernel.client_context, {}, kernel.where,
                                     {.kernel_send_bytes = 8 * 1024, .kernel_recv_bytes = 8 * 1024}, events_);
    EXPECT_TRUE(socket);
    kernel.turn_until([&] { return events_.connected == 1 && !kernel.servers.empty(); });
    kernel.servers[0]->socket->adopt(peer_events_);
    return *socket;
  }
  static Wiring wiring() { return {.fast_track = GetParam()}; }
  Frugal events_;
  Frugal peer_events_;
};

INSTANTIATE_TEST_SUITE_P(, layer_memory, testing::Bool(), fast_name);

TEST_P(layer_memory, making_a_loop_says_no_memory_at_each_allocation) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  for (const PollerKind kind : {PollerKind::epoll, PollerKind::poll, PollerKind::select}) {
    std::uint64_t refusals = 0;
    for (bool made = false; !made; ++refusals) {
      const std::int64_t live = live_bytes();
      const FailingAllocations failing(refusals);
      const auto loop = Loop::make(kind, GetParam());
      made = loop.has_value();
      EXPECT_TRUE(made || loop.error().code() == Code::no_memory);
      EXPECT_TRUE(made || live_bytes() == live);
    }
    EXPECT_GT(refusals, 2U);
  }
}

TEST_P(layer_memory, a_connect_without_memory_leaves_no_trace_at_each_allocation) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  Kernel kernel(wiring());
  std::shared_ptr<TlsSocket> socket;
  std::uint64_t refusals = 0;
  for (; socket == nullptr; ++refusals) {
    const Endpoint where = kernel.where;
    {
      const FailingAllocations failing(refusals);
      if (auto made = TlsSocket::connect(kernel.loop, *kernel.client_context, {}, where, {}, events_)) {
        socket = std::move(*made);
        continue;
      } else {
        EXPECT_EQ(made.error().code(), Code::no_memory);
      }
    }
    const LoopCounts counts = kernel.loop->counts();
    EXPECT_EQ(counts.connecting + counts.handshaking + counts.closing + counts.undestroyed, 0U);
    EXPECT_EQ(counts.registrations, 1U);  // the listener's
  }
  EXPECT_GT(refusals, 4U);
  kernel.turn_until([&] { return events_.connected == 1; });
  EXPECT_EQ(events_.refused + events_.closed, 0);
  socket->destroy();
  kernel.turn_without_waiting();
}

TEST_P(layer_memory, opening_a_listener_says_no_memory_at_each_allocation) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  Kernel kernel(wiring());
  std::shared_ptr<Listener> listener;
  std::uint64_t refusals = 0;
  for (; listener == nullptr; ++refusals) {
    const Endpoint where{"127.0.0.1", 0};
    const FailingAllocations failing(refusals);
    if (auto opened = Listener::open(kernel.loop, kernel.server_context, where, {}, kernel)) {
      listener = std::move(*opened);
    } else {
      EXPECT_EQ(opened.error().code(), Code::no_memory);
      EXPECT_EQ(kernel.loop->counts().listeners, 1U);
      EXPECT_EQ(kernel.loop->counts().registrations, 1U);
    }
  }
  EXPECT_GT(refusals, 3U);
  listener->close();
}

TEST_P(layer_memory, a_connection_that_finds_no_memory_waits_or_is_dropped_and_holds_no_place) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  Kernel kernel(wiring());
  kernel.adopts = false;
  std::uint64_t refusals = 0;
  for (bool accepted = false; !accepted; ++refusals) {
    const auto peer = connect_tcp(kernel.where);
    ASSERT_TRUE(peer);
    const Listener::Counters before = kernel.listener->counters();
    const Listener::Counters& now = kernel.listener->counters();
    while (now.dropped + now.pauses_without_resources + now.accepted ==
           before.dropped + before.pauses_without_resources + before.accepted) {
      const FailingAllocations failing(refusals);
      static_cast<void>(kernel.loop->turn(-1));
    }
    accepted = now.accepted > before.accepted;
    if (!accepted && now.dropped == before.dropped) {  // it waits in the backlog
      kernel.turn_until([&] { return now.accepted > before.accepted; });
    }
    kernel.turn_without_waiting();
    EXPECT_EQ(kernel.listener->places_taken(), 0U);
  }
  EXPECT_GE(kernel.listener->counters().pauses_without_resources, 1U);
  EXPECT_GE(kernel.listener->counters().dropped, 3U);
}

TEST_P(layer_memory, a_send_without_memory_leaves_no_trace) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  Kernel kernel(wiring());
  const auto socket = open(kernel);
  const std::string text(1000, 'm');
  std::uint64_t refusals = 0;
  for (bool taken = false; !taken; ++refusals) {
    const FailingAllocations failing(refusals);
    const auto outcome = socket->send(1, as_bytes(text), false);
    taken = outcome.has_value();
    if (!taken) {
      EXPECT_EQ(outcome.error().code(), Code::no_memory);
      EXPECT_EQ(socket->info().ops_pending + socket->info().queued_bytes, 0U);
    }
  }
  EXPECT_EQ(refusals, 3U);  // the op and its bytes were refused once each
  kernel.turn_until([&] { return peer_events_.received == 1000; });
  EXPECT_EQ(events_.failed + events_.closed, 0);
  socket->destroy();
  kernel.turn_without_waiting();
}

TEST_P(layer_memory, completing_and_closing_gracefully_need_no_memory) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  Kernel kernel(wiring());
  const auto socket = open(kernel);
  EXPECT_TRUE(kernel.servers[0]->socket->pause());
  kernel.turn_without_waiting();
  for (Token token = 0; token < 10; ++token) {
    EXPECT_EQ(socket->send(token, as_bytes("hello"), true), SendOutcome::pending);
  }
  socket->close(CloseMode::graceful);
  {
    const FailingAllocations failing;
    while (events_.closed == 0) {
      static_cast<void>(kernel.loop->turn(-1));
    }
    socket->destroy();
    static_cast<void>(kernel.loop->turn(0));
  }
  EXPECT_EQ(events_.sent, 10);
  EXPECT_EQ(events_.code, Code::clean_end);
}

TEST_P(layer_memory, failing_and_aborting_need_no_memory) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  for (const bool by_peer : {true, false}) {
    events_ = peer_events_ = {};
    Kernel kernel(wiring());
    const auto socket = open(kernel);
    EXPECT_TRUE(kernel.servers[0]->socket->pause());
    kernel.turn_without_waiting();
    const std::string block(64 * 1024, 'f');
    for (Token token = 0; token < 100; ++token) {
      EXPECT_TRUE(socket->send(token, as_bytes(block), false));
    }
    kernel.turn_without_waiting();
    const int before = events_.sent;
    if (by_peer) {
      kernel.servers[0]->socket->close(CloseMode::abort);
      kernel.turn_until([&] { return peer_events_.closed == 1; });
    } else {
      socket->close(CloseMode::abort);
    }
    {
      const FailingAllocations failing;
      while (events_.closed == 0) {
        static_cast<void>(kernel.loop->turn(-1));
      }
      socket->destroy();
      static_cast<void>(kernel.loop->turn(0));
    }
    EXPECT_GT(events_.failed, 0);
    EXPECT_GE(events_.sent, before);
    EXPECT_EQ(events_.code, by_peer ? Code::reset : Code::aborted);
  }
}

}  // namespace
}  // namespace rig
