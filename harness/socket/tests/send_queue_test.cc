#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "harness/base/mutex.h"
#include "harness/socket/send_queue.h"
#include "harness/socket/tests/send_queue_steps.h"

namespace rig {
namespace {

using namespace test;

// send_in_turn pushes ops and lets the wire take each, one after the other.
void send_in_turn(SendQueue& queue, Token count, const std::string& text) {
  for (Token token = 0; token < count; ++token) {
    ASSERT_TRUE(push(queue, token, text));
    encrypt_all(queue);
    queue.consume(text.size());
  }
}

TEST(send_queue, a_new_queue_is_idle_and_has_nothing_to_hand_out) {
  SendQueue queue;
  EXPECT_TRUE(queue.idle());
  EXPECT_FALSE(queue.has_completed());
  EXPECT_FALSE(queue.pop_completed());
  EXPECT_FALSE(queue.next_plain());
  EXPECT_FALSE(queue.partly_encrypted());
  EXPECT_FALSE(queue.only_more());
  EXPECT_FALSE(queue.take_writable_again());
  EXPECT_EQ(queue.ops(), 0U);
  EXPECT_EQ(peek(queue), (Sent{"", false}));
}

TEST(send_queue, an_op_passes_both_lanes_and_is_handed_out_once) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 7, "hello"));
  EXPECT_EQ(queue.ops_pending(), 1U);
  EXPECT_EQ(queue.plain_bytes(), 5U);
  EXPECT_FALSE(queue.idle());
  encrypt_all(queue);
  EXPECT_EQ(queue.wire_bytes(), 5U);
  EXPECT_FALSE(queue.has_completed());
  EXPECT_EQ(take(queue), (Sent{"hello", false}));
  EXPECT_EQ(queue.ops_pending(), 0U);
  EXPECT_EQ(queue.plain_bytes(), 0U);
  EXPECT_EQ(queue.ops(), 1U);
  EXPECT_FALSE(queue.idle());
  const auto completion = queue.pop_completed();
  ASSERT_TRUE(completion);
  EXPECT_EQ(completion->token, 7U);
  EXPECT_EQ(completion->bytes, 5U);
  EXPECT_FALSE(completion->error);
  EXPECT_FALSE(queue.pop_completed());
  EXPECT_TRUE(queue.idle());
}

TEST(send_queue, push_copies_what_it_is_given) {
  SendQueue queue;
  std::string text = "before";
  ASSERT_TRUE(push(queue, 1, text));
  text = "after!";
  encrypt_all(queue);
  EXPECT_EQ(take(queue).text, "before");
}

TEST(send_queue, a_token_is_taken_until_its_op_is_handed_out) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "a"));
  Status refused = push(queue, 1, "b");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::invalid_argument);
  encrypt_all(queue);
  take(queue);
  EXPECT_FALSE(push(queue, 1, "b"));
  EXPECT_EQ(queue.ops(), 1U);
  EXPECT_EQ(pop_tokens(queue), std::vector<Token>{1});
  EXPECT_TRUE(push(queue, 1, "b"));
}

