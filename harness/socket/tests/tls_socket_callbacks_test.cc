// What an app does inside its callbacks, over doubles: ends and destroys its own socket, and others.
#include <gtest/gtest.h>

#include <tuple>

#include "harness/socket/tests/layer_fixture.h"

namespace rig {
namespace {

using namespace test;

constexpr const char* callbacks[] = {"connected", "data", "ended", "sent", "writable", "closed"};
enum class Deed : std::uint8_t { destroy, abort, graceful };
constexpr const char* deeds[] = {"destroy", "abort", "graceful"};

// Each callback, each deed, with fast track and without.
class tls_socket_callbacks : public testing::TestWithParam<std::tuple<std::size_t, Deed, bool>> {
 protected:
  std::string_view callback() const { return callbacks[std::get<0>(GetParam())]; }
  Deed deed() const { return std::get<1>(GetParam()); }

  static std::function<void()>& hook(Recorder& events, std::string_view name) {
    std::function<void()>* const hooks[] = {&events.at_connected, &events.at_data,     &events.at_ended,
                                            &events.at_sent,      &events.at_writable, &events.at_closed};
    return *hooks[std::find(std::begin(callbacks), std::end(callbacks), name) - std::begin(callbacks)];
  }
  void commit(TlsSocket& socket) const {
    if (deed() == Deed::destroy) {
      socket.destroy();
    } else {
      socket.close(deed() == Deed::abort ? CloseMode::abort : CloseMode::graceful);
    }
  }
  // provoke makes every callback come, in one turn as far as possible.
  void provoke(DoubleEnd& end) {
    end.wire->room = 0;
    EXPECT_TRUE(end.send(1, "a"));
    EXPECT_TRUE(end.send(2, "b"));
    EXPECT_EQ(code_of(end.send(3, "c")), Code::would_block);
    doubles_.turn();
    end.wire->input = "xxryy!";
    end.wire->fin = true;
    end.wire->room = no_limit_bytes;
    doubles_.turn();
    doubles_.turn();
    if (!end.events.closed) {
      end.socket->close(CloseMode::abort);
    }
    doubles_.turn();
    EXPECT_TRUE(end.events.closed);
  }
  static void expect_lawful(const DoubleEnd& end) {
    EXPECT_EQ(end.events.count("connected") + end.events.count("connected:aborted"), 1U);
    EXPECT_EQ(end.events.log.back().substr(0, 6), "closed");
    EXPECT_LE(end.events.sent.size(), 2U);
    EXPECT_EQ(end.socket->info().ops_pending, 0U);
  }
  Doubles doubles_{std::get<2>(GetParam())};
};

INSTANTIATE_TEST_SUITE_P(, tls_socket_callbacks,
                         testing::Combine(testing::Range<std::size_t>(0, std::size(callbacks)),
                                          testing::Values(Deed::destroy, Deed::abort, Deed::graceful), testing::Bool()),
                         [](const auto& at) {
                           return std::string(callbacks[std::get<0>(at.param)]) + "_" +
                                  deeds[static_cast<std::size_t>(std::get<1>(at.param))] +
                                  (std::get<2>(at.param) ? "_fast_on" : "_fast_off");
                         });

TEST_P(tls_socket_callbacks, a_socket_may_be_ended_inside_its_own) {
  DoubleEnd& end = doubles_.make(Role::client, {.limits = {.ops_max = 2}});
  bool reached = false;
  hook(end.events, callback()) = [&] {
    reached = true;
    commit(*end.socket);
  };
  ASSERT_TRUE(end.socket->start(&end.events));
  if (callback() == "connected") {
    doubles_.turn();
    doubles_.turn();
    EXPECT_EQ(end.events.log.size(), 2U);
  } else {
    doubles_.turn();
    provoke(end);
  }
  EXPECT_TRUE(reached);
  expect_lawful(end);
  EXPECT_EQ(doubles_.loop->counts().undestroyed, deed() == Deed::destroy ? 0U : 1U);
}

// The other one is older, so that the poller reports it first, or younger; its report of the same wait may come after.
TEST_P(tls_socket_callbacks, another_socket_may_be_ended_inside) {
  for (const bool older : {true, false}) {
    DoubleEnd* other = older ? &doubles_.open({.limits = {.ops_max = 2}}) : nullptr;
    DoubleEnd& end = doubles_.make(Role::client, {.limits = {.ops_max = 2}});
    bool reached = false;
    hook(end.events, callback()) = [&] {
      if (!std::exchange(reached, true) && other != nullptr) {
        commit(*other->socket);
      }
    };
    other = older ? other : &doubles_.open({.limits = {.ops_max = 2}});
    other->wire->room = 0;
    EXPECT_EQ(other->send(1, "p"), SendOutcome::pending);
    doubles_.turn();
    other->wire->input = "also ready";
    ASSERT_TRUE(end.socket->start(&end.events));
    doubles_.turn();
    provoke(end);
    EXPECT_TRUE(reached);
    expect_lawful(end);
    other->wire->room = no_limit_bytes;
    doubles_.turn_until([&] { return other->events.closed; });
    EXPECT_EQ(other->events.sent.size(), 1U);
    EXPECT_EQ(other->events.log.back(), deed() == Deed::graceful ? "closed" : "closed:aborted");
    end.socket->destroy();
    other->socket->destroy();
    doubles_.turn();
  }
}

TEST_P(tls_socket_callbacks, a_socket_may_be_started_inside) {
  DoubleEnd& end = doubles_.make(Role::client, {.limits = {.ops_max = 2}});
  DoubleEnd* fresh = nullptr;
  hook(end.events, callback()) = [&] {
    if (fresh == nullptr) {
      commit(*end.socket);
      fresh = &doubles_.make();
      EXPECT_TRUE(fresh->socket->start(&fresh->events));
    }
  };
  ASSERT_TRUE(end.socket->start(&end.events));
  doubles_.turn();
  if (callback() != "connected") {
    provoke(end);
  }
  ASSERT_NE(fresh, nullptr);
  doubles_.turn();
  doubles_.turn();
  EXPECT_EQ(fresh->events.log, Log{"connected"});
}

}  // namespace
}  // namespace rig
