// The core over a session that does as it is told: which verb is called when, with what, and what the poller is asked.
#include "harness/subjects/direct/socket.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include <deque>
#include <string>
#include <vector>

namespace rig::direct {
namespace {

// Written is one call of write().
struct Written {
  const std::uint8_t* bytes;
  std::size_t size;
  friend bool operator==(const Written&, const Written&) = default;
};

// Script is what a ScriptedSession answers, and what it was asked. Without an answer a read waits for bytes, and a
// write takes all.
struct Script {
  NativeHandle handle;
  std::deque<Moved> reads;
  std::deque<Moved> writes;
  std::deque<Want> renegotiations;
  std::vector<Written> written;
  int reads_asked = 0;
  int renegotiations_asked = 0;
  bool notified = false;
  bool descriptor_lived = false;  // when the session was freed
};

class ScriptedSession final : public Session {
 public:
  explicit ScriptedSession(Script& script) : script_(script) {}
  ~ScriptedSession() override { script_.descriptor_lived = ::fcntl(number_of(script_.handle), F_GETFD) >= 0; }

  std::expected<Want, Error> handshake() noexcept override { return Want::nothing; }
  std::expected<Moved, Error> read(MutableBytes) noexcept override {
    ++script_.reads_asked;
    return next(script_.reads, Moved{.want = Want::read});
  }
  std::expected<Moved, Error> write(ByteView plain) noexcept override {
    script_.written.push_back({plain.data(), plain.size()});
    return next(script_.writes, Moved{.bytes = plain.size()});
  }
  std::expected<Want, Error> close_notify() noexcept override {
    script_.notified = true;
    return Want::nothing;
  }
  Status may_renegotiate() const noexcept override { return {}; }
  std::expected<Want, Error> renegotiate() noexcept override {
    ++script_.renegotiations_asked;
    return next(script_.renegotiations, Want::nothing);
  }
  Facts facts() const override { return {.tls_version = RIG_TLS_1_2, .cipher = "none"}; }

 private:
  template <class Answer>
  static Answer next(std::deque<Answer>& answers, Answer otherwise) {
    if (answers.empty()) {
      return otherwise;
    }
    const Answer answer = answers.front();
    answers.pop_front();
    return answer;
  }

  Script& script_;
};

// Seen is what the app was told.
struct Seen {
  std::vector<std::uint64_t> sent;
  bool connected = false;
  bool closed = false;
};

Seen& seen(void* user) {
  return *static_cast<Seen*>(user);
}

constexpr rig_socket_callbacks callbacks{
    .connected = [](void* user, const rig_error* error) { seen(user).connected = error == nullptr; },
    .data = [](void*, const std::uint8_t*, std::size_t) {},
    .ended = [](void*) {},
    .sent = [](void* user, std::uint64_t token, std::size_t, const rig_error*) { seen(user).sent.push_back(token); },
    .writable = [](void*) {},
    .closed = [](void* user, const rig_error*) { seen(user).closed = true; }};

class DirectSocket : public testing::Test {
 protected:
  DirectSocket() : DirectSocket(true) {}

  explicit DirectSocket(bool fast_track) : loop_(std::move(*Loop::make(fast_track))) {
    int pair[2];
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, pair), 0);
    script_.handle = NativeHandle(static_cast<std::uint64_t>(pair[0]));
    peer_ = Descriptor(NativeHandle(static_cast<std::uint64_t>(pair[1])));
    auto owned = std::make_unique<Socket>(*loop_,
                                          Socket::Parts{.descriptor = Descriptor(script_.handle),
                                                        .session = std::make_unique<ScriptedSession>(script_),
                                                        .library = &library_,
                                                        .server = true,
                                                        .place = nullptr,
                                                        .failure = {}},
                                          rig_socket_config{});
    socket_ = owned.get();
    socket_->adopt(callbacks, &seen_);
    loop_->add(std::move(owned));
    turn();
    EXPECT_TRUE(seen_.connected);
  }