TEST(send_queue, a_full_queue_refuses_and_says_once_when_it_is_writable_again) {
  SendQueue queue(SendLimits{.ops_max = 4});
  for (Token token = 0; token < 4; ++token) {
    ASSERT_TRUE(push(queue, token, "x"));
  }
  const Status refused = push(queue, 9, "x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code(), Code::would_block);
  EXPECT_EQ(queue.ops(), 4U);
  encrypt_all(queue);
  queue.consume(1);
  EXPECT_FALSE(queue.take_writable_again());  // 3 of 4 are pending
  queue.consume(1);
  EXPECT_TRUE(queue.take_writable_again());
  EXPECT_FALSE(queue.take_writable_again());
  ASSERT_TRUE(push(queue, 9, "x"));
  queue.consume(2);
  EXPECT_FALSE(queue.take_writable_again());  // nothing was refused since
}

TEST(send_queue, the_limit_on_bytes_counts_pending_plaintext) {
  SendQueue queue(SendLimits{.bytes_max = 10});
  ASSERT_TRUE(push(queue, 1, "123456"));
  EXPECT_FALSE(push(queue, 2, "12345"));
  ASSERT_TRUE(push(queue, 2, "1234"));
  ASSERT_TRUE(push(queue, 3, ""));  // it takes no room
  EXPECT_FALSE(push(queue, 4, "1"));
  encrypt_all(queue);
  queue.consume(1);
  EXPECT_EQ(queue.plain_bytes(), 10U);
  EXPECT_FALSE(queue.take_writable_again());
  queue.consume(5);
  EXPECT_EQ(queue.plain_bytes(), 4U);
  EXPECT_TRUE(queue.take_writable_again());
}

TEST(send_queue, what_is_done_and_not_handed_out_is_within_the_limits_as_well) {
  SendQueue queue(SendLimits{.ops_max = 2, .bytes_max = 100});
  send_in_turn(queue, 3, "x");
  EXPECT_FALSE(push(queue, 9, "x"));
  EXPECT_FALSE(queue.take_writable_again());
  ASSERT_TRUE(queue.pop_completed());
  EXPECT_TRUE(queue.take_writable_again());
  ASSERT_TRUE(push(queue, 9, "x"));
}

TEST(send_queue, bytes_that_are_done_and_not_handed_out_are_within_the_limit_as_well) {
  SendQueue queue(SendLimits{.bytes_max = 10});
  send_in_turn(queue, 2, "123456");
  EXPECT_FALSE(push(queue, 9, "1"));
  ASSERT_TRUE(queue.pop_completed());
  EXPECT_TRUE(queue.take_writable_again());
  ASSERT_TRUE(push(queue, 9, "1"));
}

TEST(send_queue, writable_again_waits_until_the_refused_op_fits) {
  SendQueue queue(SendLimits{.bytes_max = 100});
  ASSERT_TRUE(push(queue, 1, std::string(20, 'a')));
  ASSERT_TRUE(push(queue, 2, std::string(20, 'b')));
  ASSERT_FALSE(push(queue, 3, std::string(90, 'c')));
  ASSERT_FALSE(push(queue, 3, std::string(95, 'c')));
  EXPECT_FALSE(queue.take_writable_again());  // below the half, but a second try would be in vain
  encrypt_all(queue);
  queue.consume(20);
  EXPECT_FALSE(queue.take_writable_again());
  queue.consume(20);
  EXPECT_TRUE(queue.take_writable_again());
  EXPECT_TRUE(push(queue, 3, std::string(90, 'c')));
}

TEST(send_queue, an_op_larger_than_the_limit_is_taken_when_it_is_alone) {
  SendQueue queue(SendLimits{.bytes_max = 4});
  ASSERT_TRUE(push(queue, 1, "x"));
  EXPECT_FALSE(push(queue, 2, "longer than four"));
  encrypt_all(queue);
  take(queue);
  EXPECT_TRUE(queue.take_writable_again());
  ASSERT_TRUE(push(queue, 2, "longer than four"));
  EXPECT_FALSE(push(queue, 3, "x"));
  encrypt_all(queue);
  EXPECT_EQ(take(queue).text, "longer than four");
}

TEST(send_queue, limits_of_zero_still_let_one_op_through_at_a_time) {
  SendQueue queue(SendLimits{.ops_max = 0, .bytes_max = 0, .wire_bytes_max = 0});
  ASSERT_TRUE(push(queue, 1, "one"));
  EXPECT_FALSE(push(queue, 2, "two"));
  encrypt(queue, 1);
  EXPECT_FALSE(queue.next_plain());
  EXPECT_EQ(take(queue).text, "o");
  encrypt_all(queue);
  EXPECT_EQ(take(queue).text, "ne");
  EXPECT_TRUE(queue.take_writable_again());
  EXPECT_TRUE(push(queue, 2, "two"));
}

TEST(send_queue, next_plain_is_the_rest_of_the_first_op_that_is_not_encrypted) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "abcdef"));
  ASSERT_TRUE(push(queue, 2, "gh"));
  EXPECT_EQ(as_text(*queue.next_plain()), "abcdef");
  EXPECT_FALSE(queue.partly_encrypted());
  encrypt(queue, 4);
  EXPECT_TRUE(queue.partly_encrypted());
  EXPECT_EQ(as_text(*queue.next_plain()), "ef");
  encrypt(queue, 2);
  EXPECT_FALSE(queue.partly_encrypted());
  EXPECT_EQ(as_text(*queue.next_plain()), "gh");
}

