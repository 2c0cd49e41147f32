// What only the lab has: seeds, chosen descriptors, faults, refusals.
#include <set>

#include "harness/lab/kernel/kernel.h"
#include "harness/lab/kernel/state.h"
#include "harness/lab/kernel/tests/conformance.h"

namespace rig::lab {
namespace {

// echo_body is a server and two clients in three threads, over epoll.
void echo_body() {
  const Fd listener = listen_on(AF_INET, 4);
  const Target target = name_of(listener);
  const auto client = [&target](char letter) {
    const Fd end = connect_to(target);
    const std::string text(3000, letter);
    for (int i = 0; i < 5; ++i) {
      send_all(end, text);
      EXPECT_EQ(receive(end, text.size()), text);
    }
  };
  std::thread one(client, 'a');
  std::thread other(client, 'b');
  const Fd epoll = epoll_of(listener, EPOLLIN, static_cast<std::uint64_t>(static_cast<int>(listener)));
  for (int ended = 0; ended < 2;) {
    for (const epoll_event& event : epoll_now(epoll, -1)) {
      const int ready = static_cast<int>(event.data.u64);
      if (ready == listener) {
        const int server = ::accept4(listener, nullptr, nullptr, SOCK_NONBLOCK);
        epoll_event in{.events = EPOLLIN, .data = {.u64 = static_cast<std::uint64_t>(server)}};
        ASSERT_EQ(::epoll_ctl(epoll, EPOLL_CTL_ADD, server, &in), 0);
        continue;
      }
      char block[4096];
      const ssize_t count = ::read(ready, block, sizeof block);
      if (count <= 0) {
        ::close(ready);
        ++ended;
      } else {
        EXPECT_EQ(::write(ready, block, static_cast<std::size_t>(count)), count);
      }
    }
  }
  one.join();
  other.join();
}

Outcome echo(std::uint64_t seed, int first_descriptor = 1000) {
  Options options;
  options.seed = seed;
  options.first_descriptor = first_descriptor;
  return run(options, &echo_body);
}

TEST(Kernel, the_same_seed_is_the_same_run) {
  for (const std::uint64_t seed : {1U, 2U, 3U, 4U, 5U}) {
    const Outcome first = echo(seed);
    for (int i = 0; i < 50; ++i) {
      const Outcome again = echo(seed);
      ASSERT_EQ(again.schedule_hash, first.schedule_hash) << "seed " << seed;
      ASSERT_EQ(again.byte_hash, first.byte_hash) << "seed " << seed;
    }
  }
}

TEST(Kernel, other_seeds_are_other_runs) {
  std::set<std::uint64_t> hashes;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    hashes.insert(echo(seed).schedule_hash);
  }
  EXPECT_GT(hashes.size(), 90U);
}

TEST(Kernel, data_are_late_in_some_seeds_and_at_once_in_most) {
  int late = 0;
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    Options options;
    options.seed = seed;
    run(options, [&] {
      Tcp tcp = connected();
      bool at_once = true;
      for (int i = 0; i < 30; ++i) {
        send_all(tcp.client, "x");
        at_once = at_once && look(tcp.server, POLLIN) == POLLIN;
        receive(tcp.server, 1);
      }
      late += at_once ? 0 : 1;
    });
  }
  EXPECT_GT(late, 5);
  EXPECT_LT(late, 40);
}

