// The contract of a Poller, asked of all three kinds: what is reported, and when a wait ends.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <pthread.h>

#include <atomic>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <limits>
#include <set>
#include <string_view>
#include <thread>

#include "harness/socket/tests/poller_fixture.h"

namespace rig {
namespace {

using namespace test;

class poller : public PollerTest {};

INSTANTIATE_TEST_SUITE_P(all, poller, testing::Values(PollerKind::epoll, PollerKind::poll, PollerKind::select),
                         kind_of);

TEST(poller_kind, names_and_kinds_are_inverse) {
  for (const PollerKind kind : {PollerKind::epoll, PollerKind::poll, PollerKind::select}) {
    EXPECT_EQ(poller_kind_from_name(poller_kind_name(kind)), kind);
  }
  EXPECT_FALSE(poller_kind_from_name("kqueue"));
  EXPECT_EQ(poller_kind_name(static_cast<PollerKind>(9)), "unknown");
  EXPECT_EQ(make_poller(static_cast<PollerKind>(9)).error().code(), Code::invalid_argument);
}

TEST_P(poller, says_its_kind_and_counts_its_registrations) {
  EXPECT_EQ(poller_->kind(), GetParam());
  EXPECT_EQ(poller_->registrations(), 0U);
  Pair pair;
  ASSERT_TRUE(poller_->add(pair.handle(0), 1, nothing));
  ASSERT_TRUE(poller_->add(pair.handle(1), 2, nothing));
  EXPECT_EQ(poller_->registrations(), 2U);
  ASSERT_TRUE(poller_->remove(pair.handle(0)));
  EXPECT_EQ(poller_->registrations(), 1U);
}

TEST_P(poller, reports_readable_with_handle_and_key) {
  Pair pair;
  ASSERT_TRUE(poller_->add(pair.handle(), 0xfedcba9876543210, read_only));
  EXPECT_TRUE(wait(0).empty());
  pair.write_from(1);
  const auto ready = wait(no_limit);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_EQ(ready[0].handle, pair.handle());
  EXPECT_EQ(ready[0].key, 0xfedcba9876543210);
  EXPECT_TRUE(ready[0].readable);
  EXPECT_FALSE(ready[0].writable);
  EXPECT_FALSE(ready[0].failed);
}

TEST_P(poller, reports_writable_and_both) {
  Pair pair;
  ASSERT_TRUE(poller_->add(pair.handle(), 1, both));
  auto ready = wait(no_limit);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_TRUE(ready[0].writable);
  EXPECT_FALSE(ready[0].readable);
  pair.write_from(1);
  ready = wait(no_limit);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_TRUE(ready[0].writable);
  EXPECT_TRUE(ready[0].readable);
}

TEST_P(poller, does_not_report_writable_when_the_buffer_is_full) {
  Pair pair;
  ASSERT_TRUE(poller_->add(pair.handle(), 1, write_only));
  const std::array<char, 4096> block{};
  while (::write(pair.descriptor(), block.data(), block.size()) > 0) {
  }
  EXPECT_EQ(errno, EAGAIN);
  EXPECT_TRUE(wait(0).empty());
}

TEST_P(poller, is_level_triggered) {
  Pair pair;
  ASSERT_TRUE(poller_->add(pair.handle(), 1, read_only));
  pair.write_from(1);
  EXPECT_EQ(wait(no_limit).size(), 1U);
  EXPECT_EQ(wait(no_limit).size(), 1U);
  pair.read_at(0);
  EXPECT_TRUE(wait(0).empty());
}

TEST_P(poller, follows_a_change_of_interest) {
  Pair pair;
  pair.write_from(1);
  ASSERT_TRUE(poller_->add(pair.handle(), 1, nothing));
  EXPECT_TRUE(wait(0).empty());
  ASSERT_TRUE(poller_->modify(pair.handle(), read_only));
  auto ready = wait(no_limit);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_TRUE(ready[0].readable);
  ASSERT_TRUE(poller_->modify(pair.handle(), write_only));
  ready = wait(no_limit);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_TRUE(ready[0].writable);
  EXPECT_FALSE(ready[0].readable);
  ASSERT_TRUE(poller_->modify(pair.handle(), nothing));
  EXPECT_TRUE(wait(0).empty());
}

TEST_P(poller, reports_a_hang_up_whatever_the_interest) {
  for (const Interest interest : {nothing, read_only, write_only, both}) {
    Pair pair;
    ASSERT_TRUE(poller_->add(pair.handle(), 1, interest));
    pair.close_end(1);
    const auto ready = wait(0);
    if (sees_failures()) {
      ASSERT_EQ(ready.size(), 1U);
      EXPECT_TRUE(ready[0].failed);
    } else if (interest == nothing) {
      EXPECT_TRUE(ready.empty());
    } else {
      ASSERT_EQ(ready.size(), 1U);
      EXPECT_EQ(ready[0].readable, interest.readable);
      EXPECT_EQ(ready[0].writable, interest.writable);
      EXPECT_FALSE(ready[0].failed);
    }
    ASSERT_TRUE(poller_->remove(pair.handle()));
  }
}

TEST_P(poller, reports_the_end_of_one_direction_as_readable_only) {
  Pair pair;
  ASSERT_TRUE(poller_->add(pair.handle(), 1, read_only));
  ASSERT_EQ(::shutdown(pair.descriptor(1), SHUT_WR), 0);
  const auto ready = wait(no_limit);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_TRUE(ready[0].readable);
  EXPECT_FALSE(ready[0].failed);
}

TEST_P(poller, reports_a_refused_connection_to_one_who_waits_to_write) {
  const int listener = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t bytes = sizeof address;
  ASSERT_EQ(::bind(listener, reinterpret_cast<sockaddr*>(&address), bytes), 0);
  ASSERT_EQ(::getsockname(listener, reinterpret_cast<sockaddr*>(&address), &bytes), 0);
  const int client = ::socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  ::connect(client, reinterpret_cast<sockaddr*>(&address), bytes);  // bound but not listening: refused
  ASSERT_TRUE(poller_->add(named(client), 1, write_only));
  const auto ready = wait(no_limit);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_TRUE(ready[0].writable);
  EXPECT_EQ(ready[0].failed, sees_failures());
  ASSERT_TRUE(poller_->remove(named(client)));
  ::close(client);
  ::close(listener);
}

TEST_P(poller, a_removed_handle_is_not_reported) {
  Pair pair;
  ASSERT_TRUE(poller_->add(pair.handle(), 1, read_only));
  pair.write_from(1);
  EXPECT_EQ(wait(no_limit).size(), 1U);
  ASSERT_TRUE(poller_->remove(pair.handle()));
  EXPECT_TRUE(wait(0).empty());
}

TEST_P(poller, a_handle_added_again_is_reported_under_its_new_key_only) {
  Pair pair;
  pair.write_from(1);
  for (std::uint64_t key = 1; key < 5; ++key) {
    ASSERT_TRUE(poller_->add(pair.handle(), key, read_only));
    const auto ready = wait(no_limit);
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_EQ(ready[0].key, key);
    ASSERT_TRUE(poller_->remove(pair.handle()));
  }
}

TEST_P(poller, a_descriptor_that_names_another_socket_now_is_reported_under_its_new_key_only) {
  Pair first;
  Pair second;
  first.write_from(1);
  // The socket lives on in a duplicate, and its descriptor is reused before it was removed: the worst of users.
  const int number = first.descriptor();
  const int alive = ::dup(number);
  ASSERT_TRUE(poller_->add(named(number), 1, read_only));
  ASSERT_EQ(::dup2(second.descriptor(), number), number);
  ASSERT_TRUE(poller_->remove(named(number)));
  ASSERT_TRUE(poller_->add(named(number), 2, read_only));
  EXPECT_TRUE(wait(0).empty());
  second.write_from(1);
  std::vector<Ready> ready = wait(no_limit);
  ASSERT_EQ(ready.size(), 1U);
  EXPECT_EQ(ready[0].key, 2U);
  ASSERT_TRUE(poller_->remove(named(number)));
  EXPECT_TRUE(wait(0).empty());
  ::close(alive);
}

TEST_P(poller, wake_ends_the_next_wait_once) {
  poller_->wake();
  EXPECT_TRUE(wait(no_limit).empty());
  EXPECT_EQ(poller_->registrations(), 0U);
  Pair pair;
  pair.write_from(1);
  ASSERT_TRUE(poller_->add(pair.handle(), 1, read_only));
  EXPECT_EQ(wait(no_limit).size(), 1U);
}

TEST_P(poller, a_thousand_wakes_add_up_to_one) {
  for (int i = 0; i < 1000; ++i) {
    poller_->wake();
  }
  const auto wait_start = std::chrono::steady_clock::now();
  EXPECT_TRUE(wait(no_limit).empty());
  EXPECT_TRUE(wait(2000).empty());  // nothing is left: the second wait lasts
  EXPECT_GE(std::chrono::steady_clock::now() - wait_start, std::chrono::milliseconds(2));
}

TEST_P(poller, wake_from_another_thread_ends_waits_without_a_limit) {
  constexpr int rounds = 200;
  std::atomic<int> returned = 0;
  std::thread waker([&] {
    for (int round = 0; round < rounds; ++round) {
      poller_->wake();
      while (returned <= round) {
        std::this_thread::yield();
      }
    }
  });
  for (int round = 0; round < rounds; ++round) {
    EXPECT_TRUE(wait(no_limit).empty());
    ++returned;
  }
  waker.join();
}

// sleeps is true while the thread `id` waits in the kernel: its state in /proc is S.
bool sleeps(pid_t id) {
  std::array<char, 512> text{};
  std::snprintf(text.data(), text.size(), "/proc/self/task/%d/stat", static_cast<int>(id));
  std::FILE* file = std::fopen(text.data(), "r");
  const std::size_t bytes = std::fread(text.data(), 1, text.size() - 1, file);
  std::fclose(file);
  const std::string_view line(text.data(), bytes);
  return line.substr(line.rfind(')') + 2, 1) == "S";
}

TEST_P(poller, wake_ends_a_wait_that_is_asleep) {
  const pid_t waiter_id = ::gettid();
  std::thread waker([&] {
    while (!sleeps(waiter_id)) {
      std::this_thread::yield();
    }
    poller_->wake();
  });
  EXPECT_TRUE(wait(no_limit).empty());
  waker.join();
}

TEST_P(poller, a_signal_ends_a_wait_with_nothing_to_report) {
  struct sigaction no_restart{};
  struct sigaction before{};
  no_restart.sa_handler = [](int) {};
  ASSERT_EQ(::sigaction(SIGUSR1, &no_restart, &before), 0);
  const pthread_t waiter = ::pthread_self();
  std::atomic<bool> returned = false;
  // A signal that comes before the system call ends nothing; one of many comes within it.
  std::thread sender([&] {
    while (!returned) {
      ::pthread_kill(waiter, SIGUSR1);
      std::this_thread::yield();
    }
  });
  EXPECT_TRUE(wait(no_limit).empty());
  returned = true;
  sender.join();
  EXPECT_EQ(::sigaction(SIGUSR1, &before, nullptr), 0);
}

TEST_P(poller, handles_that_do_not_fit_come_next_time) {
  constexpr std::size_t count = 30;
  std::vector<Pair> pairs(count);
  for (std::size_t i = 0; i < count; ++i) {
    pairs[i].write_from(1);
    ASSERT_TRUE(poller_->add(pairs[i].handle(), i, read_only));
  }
  for (const std::size_t room : {1U, 4U, 7U}) {
    std::multiset<std::uint64_t> keys;
    for (std::size_t turn = 0; turn < (count + room - 1) / room; ++turn) {
      for (const Ready& ready : wait(no_limit, room)) {
        keys.insert(ready.key);
      }
    }
    for (std::size_t i = 0; i < count; ++i) {
      EXPECT_GE(keys.count(i), 1U) << "handle " << i << " starved with room for " << room;
    }
  }
  EXPECT_EQ(wait(no_limit, 1000).size(), count);
}

TEST_P(poller, removal_of_others_makes_no_handle_miss_its_turn) {
  std::vector<Pair> pairs(6);
  for (std::size_t i = 0; i < pairs.size(); ++i) {
    pairs[i].write_from(1);
    ASSERT_TRUE(poller_->add(pairs[i].handle(), i, read_only));
  }
  std::vector<bool> reported(pairs.size());
  // One is reported and removed at a time: each of the six has its turn.
  for (std::size_t turn = 0; turn < pairs.size(); ++turn) {
    const auto ready = wait(no_limit, 1);
    ASSERT_EQ(ready.size(), 1U);
    EXPECT_FALSE(reported[ready[0].key]);
    reported[ready[0].key] = true;
    ASSERT_TRUE(poller_->remove(ready[0].handle));
  }
  EXPECT_TRUE(wait(0).empty());
}

TEST_P(poller, no_room_loses_nothing) {
  Pair pair;
  pair.write_from(1);
  ASSERT_TRUE(poller_->add(pair.handle(), 1, read_only));
  EXPECT_TRUE(wait(no_limit, 0).empty());
  EXPECT_EQ(wait(no_limit).size(), 1U);
}

TEST_P(poller, a_timeout_lasts_at_least_as_long_as_said) {
  for (const std::int64_t timeout_us : {1, 1500, 3000}) {
    const auto wait_start = std::chrono::steady_clock::now();
    EXPECT_TRUE(wait(timeout_us).empty());
    EXPECT_GE(std::chrono::steady_clock::now() - wait_start, std::chrono::microseconds(timeout_us));
  }
}

TEST_P(poller, the_longest_timeout_is_a_timeout_like_any_other) {
  poller_->wake();
  EXPECT_TRUE(wait(std::numeric_limits<std::int64_t>::max()).empty());
}

}  // namespace
}  // namespace rig