TEST(send_queue, a_record_that_is_only_partly_out_makes_its_op_partly_encrypted) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "abc"));
  ASSERT_TRUE(queue.prepare_wire());
  queue.commit_wire(0);
  queue.encrypted(0);
  EXPECT_FALSE(queue.partly_encrypted());
  put_on_wire(queue, as_bytes("header"));
  queue.encrypted(0);
  EXPECT_TRUE(queue.partly_encrypted());
}

TEST(send_queue, encryption_stops_at_a_full_wire_lane_and_control_does_not) {
  SendQueue queue(SendLimits{.wire_bytes_max = 4});
  ASSERT_TRUE(push(queue, 1, "abcdef"));
  encrypt(queue, 3);
  EXPECT_TRUE(queue.next_plain());
  put_on_wire(queue, as_bytes("CONTROL"));
  EXPECT_FALSE(queue.next_plain());
  EXPECT_EQ(queue.wire_bytes(), 10U);
  queue.consume(6);
  EXPECT_FALSE(queue.next_plain());
  queue.consume(1);
  EXPECT_EQ(as_text(*queue.next_plain()), "def");
}

TEST(send_queue, control_passes_all_waiting_plaintext) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "data"));
  encrypt(queue, 2);
  put_on_wire(queue, as_bytes("<renegotiation>"));
  encrypt(queue, 2);
  EXPECT_EQ(take(queue).text, "da<renegotiation>ta");
  EXPECT_EQ(pop_tokens(queue), std::vector<Token>{1});
}

TEST(send_queue, an_op_is_done_only_when_the_transport_took_its_last_byte) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "abc"));
  ASSERT_TRUE(push(queue, 2, "de"));
  encrypt_all(queue);
  queue.consume(2);
  EXPECT_EQ(pop_tokens(queue), std::vector<Token>{});
  EXPECT_EQ(peek(queue).text, "cde");
  queue.consume(2);
  EXPECT_EQ(pop_tokens(queue), std::vector<Token>{1});
  queue.consume(1);
  EXPECT_EQ(pop_tokens(queue), std::vector<Token>{2});
}

TEST(send_queue, a_partly_encrypted_op_is_not_done_though_all_its_ciphertext_so_far_is_sent) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "abcd"));
  encrypt(queue, 2);
  EXPECT_EQ(take(queue).text, "ab");
  EXPECT_FALSE(queue.has_completed());
  encrypt(queue, 2);
  EXPECT_EQ(take(queue).text, "cd");
  EXPECT_TRUE(queue.has_completed());
}

TEST(send_queue, a_zero_length_op_completes_in_its_turn) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, ""));
  ASSERT_TRUE(push(queue, 2, "x"));
  ASSERT_TRUE(push(queue, 3, ""));
  ASSERT_TRUE(push(queue, 4, ""));
  EXPECT_FALSE(queue.has_completed());
  queue.settle_front();
  EXPECT_EQ(pop_tokens(queue), std::vector<Token>{1});
  encrypt_all(queue);
  queue.settle_front();
  EXPECT_FALSE(queue.has_completed());
  take(queue);
  EXPECT_EQ(pop_tokens(queue), (std::vector<Token>{2, 3, 4}));
}

