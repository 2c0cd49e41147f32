// What a send queue allocates, keeps and gives back.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <string>
#include <vector>

#include "harness/socket/send_queue.h"
#include "harness/socket/tests/allocations.h"
#include "harness/socket/tests/send_queue_steps.h"

namespace rig {
namespace {

using namespace test;

TEST(send_queue, tokens_are_found_among_many_and_the_index_gives_its_memory_back) {
  SendQueue queue(SendLimits{.free_ops_max = 0});
  const std::int64_t before = live_bytes();
  constexpr Token count = 5000;
  for (Token token = 0; token < count; ++token) {
    ASSERT_TRUE(push(queue, token * 64, ""));
  }
  for (Token token = 0; token < count; ++token) {
    ASSERT_FALSE(push(queue, token * 64, ""));
  }
  queue.settle_front();
  EXPECT_EQ(pop_tokens(queue).size(), count);
  EXPECT_EQ(live_bytes(), before);
  ASSERT_TRUE(push(queue, 64, "again"));
  EXPECT_FALSE(push(queue, 64, "again"));
}

TEST(send_queue_wire, storage_outlives_the_consumption_of_all_that_stands_before_it) {
  SendQueue queue;
  put_on_wire(queue, as_bytes("before"));
  auto storage = queue.prepare_wire();
  ASSERT_TRUE(storage);
  queue.consume(6);
  EXPECT_EQ(queue.counters().chunks_free, 0U);
  std::copy_n("after", 5, storage->begin());
  queue.commit_wire(5);
  EXPECT_EQ(take(queue).text, "after");
  EXPECT_EQ(queue.counters().chunks_free, 1U);
}

TEST(send_queue_wire, storage_that_was_not_needed_is_given_back_at_the_end) {
  SendQueue queue;
  Bytes filling;
  {
    auto storage = queue.prepare_wire();
    ASSERT_TRUE(storage);
    filling.resize(storage->size(), 'f');
  }
  put_on_wire(queue, filling);
  ASSERT_TRUE(queue.prepare_wire());  // a second chunk
  queue.commit_wire(0);
  EXPECT_EQ(take(queue).text.size(), filling.size());
  EXPECT_EQ(queue.counters().chunks_free, 2U);
  ASSERT_TRUE(queue.prepare_wire());
  EXPECT_EQ(queue.counters().chunks_free, 1U);
  queue.commit_wire(0);
  EXPECT_EQ(queue.counters().chunks_free, 2U);
}

TEST(send_queue_wire, an_idle_queue_keeps_no_more_chunks_than_its_cap) {
  for (const std::size_t cap : {0U, 1U, 4U}) {
    SendQueue queue(SendLimits{.wire_bytes_max = huge, .free_ops_max = 0, .free_chunks_max = cap});
    const std::int64_t before = live_bytes();
    send_through(queue, 1, Bytes(1'000'000, 'x'));
    EXPECT_TRUE(queue.idle());
    EXPECT_EQ(queue.counters().chunks_free, cap);
    if (cap == 0) {
      EXPECT_EQ(live_bytes(), before);
    }
  }
}

TEST(send_queue_memory, neither_a_warm_queue_nor_its_end_allocates) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  SendQueue queue;
  const std::string text(1000, 't');
  const auto work = [&] {
    for (Token token = 0; token < 50; ++token) {
      ASSERT_TRUE(push(queue, token, text));
    }
    encrypt_all(queue);
    take(queue);
    queue.cancel_all(Error(Code::aborted));
    while (queue.pop_completed()) {
    }
  };
  work();
  std::array<ByteView, 8> pieces;
  const std::uint64_t before = allocations();
  for (int i = 0; i < 10; ++i) {
    for (Token token = 0; token < 50; ++token) {
      ASSERT_TRUE(queue.push(token, as_bytes(text), false));
    }
    while (const auto plain = queue.next_plain()) {
      auto storage = queue.prepare_wire();
      const std::size_t count = std::min(plain->size(), storage->size());
      queue.commit_wire(count);
      queue.encrypted(count);
    }
    queue.consume(queue.gather(pieces, false).bytes / 2);
    queue.cancel_all(Error(Code::aborted));
    while (queue.pop_completed()) {
    }
  }
  EXPECT_EQ(allocations(), before);
}

TEST(send_queue_memory, completing_and_cancelling_need_none_even_when_cold) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  SendQueue queue(SendLimits{.free_ops_max = 0, .free_chunks_max = 0});
  for (Token token = 0; token < 1000; ++token) {
    ASSERT_TRUE(push(queue, token, "text"));
  }
  encrypt_all(queue);
  const Error error(Code::no_memory);
  const FailingAllocations none_left;
  queue.consume(2000);
  queue.cancel_all(error);
  std::size_t completed = 0;
  while (queue.pop_completed()) {
    ++completed;
  }
  EXPECT_EQ(completed, 1000U);
}