TEST(Kernel, descriptors_begin_where_the_scenario_says) {
  for (const int first : {0, 1000, 70'000}) {
    Options options;
    options.first_descriptor = first;
    run(options, [first] {
      const Fd listener = listen_on(AF_INET);
      EXPECT_EQ(listener, first);
      const Fd client = connect_to(name_of(listener));
      EXPECT_EQ(client, first + 1);
      const Fd server(::accept(listener, nullptr, nullptr));
      EXPECT_EQ(server, first + 2);
      send_all(client, "x");
      EXPECT_EQ(receive(server, 1), "x");
      const Fd epoll = epoll_of(server, EPOLLOUT);
      EXPECT_EQ(epoll_now(epoll).size(), 1U);
    });
  }
}

TEST(Kernel, a_run_that_leaves_descriptors_open_is_followed_by_one_without) {
  for (int i = 0; i < 2; ++i) {
    run({}, [] {
      EXPECT_EQ(::eventfd(0, 0), Options{}.first_descriptor);
      EXPECT_EQ(kernel().descriptors.open(), 1U);
    });
  }
}

TEST(Kernel, a_minute_of_waiting_takes_no_time) {
  const Outcome outcome = run({}, [] {
    Tcp tcp = connected();
    pollfd one{.fd = tcp.client, .events = POLLIN, .revents = 0};
    EXPECT_EQ(::poll(&one, 1, 60'000), 0);
  });
  EXPECT_GE(outcome.virtual_ns, 60'000'000'000);
  EXPECT_LT(outcome.virtual_ns, 61'000'000'000);
}

TEST(Kernel, every_thread_gets_its_bytes_under_backpressure_in_any_order) {
  for (std::uint64_t seed = 1; seed <= 40; ++seed) {
    Options options;
    options.seed = seed;
    run(options, [] {
      Tcp tcp = connected(AF_INET, false, 4096);
      const std::string much(200'000, 'm');
      std::thread sending([&] {
        send_all(tcp.client, much);
        EXPECT_EQ(::shutdown(tcp.client, SHUT_WR), 0);
      });
      std::size_t taken = 0;
      char block[1000];
      for (ssize_t count = 1; count > 0; taken += static_cast<std::size_t>(count)) {
        count = ::recv(tcp.server, block, sizeof block, 0);
        ASSERT_GE(count, 0);
      }
      EXPECT_EQ(taken, much.size());
      sending.join();
    });
  }
}

using KernelDeath = testing::Test;

TEST(KernelDeath, a_receive_that_nothing_can_end_is_reported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run({},
                   [] {
                     Tcp tcp = connected(AF_INET, false);
                     char byte = 0;
                     ::recv(tcp.client, &byte, 1, 0);
                   }),
               "deadlock.*\n.*thread 0: waits in recv for socket 2 \\(127.0.0.1:.* to 127.0.0.1:");
}

TEST(KernelDeath, an_epoll_that_nothing_can_wake_is_reported) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run({},
                   [] {
                     const Fd bell(::eventfd(0, 0));
                     const Fd epoll = epoll_of(bell, EPOLLIN);
                     epoll_now(epoll, -1);
                   }),
               "deadlock.*\n.*waits in epoll_wait for epoll 2");
}

TEST(KernelDeath, what_has_no_model_is_refused_by_name) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(run({}, [] { ::socket(AF_UNIX, SOCK_STREAM, 0); }), "no model of socket");
  EXPECT_DEATH(run({}, [] { ::socket(AF_INET, SOCK_DGRAM, 0); }), "no model of socket");
  EXPECT_DEATH(run({},
                   [] {
                     const Fd bell(::eventfd(0, 0));
                     pollfd polls[2] = {{.fd = bell, .events = POLLIN, .revents = 0},
                                        {.fd = STDIN_FILENO, .events = POLLIN, .revents = 0}};
                     ::poll(polls, 2, 0);
                   }),
               "no model of poll: of virtual descriptors together");
  EXPECT_DEATH(run({},
                   [] {
                     const Fd inner(::epoll_create1(0));
                     epoll_of(inner, EPOLLIN);
                   }),
               "no model of epoll_ctl: an epoll within an epoll");
  EXPECT_DEATH(run({},
                   [] {
                     int value = 0;
                     socklen_t bytes = sizeof value;
                     const Fd end(::socket(AF_INET, SOCK_STREAM, 0));
                     ::getsockopt(end, IPPROTO_TCP, TCP_INFO, &value, &bytes);
                   }),
               "no model of getsockopt: option 11 of level 6");
}

}  // namespace
}  // namespace rig::lab