TEST(send_queue, a_zero_length_op_does_not_wait_for_control_behind_it) {
  SendQueue queue;
  put_on_wire(queue, as_bytes("CONTROL"));
  ASSERT_TRUE(push(queue, 1, ""));
  EXPECT_FALSE(queue.next_plain());
  queue.settle_front();
  EXPECT_EQ(pop_tokens(queue), std::vector<Token>{1});
  EXPECT_EQ(take(queue).text, "CONTROL");
}

TEST(send_queue, an_engine_that_takes_plaintext_and_gives_nothing_out_completes_by_settling) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "absorbed"));
  ASSERT_TRUE(queue.next_plain());
  ASSERT_TRUE(queue.prepare_wire());
  queue.commit_wire(0);
  queue.encrypted(8);
  queue.settle_front();
  EXPECT_EQ(pop_tokens(queue), std::vector<Token>{1});
}

TEST(send_queue_gather, fills_as_many_pieces_as_it_is_given) {
  SendQueue queue(SendLimits{.wire_bytes_max = huge});
  const Bytes plain(100'000, 'p');
  ASSERT_TRUE(queue.push(1, plain, false));
  encrypt_all(queue);
  const std::string one = peek(queue, false, 1).text;
  EXPECT_LT(one.size(), plain.size());
  EXPECT_EQ(peek(queue, false, 16).text.size(), plain.size());
  EXPECT_EQ(peek(queue, false, 0), (Sent{"", false}));
}

TEST(send_queue_gather, ops_with_more_may_wait_together) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "a", true));
  ASSERT_TRUE(push(queue, 2, "b", true));
  EXPECT_TRUE(queue.only_more());
  encrypt_all(queue);
  EXPECT_TRUE(queue.only_more());
  EXPECT_EQ(peek(queue), (Sent{"ab", true}));
  EXPECT_EQ(peek(queue, true), (Sent{"ab", false}));
}

TEST(send_queue_gather, stops_behind_an_op_without_more_if_only_ops_with_more_follow) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "a", true));
  ASSERT_TRUE(push(queue, 2, "b", false));
  ASSERT_TRUE(push(queue, 3, "c", true));
  EXPECT_FALSE(queue.only_more());
  encrypt_all(queue);
  EXPECT_EQ(peek(queue, true), (Sent{"abc", false}));
  EXPECT_EQ(take(queue), (Sent{"ab", false}));
  EXPECT_TRUE(queue.only_more());
  EXPECT_EQ(take(queue), (Sent{"c", true}));
}

TEST(send_queue_gather, takes_all_if_an_op_without_more_is_last) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "a", false));
  ASSERT_TRUE(push(queue, 2, "b", true));
  ASSERT_TRUE(push(queue, 3, "c", false));
  encrypt_all(queue);
  EXPECT_EQ(take(queue), (Sent{"abc", false}));
}

TEST(send_queue_gather, control_is_never_held_back) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "a", true));
  encrypt_all(queue);
  put_on_wire(queue, as_bytes("CONTROL"));
  EXPECT_FALSE(queue.only_more());
  ASSERT_TRUE(push(queue, 2, "b", true));
  encrypt_all(queue);
  EXPECT_EQ(take(queue), (Sent{"aCONTROL", false}));
  EXPECT_EQ(take(queue), (Sent{"b", true}));
}

TEST(send_queue_gather, control_committed_before_an_op_is_still_control) {
  SendQueue queue;
  put_on_wire(queue, as_bytes("CONTROL"));
  ASSERT_TRUE(push(queue, 1, "b", true));
  ASSERT_TRUE(queue.prepare_wire());
  queue.commit_wire(0);
  queue.encrypted(1);  // an engine that holds its ciphertext back
  EXPECT_EQ(take(queue), (Sent{"CONTROL", false}));
}

TEST(send_queue_gather, a_zero_length_op_without_more_lets_nothing_before_it_wait) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "a", true));
  ASSERT_TRUE(push(queue, 2, "", false));
  ASSERT_TRUE(push(queue, 3, "c", true));
  EXPECT_FALSE(queue.only_more());
  encrypt_all(queue);
  EXPECT_EQ(take(queue), (Sent{"a", false}));
  EXPECT_EQ(take(queue), (Sent{"c", true}));
  EXPECT_EQ(pop_tokens(queue), (std::vector<Token>{1, 2, 3}));
}