TEST(send_queue_memory, a_push_without_memory_is_refused_and_leaves_no_trace) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  SendQueue queue;
  for (const std::uint64_t allowed : {0U, 1U}) {  // the node fails, then its buffer
    const std::int64_t before = live_bytes();
    Code code = Code::internal;
    {
      const FailingAllocations failing(allowed);
      const Status refused = push(queue, 1, "text");
      code = refused ? code : refused.error().code();
    }
    EXPECT_EQ(code, Code::no_memory);
    EXPECT_EQ(live_bytes(), before);
    EXPECT_TRUE(queue.idle());
    EXPECT_EQ(queue.counters().nodes_allocated, 0U);
  }
  EXPECT_FALSE(queue.take_writable_again());
  ASSERT_TRUE(push(queue, 1, "text"));
  encrypt_all(queue);
  EXPECT_EQ(take(queue).text, "text");
}

TEST(send_queue_memory, a_free_node_survives_a_push_that_finds_no_memory_for_a_longer_text) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  SendQueue queue;
  send_through(queue, 1, as_bytes("short"));
  ASSERT_EQ(queue.counters().nodes_free, 1U);
  const std::string longer(5000, 'l');
  bool refused = false;
  {
    const FailingAllocations failing;
    refused = !push(queue, 2, longer);
  }
  EXPECT_TRUE(refused);
  EXPECT_EQ(queue.counters().nodes_free, 1U);
  EXPECT_EQ(queue.counters().nodes_reused, 0U);
  send_through(queue, 2, as_bytes("short"));
  EXPECT_EQ(queue.counters().nodes_reused, 1U);
}

TEST(send_queue_memory, ciphertext_without_memory_is_refused_and_the_lane_stays_whole) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "text"));
  Code code = Code::internal;
  {
    const FailingAllocations failing;
    const auto storage = queue.prepare_wire();
    code = storage ? code : storage.error().code();
  }
  EXPECT_EQ(code, Code::no_memory);
  encrypt_all(queue);
  EXPECT_EQ(take(queue).text, "text");
}

TEST(send_queue_memory, an_index_that_cannot_grow_still_finds_every_token) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  SendQueue queue;
  constexpr Token count = 300;
  for (Token token = 0; token < count; ++token) {
    // A fresh op takes its node; text it has none; the index would be the next allocation.
    const FailingAllocations failing(1);
    ASSERT_TRUE(queue.push(token, {}, false));
  }
  for (Token token = 0; token < count; ++token) {
    EXPECT_FALSE(push(queue, token, ""));
  }
  queue.settle_front();
  EXPECT_EQ(pop_tokens(queue).size(), count);
}

TEST(send_queue_memory, an_op_that_was_huge_does_not_pin_its_plaintext) {
  RIG_NEEDS_OWN_ALLOCATIONS();
  SendQueue queue(SendLimits{.bytes_max = huge, .wire_bytes_max = huge, .free_chunks_max = 0});
  const std::int64_t before = live_bytes();
  send_through(queue, 1, Bytes(8 * 1024 * 1024, 'h'));
  EXPECT_EQ(queue.counters().nodes_free, 1U);
  EXPECT_LT(live_bytes() - before, 4096);
}

class send_queue_free_list : public testing::TestWithParam<std::size_t> {};

TEST_P(send_queue_free_list, keeps_its_cap_of_nodes_and_releases_the_others_at_once) {
  const std::size_t cap = GetParam();
  SendQueue queue(SendLimits{.free_ops_max = cap});
  constexpr std::size_t count = 100;
  for (int round = 0; round < 2; ++round) {
    for (Token token = 0; token < count; ++token) {
      ASSERT_TRUE(push(queue, token, "x"));
    }
    encrypt_all(queue);
    take(queue);
    EXPECT_EQ(pop_tokens(queue).size(), count);
    EXPECT_EQ(queue.counters().nodes_free, cap);
  }
  const SendQueue::Counters counters = queue.counters();
  EXPECT_EQ(counters.nodes_reused, cap);
  EXPECT_EQ(counters.nodes_allocated, 2 * count - cap);
  EXPECT_EQ(counters.nodes_released, 2 * (count - cap));
}

INSTANTIATE_TEST_SUITE_P(caps, send_queue_free_list, testing::Values(0, 1, SendLimits{}.free_ops_max));

}  // namespace
}  // namespace rig
