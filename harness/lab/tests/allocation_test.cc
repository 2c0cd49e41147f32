// Allocations: what counts, what fails, and that a run with a fault in it is repeated.
#include "harness/lab/allocation.h"

#include <gtest/gtest.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <memory>
#include <new>
#include <string>
#include <thread>
#include <vector>

#include "harness/lab/lab.h"

namespace rig::lab {
namespace {

Fault no_memory(std::uint64_t nth, bool sticky) {
  Fault fault;
  fault.number = 1;
  fault.kind = FaultKind::no_memory;
  fault.nth = nth;
  fault.sticky = sticky;
  return fault;
}

// Compilers may leave an allocation out whose result they know.
thread_local void* volatile kept = nullptr;

bool gets(void* memory) {
  kept = memory;
  const bool got = kept != nullptr;
  std::free(memory);
  return got;
}

bool gets_by_new() {
  try {
    int* const made = new int(1);
    kept = made;
    delete made;
    return true;
  } catch (const std::bad_alloc&) {
    return false;
  }
}

Outcome run_as_subject(const std::vector<Fault>& faults, const std::function<void()>& body) {
  Options options;
  options.faults = faults;
  return run(options, [&body] {
    const Acting subject(Party::subject);
    body();
  });
}

TEST(Allocation, every_function_of_the_heap_counts_once_and_fails_as_its_manual_says) {
  const auto aligned = [](std::size_t alignment) {
    void* memory = nullptr;
    const int result = posix_memalign(&memory, alignment, 64);
    EXPECT_EQ(result == 0, gets(memory));
    return result == 0;
  };
  const std::vector<std::function<bool()>> ways = {
      [] { return gets(std::malloc(10)); },
      [] { return gets(std::calloc(3, 4)); },
      [] { return gets(std::realloc(nullptr, 10)); },
      [] { return gets(reallocarray(nullptr, 3, 4)); },
      [] { return gets(std::aligned_alloc(64, 64)); },
      [] { return gets(memalign(64, 64)); },
      [&] { return aligned(64); },
      [] { return gets_by_new(); },
  };
  for (std::size_t i = 0; i < ways.size(); ++i) {
    bool first = false;
    bool second = false;
    int error = 0;
    const Outcome outcome = run_as_subject({no_memory(1, false)}, [&] {
      errno = 0;
      first = ways[i]();
      error = errno;
      second = ways[i]();
    });
    EXPECT_FALSE(first) << "way " << i;
    EXPECT_TRUE(second) << "way " << i;
    EXPECT_GE(outcome.allocations, 2U) << "way " << i;
    ASSERT_EQ(outcome.faults.size(), 1U) << "way " << i;
    EXPECT_EQ(outcome.faults[0].kind, FaultKind::no_memory);
    if (i < 6) {
      EXPECT_EQ(error, ENOMEM) << "way " << i;
    }
  }
}

TEST(Allocation, a_failed_realloc_leaves_the_old_block_as_it_was) {
  std::string seen;
  run_as_subject({no_memory(2, false)}, [&] {
    char* const block = static_cast<char*>(std::malloc(8));
    std::snprintf(block, 8, "whole");
    kept = block;
    void* const moved = std::realloc(block, 1 << 20);
    EXPECT_EQ(moved, nullptr);
    const Acting rig(Party::rig);
    seen = static_cast<const char*>(kept);
    std::free(kept);
  });
  EXPECT_EQ(seen, "whole");
}

TEST(Allocation, one_shot_strikes_once_and_sticky_from_there_on) {
  for (const bool sticky : {false, true}) {
    std::vector<bool> got;
    got.reserve(4);
    const Outcome outcome = run_as_subject({no_memory(2, sticky)}, [&] {
      for (int i = 0; i < 4; ++i) {
        got.push_back(gets(std::malloc(10)));
      }
    });
    EXPECT_EQ(got, (sticky ? std::vector{true, false, false, false} : std::vector{true, false, true, true}));
    EXPECT_EQ(outcome.faults, std::vector{no_memory(2, sticky)});
  }
}

TEST(Allocation, what_the_rig_allocates_is_neither_counted_nor_refused) {
  bool inside = true;
  bool called_back = false;
  bool behind = false;
  Options options;
  options.faults = {no_memory(1, true)};
  const Outcome outcome = run(options, [&] {
    behind = gets(std::malloc(10));
    {
      const Acting subject(Party::subject);
      inside = gets(std::malloc(10));
      const Acting rig(Party::rig);
      called_back = gets(std::malloc(10));
    }
    behind = behind && gets(std::malloc(10));
  });
  EXPECT_FALSE(inside);
  EXPECT_TRUE(called_back);
  EXPECT_TRUE(behind);
  EXPECT_EQ(outcome.allocations, 1U);
}

TEST(Allocation, what_the_lab_allocates_inside_a_call_is_not_the_subjects) {
  const Outcome outcome = run_as_subject({no_memory(1, true)}, [] {
    pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&mutex);
    pthread_mutex_unlock(&mutex);
    int pair[2];
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
    char byte = 'x';
    ASSERT_EQ(write(pair[0], &byte, 1), 1);
    ASSERT_EQ(read(pair[1], &byte, 1), 1);
    pollfd polled{.fd = pair[0], .events = POLLOUT, .revents = 0};
    ASSERT_EQ(poll(&polled, 1, 0), 1);
    fd_set writable;
    FD_ZERO(&writable);
    FD_SET(pair[0], &writable);
    timeval at_once{};
    ASSERT_EQ(select(pair[0] + 1, nullptr, &writable, nullptr, &at_once), 1);
    const int epoll = epoll_create1(0);
    epoll_event event{.events = EPOLLOUT, .data = {.fd = pair[0]}};
    ASSERT_EQ(epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event), 0);
    ASSERT_EQ(epoll_wait(epoll, &event, 1, 0), 1);
    close(epoll);
    close(pair[0]);
    close(pair[1]);
    pthread_t thread;
    ASSERT_EQ(pthread_create(&thread, nullptr, [](void* argument) { return argument; }, nullptr), 0);
    ASSERT_EQ(pthread_join(thread, nullptr), 0);
  });
  EXPECT_EQ(outcome.allocations, 0U);
}