TEST(send_queue_gather, a_zero_length_op_without_more_asks_for_a_push_of_what_was_sent_with_it) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "a", true));
  encrypt_all(queue);
  EXPECT_EQ(take(queue), (Sent{"a", true}));
  EXPECT_FALSE(queue.take_push());
  ASSERT_TRUE(push(queue, 2, "", true));
  queue.settle_front();
  EXPECT_FALSE(queue.take_push()) << "it may wait as well";
  ASSERT_TRUE(push(queue, 3, "", false));
  queue.settle_front();
  EXPECT_TRUE(queue.take_push());
  EXPECT_FALSE(queue.take_push()) << "once";
  ASSERT_TRUE(push(queue, 4, "", false));
  queue.settle_front();
  EXPECT_FALSE(queue.take_push()) << "nothing is held back any more";
}

TEST(send_queue_gather, bytes_that_leave_at_once_need_no_push) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "a", true));
  encrypt_all(queue);
  EXPECT_EQ(take(queue), (Sent{"a", true}));
  ASSERT_TRUE(push(queue, 2, "b", false));
  encrypt_all(queue);
  EXPECT_EQ(take(queue), (Sent{"b", false}));
  ASSERT_TRUE(push(queue, 3, "", false));
  queue.settle_front();
  EXPECT_FALSE(queue.take_push());
}

TEST(send_queue_gather, an_op_without_more_that_adds_no_ciphertext_still_lets_nothing_wait) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "a", true));
  ASSERT_TRUE(push(queue, 2, "b", false));
  encrypt(queue, 1);
  ASSERT_TRUE(queue.prepare_wire());
  queue.commit_wire(0);
  queue.encrypted(1);
  EXPECT_EQ(take(queue), (Sent{"a", false}));
  EXPECT_EQ(pop_tokens(queue), (std::vector<Token>{1, 2}));
}