  void turn() { EXPECT_TRUE(loop_->turn(0).has_value()); }
  short events() { return socket_->interest(0).events; }
  rig_send_result send(std::uint64_t token, const std::string& text) {
    return socket_->send(token, as_bytes(text), nullptr);
  }

  static constexpr Library library_{"scripted", 0, nullptr, nullptr};
  Script script_;
  Seen seen_;
  Descriptor peer_;
  std::unique_ptr<Loop> loop_;
  Socket* socket_ = nullptr;
};

class DirectSocketThroughPoller : public DirectSocket {
 protected:
  DirectSocketThroughPoller() : DirectSocket(false) {}
};

TEST_F(DirectSocket, a_read_that_wants_to_write_waits_for_writable_alone) {
  EXPECT_EQ(events(), POLLIN);
  script_.reads = {{.want = Want::write}};
  socket_->set_paused(false);
  turn();
  EXPECT_EQ(events(), POLLOUT);
  turn();  // writable: the read comes again, and wants to read
  EXPECT_EQ(events(), POLLIN);
}

TEST_F(DirectSocket, a_want_to_write_of_a_read_that_is_paused_is_not_polled_for) {
  script_.reads = {{.want = Want::write}};
  socket_->set_paused(false);
  turn();
  ASSERT_EQ(events(), POLLOUT);
  socket_->set_paused(true);
  EXPECT_EQ(events(), 0);
  const int before = script_.reads_asked;
  turn();
  EXPECT_EQ(script_.reads_asked, before);
}

TEST_F(DirectSocket, a_write_that_wants_to_read_waits_for_readable_alone_and_comes_again) {
  script_.writes = {{.want = Want::read}};
  EXPECT_EQ(send(1, "op"), RIG_SEND_PENDING);
  EXPECT_EQ(events(), POLLIN);
  turn();
  EXPECT_EQ(script_.written.size(), 1U);
  const char byte = 0;
  ASSERT_EQ(::send(number_of(peer_.handle()), &byte, 1, MSG_NOSIGNAL), 1);
  turn();
  EXPECT_EQ(script_.written.size(), 2U);
  EXPECT_EQ(seen_.sent, std::vector<std::uint64_t>{1});
}

TEST_F(DirectSocket, a_write_comes_again_with_the_same_bytes_in_the_same_place_while_the_queue_grows) {
  script_.writes = {{.want = Want::write}, {.want = Want::write}, {.bytes = 3}, {.want = Want::write}};
  ASSERT_EQ(send(1, "first op"), RIG_SEND_PENDING);
  for (std::uint64_t token = 2; token < 200; ++token) {
    ASSERT_EQ(send(token, std::string(100, 'x')), RIG_SEND_PENDING);
  }
  turn();
  turn();
  turn();
  ASSERT_GE(script_.written.size(), 5U);
  const Written first = script_.written[0];
  const Written rest{first.bytes + 3, first.size - 3};
  EXPECT_EQ(script_.written[1], first);
  EXPECT_EQ(script_.written[2], first);
  EXPECT_EQ(script_.written[3], rest);  // the library took a part: what is left is a new call, kept like the first
  EXPECT_EQ(script_.written[4], rest);
  EXPECT_EQ(seen_.sent.size(), 199U);
}