TEST(Allocation, a_thread_begins_as_its_creator_is) {
  bool of_subject = true;
  bool of_rig = false;
  run_as_subject({no_memory(1, true)}, [&] {
    pthread_t thread;
    pthread_create(
        &thread, nullptr,
        [](void* got) -> void* {
          *static_cast<bool*>(got) = gets(std::malloc(10));
          return nullptr;
        },
        &of_subject);
    pthread_join(thread, nullptr);
    const Acting rig(Party::rig);
    std::thread([&] { of_rig = gets(std::malloc(10)); }).join();
  });
  EXPECT_FALSE(of_subject);
  EXPECT_TRUE(of_rig);
}

TEST(Allocation, outside_of_a_run_nothing_is_refused) {
  const Acting subject(Party::subject);
  EXPECT_TRUE(gets(std::malloc(10)));
  EXPECT_TRUE(gets_by_new());
}

[[gnu::noinline]] bool one_place() {
  return gets(std::malloc(10));
}

[[gnu::noinline]] bool other_place() {
  return gets(std::malloc(10));
}

TEST(Allocation, a_site_is_kept_once_with_the_number_of_its_first) {
  Options options;
  options.allocation_sites = true;
  const Outcome outcome = run(options, [] {
    const Acting subject(Party::subject);
    volatile int times = 3;  // a loop that is unrolled would be three places
    const int count = times;
    for (int i = 0; i < count; ++i) {
      one_place();
    }
    other_place();
  });
  EXPECT_EQ(outcome.allocations, 4U);
  ASSERT_EQ(outcome.allocation_sites.size(), 2U);
  EXPECT_EQ(outcome.allocation_sites[0].nth, 1U);
  EXPECT_EQ(outcome.allocation_sites[1].nth, 4U);
  EXPECT_GT(outcome.allocation_sites[0].frames.size(), 2U);
}

TEST(Allocation, the_same_seed_and_fault_are_the_same_run) {
  const auto body = [] {
    std::vector<std::thread> threads;
    for (int i = 0; i < 3; ++i) {
      threads.emplace_back([] {
        const Acting subject(Party::subject);
        for (int k = 0; k < 3; ++k) {
          if (!gets(std::malloc(10))) {
            std::this_thread::yield();
          }
        }
      });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  };
  Options options;
  options.seed = 7;
  const Outcome sound = run(options, body);
  options.faults = {no_memory(5, false)};
  const Outcome first = run(options, body);
  const Outcome second = run(options, body);
  EXPECT_EQ(sound.allocations, 9U);
  EXPECT_EQ(first.faults.size(), 1U);
  EXPECT_EQ(first.schedule_hash, second.schedule_hash);
  EXPECT_NE(first.schedule_hash, sound.schedule_hash);
}

}  // namespace
}  // namespace rig::lab
