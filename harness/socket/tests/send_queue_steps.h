// Steps that the tests of the send queue share.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>
#include <ostream>
#include <string>
#include <vector>

#include "harness/socket/send_queue.h"

namespace rig::test {

inline constexpr std::size_t huge = 20 * 1024 * 1024;

// The cipher of these tests adds nothing and changes nothing: what is pushed is what is sent.
inline void put_on_wire(SendQueue& queue, ByteView bytes) {
  while (!bytes.empty()) {
    auto storage = queue.prepare_wire();
    ASSERT_TRUE(storage);
    ASSERT_GE(storage->size(), 1U);
    const std::size_t count = std::min(bytes.size(), storage->size());
    std::copy_n(bytes.begin(), count, storage->begin());
    queue.commit_wire(count);
    bytes = bytes.subspan(count);
  }
}

// encrypt passes the next `bytes` bytes of the waiting lane, of one op, to the wire lane.
inline void encrypt(SendQueue& queue, std::size_t bytes) {
  const auto plain = queue.next_plain();
  ASSERT_TRUE(plain);
  ASSERT_LE(bytes, plain->size());
  auto storage = queue.prepare_wire();
  ASSERT_TRUE(storage);
  ASSERT_LE(bytes, storage->size());
  std::copy_n(plain->begin(), bytes, storage->begin());
  queue.commit_wire(bytes);
  queue.encrypted(bytes);
}

inline void encrypt_all(SendQueue& queue) {
  while (const auto plain = queue.next_plain()) {
    auto storage = queue.prepare_wire();
    ASSERT_TRUE(storage);
    const std::size_t count = std::min(plain->size(), storage->size());
    std::copy_n(plain->begin(), count, storage->begin());
    queue.commit_wire(count);
    queue.encrypted(count);
  }
}

struct Sent {
  std::string text;
  bool more = false;
  friend bool operator==(const Sent&, const Sent&) = default;
};

inline void PrintTo(const Sent& run, std::ostream* out) {
  *out << '"' << run.text << '"' << (run.more ? " more" : "");
}

inline Sent peek(SendQueue& queue, bool flush = false, std::size_t pieces_max = 16) {
  std::vector<ByteView> pieces(pieces_max);
  const SendQueue::Gathered gathered = queue.gather(pieces, flush);
  Sent run{.text = {}, .more = gathered.more};
  for (std::size_t i = 0; i < gathered.pieces; ++i) {
    run.text += as_text(pieces[i]);
  }
  EXPECT_EQ(run.text.size(), gathered.bytes);
  return run;
}

inline Sent take(SendQueue& queue, bool flush = false) {
  Sent run = peek(queue, flush);
  queue.consume(run.text.size());
  return run;
}

inline std::vector<Token> pop_tokens(SendQueue& queue) {
  std::vector<Token> tokens;
  while (const auto completion = queue.pop_completed()) {
    tokens.push_back(completion->token);
  }
  return tokens;
}

inline Status push(SendQueue& queue, Token token, std::string_view text, bool more = false) {
  return queue.push(token, as_bytes(text), more);
}

inline void send_through(SendQueue& queue, Token token, ByteView plain) {
  ASSERT_TRUE(queue.push(token, plain, false));
  while (!queue.has_completed()) {
    encrypt_all(queue);
    take(queue);
  }
  ASSERT_EQ(pop_tokens(queue), std::vector<Token>{token});
}

}  // namespace rig::test
