#include "harness/oracle/hygiene_probe.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <cstdio>
#include <string>
#include <thread>
#include <vector>

namespace rig {
namespace {

// A thread's queue of error numbers, as OpenSSL has one.
thread_local std::vector<std::uint64_t> fake_queue;
thread_local std::uint64_t other_error = 0;

const AmbientSource fake_source{"fake error queue",
                                [](char* sentence, std::uint64_t sentence_bytes) -> std::uint64_t {
                                  if (fake_queue.empty()) {
                                    return 0;
                                  }
                                  std::snprintf(sentence, sentence_bytes, "routine %u gave up",
                                                static_cast<unsigned>(fake_queue.back()));
                                  return fake_queue.back();
                                },
                                [] { fake_queue.clear(); }};

const AmbientSource other_source{"other error", [](char*, std::uint64_t) -> std::uint64_t { return other_error; },
                                 [] { other_error = 0; }};

class HygieneProbeTest : public testing::Test {
 protected:
  HygieneProbeTest() {
    register_ambient_source(fake_source);
    register_ambient_source(other_source);
  }

  ViolationLog log_;
  HygieneProbe probe_{"client 1", log_};
};

TEST_F(HygieneProbeTest, ACleanThreadIsSilent) {
  probe_.after("send");
  EXPECT_EQ(log_.count(), 0u);
}

TEST_F(HygieneProbeTest, ALeftEntryIsReportedOnceAndCleared) {
  fake_queue = {7, 0x23};
  probe_.after("send");
  probe_.after("send");
  ASSERT_EQ(log_.count(), 1u);
  EXPECT_EQ(log_.kept()[0].law, Law::h1_nothing_left);
  EXPECT_EQ(log_.kept()[0].where, "client 1");
  EXPECT_EQ(log_.kept()[0].message, "send left an entry in the fake error queue: 0x23 routine 35 gave up");
  EXPECT_TRUE(fake_queue.empty());
}

TEST_F(HygieneProbeTest, ASourceRegisteredTwiceReportsOnce) {
  register_ambient_source(fake_source);
  fake_queue = {1};
  probe_.after("close");
  EXPECT_EQ(log_.count(), 1u);
}

TEST_F(HygieneProbeTest, EachSourceIsAskedAndOneWithoutASentenceIsNamed) {
  fake_queue = {1};
  other_error = 2;
  probe_.after("loop_turn");
  ASSERT_EQ(log_.count(), 2u);
  EXPECT_EQ(log_.kept()[1].message, "loop_turn left an entry in the other error: 0x2 ");
}

TEST_F(HygieneProbeTest, OnlyTheCallingThreadIsJudged) {
  fake_queue = {1};
  std::thread([this] { probe_.after("send"); }).join();
  EXPECT_EQ(log_.count(), 0u);
  std::thread([this] {
    fake_queue = {9};
    probe_.after("send");
  }).join();
  EXPECT_EQ(log_.count(), 1u);
  EXPECT_EQ(fake_queue.size(), 1u) << "another thread's leftovers are not ours to clear";
  fake_queue.clear();
}

TEST_F(HygieneProbeTest, ErrnoIsNotJudged) {
  errno = ENOENT;
  probe_.after("send");
  EXPECT_EQ(log_.count(), 0u);
}

TEST_F(HygieneProbeTest, RegistrationFromManyThreadsAddsEachNameOnce) {
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([] {
      register_ambient_source(fake_source);
      register_ambient_source(other_source);
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  fake_queue = {1};
  other_error = 1;
  probe_.after("send");
  EXPECT_EQ(log_.count(), 2u);
}

}  // namespace
}  // namespace rig
