// What a layer over descriptors must not do to the process: its signals, its numbers.
#include <gtest/gtest.h>
#include <unistd.h>

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <string>
#include <vector>

#include "harness/subjects/direct/quiet_pipe.h"
#include "harness/subjects/direct/session.h"
#include "harness/subjects/direct/tcp.h"
#include "harness/subjects/direct/tests/ends.h"

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
