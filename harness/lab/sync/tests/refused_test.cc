// A call without a model ends the run with its name; its variants that cannot block pass.
#include <fcntl.h>
#include <netdb.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include <thread>

#include "harness/lab/sync/tests/runs.h"

namespace rig::lab {
namespace {

class RefusedDeathTest : public testing::Test {
 protected:
  void SetUp() override { GTEST_FLAG_SET(death_test_style, "threadsafe"); }
};

#define RIG_EXPECT_REFUSED(call, name) \
  EXPECT_DEATH(run({}, [] { static_cast<void>(call); }), "the lab has no model of " name)

TEST_F(RefusedDeathTest, signals_and_processes) {
  RIG_EXPECT_REFUSED(pause(), "pause");
  sigset_t set;
  sigemptyset(&set);
  int signal = 0;
  EXPECT_DEATH(run({}, [&] { sigwait(&set, &signal); }), "the lab has no model of sigwait");
  const timespec some_time{.tv_sec = 0, .tv_nsec = 1};
  EXPECT_DEATH(run({}, [&] { sigtimedwait(&set, nullptr, &some_time); }), "the lab has no model of sigtimedwait");
  EXPECT_DEATH(run({}, [&] { sigtimedwait(&set, nullptr, nullptr); }), "the lab has no model of sigtimedwait");
  RIG_EXPECT_REFUSED(wait(nullptr), "wait");
  RIG_EXPECT_REFUSED(waitpid(-1, nullptr, 0), "waitpid");
  RIG_EXPECT_REFUSED(fork(), "fork");
  RIG_EXPECT_REFUSED(alarm(1), "alarm");
}

TEST_F(RefusedDeathTest, cancellation_and_signals_to_threads) {
  EXPECT_DEATH(run({},
                   [] {
                     std::thread other([] {});
                     pthread_cancel(other.native_handle());
                   }),
               "the lab has no model of pthread_cancel");
  EXPECT_DEATH(run({},
                   [] {
                     std::thread other([] {});
                     pthread_kill(other.native_handle(), SIGUSR1);
                   }),
               "the lab has no model of pthread_kill");
  RIG_EXPECT_REFUSED(pthread_exit(nullptr), "pthread_exit");
}

TEST_F(RefusedDeathTest, names_that_a_network_resolves) {
  EXPECT_DEATH(run({},
                   [] {
                     addrinfo* result = nullptr;
                     getaddrinfo("host.invalid", "80", nullptr, &result);
                   }),
               "the lab has no model of getaddrinfo");
}

TEST_F(RefusedDeathTest, sources_of_randomness) {
  RIG_EXPECT_REFUSED(open("/dev/urandom", O_RDONLY), "open");
  RIG_EXPECT_REFUSED(fopen("/dev/random", "r"), "fopen");
}

TEST_F(RefusedDeathTest, bare_system_calls_say_their_number) {
  EXPECT_DEATH(run({}, [] { syscall(SYS_epoll_wait, -1, nullptr, 0, 0); }),
               "the lab has no model of syscall: number 232");
}

TEST(Refused, a_pending_signal_is_taken_back_without_waiting) {
  run({}, [] {
    sigset_t set;
    sigset_t before;
    sigemptyset(&set);
    sigaddset(&set, SIGPIPE);
    ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &set, &before), 0);
    ASSERT_EQ(raise(SIGPIPE), 0);
    const timespec at_once{};
    EXPECT_EQ(sigtimedwait(&set, nullptr, &at_once), SIGPIPE);
    EXPECT_EQ(sigtimedwait(&set, nullptr, &at_once), -1);
    EXPECT_EQ(pthread_sigmask(SIG_SETMASK, &before, nullptr), 0);
  });
}

TEST(Refused, what_cannot_block_passes) {
  run({}, [] {
    // A sanitizer's symbolizer may be a child by now.
    EXPECT_LE(waitpid(-1, nullptr, WNOHANG), 0);
    EXPECT_EQ(pthread_kill(pthread_self(), 0), 0);
    EXPECT_EQ(syscall(SYS_getuid), static_cast<long>(getuid()));
    for (const char* host : {"127.0.0.1", "::1", "fe80::1%lo"}) {
      addrinfo hints{};
      hints.ai_socktype = SOCK_STREAM;
      addrinfo* result = nullptr;
      EXPECT_EQ(getaddrinfo(host, "443", &hints, &result), 0) << host;
      if (result != nullptr) {
        char text[NI_MAXHOST] = "";
        EXPECT_EQ(getnameinfo(result->ai_addr, result->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST), 0);
        EXPECT_STREQ(text, host);
        freeaddrinfo(result);
      }
    }
    if (std::FILE* file = fopen("/proc/self/stat", "r")) {
      EXPECT_EQ(flock(fileno(file), LOCK_EX | LOCK_NB), 0);
      EXPECT_EQ(flock(fileno(file), LOCK_UN), 0);
      std::fclose(file);
    }
  });
}

}  // namespace
}  // namespace rig::lab
