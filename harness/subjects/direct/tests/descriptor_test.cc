// What a layer over descriptors must not do to the process: its signals, its numbers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>

#include "harness/engine/identities.h"
#include "harness/subjects/direct/direct.h"
#include "harness/subjects/direct/quiet_pipe.h"
#include "harness/subjects/direct/session.h"
#include "harness/subjects/direct/tcp.h"

namespace rig::direct {
namespace {

bool pipe_signal_pending() {
  sigset_t signals;
  return ::sigpending(&signals) == 0 && sigismember(&signals, SIGPIPE) == 1;
}

// A write into a pipe that nobody reads.
void write_in_vain() {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  ::close(ends[0]);
  const char byte = 0;
  EXPECT_EQ(::write(ends[1], &byte, 1), -1);
  EXPECT_EQ(errno, EPIPE);
  ::close(ends[1]);
}

TEST(QuietPipe, a_write_in_vain_leaves_neither_a_signal_nor_a_blocked_one) {
  std::signal(SIGPIPE, SIG_DFL);
  {
    const QuietPipe quiet;
    write_in_vain();
    EXPECT_TRUE(pipe_signal_pending());
  }
  EXPECT_FALSE(pipe_signal_pending());
  sigset_t blocked;
  ASSERT_EQ(::pthread_sigmask(SIG_BLOCK, nullptr, &blocked), 0);
  EXPECT_EQ(sigismember(&blocked, SIGPIPE), 0);
}

TEST(QuietPipe, a_signal_of_somebody_else_that_was_pending_stays_pending) {
  const QuietPipe of_the_app;
  std::raise(SIGPIPE);
  {
    const QuietPipe quiet;
    write_in_vain();
  }
  EXPECT_TRUE(pipe_signal_pending());
}

TEST(Handle, a_number_above_65535_stays_whole) {
  EXPECT_EQ(number_of(NativeHandle(70'003)), 70'003);
}

// Told counts what the app was told of both ends.
struct Told {
  int connected = 0;
  int ended = 0;
  int closed = 0;
  int reset = 0;
};

Told& told(void* user) {
  return *static_cast<Told*>(user);
}

constexpr rig_socket_callbacks callbacks{
    .connected = [](void* user, const rig_error* error) { told(user).connected += error == nullptr ? 1 : 0; },
    .data = [](void*, const std::uint8_t*, std::size_t) {},
    .ended = [](void* user) { ++told(user).ended; },
    .sent = [](void*, std::uint64_t, std::size_t, const rig_error*) {},
    .writable = [](void*) {},
    .closed =
        [](void* user, const rig_error* error) {
          ++told(user).closed;
          told(user).reset += error != nullptr && error->status == RIG_RESET ? 1 : 0;
        }};

// Ends is a client and a server on one loop, connected.
struct Ends : Told {
  explicit Ends(const char* library) {
    const Psk key = test_psk();
    const rig_loop_config loop_config{.poller = RIG_POLLER_POLL, .fast_track = 1};
    rig_context_config config{};
    config.library = library;
    config.tls_min = config.tls_max = RIG_TLS_1_2;
    config.psk_identity = key.identity.c_str();
    config.psk = key.key.data();
    config.psk_bytes = key.key.size();
    EXPECT_EQ(subject.context_create(&config, &client_context, nullptr), RIG_OK);
    config.server = 1;
    EXPECT_EQ(subject.context_create(&config, &server_context, nullptr), RIG_OK);
    EXPECT_EQ(subject.loop_create(&loop_config, &loop, nullptr), RIG_OK);
    const rig_socket_config socket_config{};
    const rig_listener_callbacks accepting{.accepted = [](void* user, rig_socket* socket) {
      Ends& ends = *static_cast<Ends*>(user);
      ends.server = socket;
      ends.subject.adopt(socket, &callbacks, static_cast<Told*>(&ends));
    }};
    rig_listener* listener = nullptr;
    EXPECT_EQ(
        subject.listen(loop, server_context, "127.0.0.1", 0, &socket_config, &accepting, this, &listener, nullptr),
        RIG_OK);
    EXPECT_EQ(subject.connect(loop, client_context, "127.0.0.1", subject.listener_port(listener), &socket_config,
                              &callbacks, static_cast<Told*>(this), &client, nullptr),
              RIG_OK);
    until([this] { return connected == 2; });
    subject.listener_close(listener);
  }
  ~Ends() {
    subject.destroy(client);
    subject.destroy(server);
    subject.loop_destroy(loop);
    subject.context_destroy(client_context);
    subject.context_destroy(server_context);
  }

  template <class Condition>
  void until(Condition&& condition) {
    for (int turns = 0; turns < 1000 && !condition(); ++turns) {
      ASSERT_EQ(subject.loop_turn(loop, 100'000, nullptr), RIG_OK);
    }
    ASSERT_TRUE(condition());
  }

  const rig_subject& subject = *direct_subject();
  rig_loop* loop = nullptr;
  rig_context* client_context = nullptr;
  rig_context* server_context = nullptr;
  rig_socket* client = nullptr;
  rig_socket* server = nullptr;
};

class DirectLibrary : public testing::TestWithParam<const Library*> {};

// A peer that has ended its stream and then resets makes the next send fail as a broken pipe, which would be a signal.
// The process dies of it as any other would: this test's disposition is the default one.
TEST_P(DirectLibrary, a_send_to_a_peer_that_ended_and_reset_fails_and_kills_nobody) {
  const auto send_in_vain = [](const char* library) {
    std::signal(SIGPIPE, SIG_DFL);
    Ends ends(library);
    ends.subject.half_close(ends.server, nullptr);
    ends.until([&ends] { return ends.ended == 1; });
    ends.subject.close(ends.server, RIG_CLOSE_ABORT, nullptr);
    ends.until([&ends] { return ends.closed == 1; });
    const std::uint8_t byte = 0;
    EXPECT_EQ(ends.subject.send(ends.client, 1, &byte, 1, 0, nullptr), RIG_SEND_PENDING);
    ends.until([&ends] { return ends.closed == 2; });
    EXPECT_EQ(ends.reset, 1);
  };
  EXPECT_EXIT(
      {
        send_in_vain(GetParam()->name);
        std::_Exit(testing::Test::HasFailure() ? 1 : 0);
      },
      testing::ExitedWithCode(0), "");
}

std::vector<const Library*> all() {
  return {libraries().begin(), libraries().end()};
}

INSTANTIATE_TEST_SUITE_P(All, DirectLibrary, testing::ValuesIn(all()),
                         [](const auto& library) { return std::string(library.param->name); });
GTEST_ALLOW_UNINSTANTIATED_PARAMETERIZED_TEST(DirectLibrary);

}  // namespace
}  // namespace rig::direct