TEST_F(DirectSocket, a_graceful_close_says_so_and_ends_the_session_before_the_descriptor_is_closed) {
  script_.writes = {{.want = Want::write}};
  ASSERT_EQ(send(1, "op"), RIG_SEND_PENDING);
  socket_->close(RIG_CLOSE_GRACEFUL);
  EXPECT_FALSE(script_.notified);  // never over a write that is under way
  turn();
  EXPECT_TRUE(script_.notified);
  peer_.close();
  for (int turns = 0; turns < 100 && !seen_.closed; ++turns) {
    ASSERT_TRUE(loop_->turn(10'000).has_value());
  }
  EXPECT_TRUE(seen_.closed);
  EXPECT_TRUE(script_.descriptor_lived);
  EXPECT_LT(::fcntl(number_of(script_.handle), F_GETFD), 0);
}

TEST_F(DirectSocket, a_send_behind_one_that_is_blocked_waits_for_its_turn) {
  script_.writes = {{.want = Want::write}};
  EXPECT_EQ(send(1, "blocked"), RIG_SEND_PENDING);
  EXPECT_EQ(send(2, "behind"), RIG_SEND_PENDING);
  EXPECT_EQ(script_.written.size(), 1U);
  turn();
  EXPECT_EQ(seen_.sent, (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(DirectSocket, a_write_that_waits_for_the_reads_is_not_polled_for_and_comes_again_behind_one) {
  script_.writes = {{.want = Want::other}};
  EXPECT_EQ(send(1, "op"), RIG_SEND_PENDING);
  EXPECT_EQ(events(), POLLIN);
  socket_->set_paused(true);
  EXPECT_EQ(events(), 0);
  turn();
  EXPECT_EQ(script_.written.size(), 1U);
  socket_->set_paused(false);
  turn();
  EXPECT_EQ(script_.written.size(), 2U);
  EXPECT_EQ(seen_.sent, std::vector<std::uint64_t>{1});
}

TEST_F(DirectSocket, a_read_that_waits_for_the_write_comes_behind_the_op_and_ahead_of_the_next) {
  script_.writes = {{.want = Want::write}, {.want = Want::write}};
  script_.reads = {{.want = Want::other}};
  EXPECT_EQ(send(1, "first"), RIG_SEND_PENDING);
  EXPECT_EQ(send(2, "second"), RIG_SEND_PENDING);
  socket_->set_paused(false);
  turn();
  EXPECT_EQ(events(), POLLOUT) << "what there is to read is kept for later";
  const int before = script_.reads_asked;
  turn();
  EXPECT_EQ(seen_.sent, std::vector<std::uint64_t>{1});
  EXPECT_EQ(script_.reads_asked, before);
  turn();
  EXPECT_EQ(script_.reads_asked, before + 1);
  EXPECT_EQ(seen_.sent, (std::vector<std::uint64_t>{1, 2}));
}

TEST_F(DirectSocket, a_renegotiation_is_begun_in_a_turn_behind_the_op_that_is_under_way) {
  script_.writes = {{.want = Want::write}, {.want = Want::write}};
  script_.renegotiations = {Want::other};
  EXPECT_EQ(send(1, "op"), RIG_SEND_PENDING);
  ASSERT_TRUE(socket_->renegotiate().has_value());
  EXPECT_EQ(script_.renegotiations_asked, 0);
  EXPECT_EQ(socket_->renegotiate().error().code(), Code::invalid_state);
  turn();
  EXPECT_EQ(script_.renegotiations_asked, 1);
  turn();
  EXPECT_EQ(seen_.sent, std::vector<std::uint64_t>{1});
  EXPECT_EQ(script_.renegotiations_asked, 2);
  turn();
  EXPECT_EQ(script_.renegotiations_asked, 2);
}

TEST_F(DirectSocket, the_first_message_of_a_renegotiation_that_is_cut_makes_the_read_want_to_write) {
  script_.renegotiations = {Want::write};
  ASSERT_TRUE(socket_->renegotiate().has_value());
  turn();
  EXPECT_EQ(events(), POLLOUT);
}

TEST_F(DirectSocketThroughPoller, no_send_completes_at_once_without_a_fast_track) {
  EXPECT_EQ(send(1, "op"), RIG_SEND_PENDING);
  EXPECT_TRUE(script_.written.empty());
  EXPECT_EQ(events(), POLLIN | POLLOUT);
  turn();
  EXPECT_EQ(seen_.sent, std::vector<std::uint64_t>{1});
}

}  // namespace
}  // namespace rig::direct