TEST(send_queue_gather, pieces_stay_where_they_are_until_consume) {
  SendQueue queue(SendLimits{.wire_bytes_max = huge});
  ASSERT_TRUE(push(queue, 1, "done"));
  encrypt_all(queue);
  take(queue);
  ASSERT_TRUE(push(queue, 2, "first"));
  encrypt_all(queue);
  std::array<ByteView, 4> pieces;
  const auto gathered = queue.gather(pieces, false);
  ASSERT_EQ(gathered.pieces, 1U);
  ASSERT_TRUE(queue.push(3, Bytes(200'000, 'n'), false));
  encrypt_all(queue);
  put_on_wire(queue, as_bytes("CONTROL"));
  EXPECT_EQ(pop_tokens(queue), std::vector<Token>{1});
  queue.settle_front();
  ASSERT_TRUE(push(queue, 1, "reused node"));
  auto storage = queue.prepare_wire();
  ASSERT_TRUE(storage);
  std::fill(storage->begin(), storage->end(), 0);
  queue.commit_wire(0);
  EXPECT_EQ(as_text(pieces[0]), "first");
  queue.consume(3);
  EXPECT_EQ(peek(queue).text.substr(0, 4), "stnn");
}

TEST(send_queue_gather, pieces_can_be_sent_outside_the_lock_while_others_push_and_encrypt) {
  constexpr std::size_t total = 1'000'000;
  SendQueue queue(SendLimits{.bytes_max = 4 * total, .wire_bytes_max = 50'000});
  Mutex mutex;
  std::string sent;
  std::thread drainer([&] {
    while (sent.size() < total) {
      std::array<ByteView, 4> pieces;
      SendQueue::Gathered gathered;
      {
        const MutexLock lock(mutex);
        gathered = queue.gather(pieces, false);
      }
      for (const ByteView piece : std::span(pieces).first(gathered.pieces)) {
        sent += as_text(piece);
      }
      const MutexLock lock(mutex);
      queue.consume(gathered.bytes);
      while (queue.pop_completed()) {
      }
    }
  });
  std::string pushed;
  for (Token token = 0; pushed.size() < total; ++token) {
    const std::string text(std::min<std::size_t>(total - pushed.size(), 1 + token % 3000), static_cast<char>(token));
    const MutexLock lock(mutex);
    EXPECT_TRUE(push(queue, token, text));
    encrypt_all(queue);
    pushed += text;
  }
  for (bool idle = false; !idle;) {
    const MutexLock lock(mutex);
    encrypt_all(queue);
    idle = queue.idle();
  }
  drainer.join();
  EXPECT_TRUE(sent == pushed);
}

TEST(send_queue_cancel, completes_every_pending_op_in_order_behind_the_done_ones) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "done"));
  ASSERT_TRUE(push(queue, 2, "in flight"));
  ASSERT_TRUE(push(queue, 3, "half"));
  ASSERT_TRUE(push(queue, 4, ""));
  ASSERT_TRUE(push(queue, 5, "waiting"));
  encrypt(queue, 4);
  encrypt(queue, 9);
  encrypt(queue, 2);
  queue.consume(6);
  queue.cancel_all(Error(Code::reset, "the peer is gone"));
  EXPECT_EQ(queue.ops_pending(), 0U);
  EXPECT_EQ(queue.plain_bytes(), 0U);
  EXPECT_EQ(queue.wire_bytes(), 0U);
  EXPECT_FALSE(queue.next_plain());
  EXPECT_FALSE(queue.partly_encrypted());
  EXPECT_EQ(peek(queue).text, "");
  const auto first = queue.pop_completed();
  ASSERT_TRUE(first);
  EXPECT_EQ(first->token, 1U);
  EXPECT_FALSE(first->error);
  for (const Token token : {2U, 3U, 4U, 5U}) {
    const auto completion = queue.pop_completed();
    ASSERT_TRUE(completion);
    EXPECT_EQ(completion->token, token);
    ASSERT_TRUE(completion->error);
    EXPECT_EQ(completion->error->code(), Code::reset);
    EXPECT_EQ(completion->error->detail(), "the peer is gone");
  }
  EXPECT_TRUE(queue.idle());
}

TEST(send_queue_cancel, each_cancellation_has_its_own_error_and_the_queue_goes_on) {
  SendQueue queue;
  ASSERT_TRUE(push(queue, 1, "a"));
  queue.cancel_all(Error(Code::reset));
  ASSERT_TRUE(push(queue, 2, "b"));
  queue.cancel_all(Error(Code::timeout));
  ASSERT_TRUE(push(queue, 3, "c"));
  encrypt_all(queue);
  EXPECT_EQ(take(queue).text, "c");
  EXPECT_EQ(queue.pop_completed()->error->code(), Code::reset);
  EXPECT_EQ(queue.pop_completed()->error->code(), Code::timeout);
  EXPECT_FALSE(queue.pop_completed()->error);
}

TEST(send_queue_cancel, drops_control_and_prepared_storage) {
  SendQueue queue;
  put_on_wire(queue, as_bytes("CONTROL"));
  ASSERT_TRUE(queue.prepare_wire());
  queue.cancel_all(Error(Code::aborted));
  EXPECT_TRUE(queue.idle());
  EXPECT_EQ(queue.counters().chunks_free, 1U);
}

TEST(send_queue_death, misuse_is_a_bug_of_ours) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  SendQueue queue;
  EXPECT_DEATH(queue.consume(1), "check failed");
  EXPECT_DEATH(queue.encrypted(1), "check failed");
  EXPECT_DEATH(queue.commit_wire(0), "check failed");
  ASSERT_TRUE(push(queue, 1, "x"));
  EXPECT_DEATH(queue.encrypted(2), "check failed");
}

}  // namespace
}  // namespace rig
