// What the tests of the layer share: a receiver of callbacks that remembers, sockets over doubles, and sockets over
// the kernel. One thread turns the loops by hand.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "harness/engine/backend.h"
#include "harness/engine/null_backend.h"
#include "harness/socket/listener.h"
#include "harness/socket/loop.h"
#include "harness/socket/tests/layer_doubles.h"
#include "harness/socket/tests/transport_fixture.h"
#include "harness/socket/tls_socket.h"

namespace rig::test {

using Log = std::vector<std::string>;

// Recorder writes down each callback as a word: "connected", "connected:refused", "data:5", "ended", "sent:7",
// "sent:7:reset", "writable", "closed", "closed:aborted". A hook runs inside the callback, after it was written down.
class Recorder : public SocketEvents {
 public:
  void on_connected(const Error* error) override { note("connected" + suffix(error), at_connected); }
  void on_data(ByteView bytes) override {
    received += as_text(bytes);
    note("data:" + std::to_string(bytes.size()), at_data);
  }
  void on_ended() override { note("ended", at_ended); }
  void on_sent(const Completion& completion) override {
    sent.push_back(completion);
    const Error* const error = completion.error.has_value() ? &*completion.error : nullptr;
    note("sent:" + std::to_string(completion.token) + suffix(error), at_sent);
  }
  void on_writable() override { note("writable", at_writable); }
  void on_closed(const Error* error) override {
    note("closed" + suffix(error), at_closed);
    closed = true;
  }

  bool has(std::string_view word) const { return count(word) > 0; }
  std::size_t count(std::string_view word) const {
    return static_cast<std::size_t>(std::count(log.begin(), log.end(), word));
  }

  Log log;
  std::string received;
  std::vector<Completion> sent;
  bool closed = false;
  std::function<void()> at_connected, at_data, at_ended, at_sent, at_writable, at_closed;

 private:
  static std::string suffix(const Error* error) {
    return error == nullptr ? "" : ":" + std::string(code_name(error->code()));
  }
  void note(std::string word, const std::function<void()>& hook) {
    EXPECT_EQ(std::this_thread::get_id(), thread_) << word << " came on another thread";
    EXPECT_FALSE(closed) << word << " came after closed";
    log.push_back(std::move(word));
    if (const auto running = hook) {  // a copy: it may replace itself
      running();
    }
  }
  const std::thread::id thread_ = std::this_thread::get_id();
};

// DoubleEnd is one socket over doubles.
struct DoubleEnd {
  std::shared_ptr<FakeWire> wire;
  std::shared_ptr<EngineScript> engine = std::make_shared<EngineScript>();
  std::shared_ptr<TlsSocket> socket;
  Recorder events;

  auto send(Token token, std::string_view text, bool more = false) { return socket->send(token, as_bytes(text), more); }
};

// Doubles is a loop over a FakePoller and its sockets. When it dies it destroys them, and the loop must be empty.
class Doubles {
 public:
  explicit Doubles(bool fast_track) {
    auto fake = std::make_unique<FakePoller>();
    poller = fake.get();
    auto made = Loop::make(std::move(fake), fast_track);
    EXPECT_TRUE(made);
    loop = std::move(*made);
  }
  ~Doubles() {
    for (const auto& end : ends_) {
      if (end->socket != nullptr) {
        end->socket->destroy();
      }
    }
    turn();
    const LoopCounts left = loop->counts();
    EXPECT_EQ(left.open + left.connecting + left.handshaking + left.closing + left.undestroyed, 0U);
    EXPECT_EQ(left.registrations, 0U);
  }
  Doubles(const Doubles&) = delete;
  Doubles& operator=(const Doubles&) = delete;

  // make is a socket that is not started; its handle is `number`, or one of its own.
  DoubleEnd& make(Role role = Role::client, const SocketConfig& config = {}, std::uint64_t number = 0) {
    DoubleEnd& end = *ends_.emplace_back(std::make_unique<DoubleEnd>());
    end.wire = std::make_shared<FakeWire>(number != 0 ? number : 100 + ends_.size());
    poller->know(end.wire);
    auto made = TlsSocket::make(loop, make_fake_transport(end.wire), make_fake_engine(end.engine), role, config);
    EXPECT_TRUE(made);
    end.socket = std::move(*made);
    return end;
  }
  // open is a client that is connected and has nothing in its log.
  DoubleEnd& open(const SocketConfig& config = {}) {
    DoubleEnd& end = make(Role::client, config);
    EXPECT_TRUE(end.socket->start(&end.events));
    turn();
    EXPECT_EQ(end.events.log, Log{"connected"});
    forget(end);
    return end;
  }
  // forget empties what was written down so far.
  static void forget(DoubleEnd& end) {
    end.events.log.clear();
    end.wire->sent.clear();
    end.wire->sends = 0;
  }
  void turn() { EXPECT_TRUE(loop->turn(0)); }
  // turn_until turns as long as it takes for time to pass.
  template <typename Condition>
  void turn_until(Condition condition) {
    while (!condition()) {
      turn();
    }
  }

  FakePoller* poller = nullptr;
  std::shared_ptr<Loop> loop;

 private:
  std::vector<std::unique_ptr<DoubleEnd>> ends_;
};

inline std::string fast_name(const testing::TestParamInfo<bool>& info) {
  return info.param ? "fast_on" : "fast_off";
}

}  // namespace rig::test
