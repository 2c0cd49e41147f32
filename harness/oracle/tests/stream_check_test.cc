#include "harness/oracle/stream_check.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

namespace rig {
namespace {

constexpr std::uint64_t stream_id = 4;

Bytes payload(std::uint64_t token, std::size_t bytes, std::uint64_t stream = stream_id) {
  Bytes out(bytes);
  position_code(stream, token, out);
  return out;
}

Bytes operator+(Bytes left, const Bytes& right) {
  left.insert(left.end(), right.begin(), right.end());
  return left;
}

Bytes part(const Bytes& bytes, std::size_t from, std::size_t to) {
  return {bytes.begin() + static_cast<std::ptrdiff_t>(from), bytes.begin() + static_cast<std::ptrdiff_t>(to)};
}

class StreamCheckTest : public testing::Test {
 protected:
  void sent(std::uint64_t token, std::size_t bytes) {
    check_.issue(token, bytes);
    check_.answered(token, true);
  }
  // says is the only report; empty if there is none.
  std::string says() const {
    EXPECT_LE(log_.count(), 1u);
    if (log_.count() == 0) {
      return {};
    }
    EXPECT_EQ(log_.kept()[0].law, Law::s1_stream);
    EXPECT_EQ(log_.kept()[0].where, "server 3");
    const std::string message = log_.kept()[0].message;
    return message.substr(0, message.find(" ["));  // without the bytes themselves
  }

  ViolationLog log_;
  StreamCheck check_{stream_id, "server 3", log_};
};

TEST(PositionCodeTest, BytesDependOnStreamTokenAndOffset) {
  const Bytes code = payload(1, 64);
  EXPECT_EQ(payload(1, 64), code);
  EXPECT_EQ(payload(1, 61), part(code, 0, 61)) << "a shorter op is a prefix";
  for (const Bytes& other :
       {payload(2, 64), payload(1, 64, stream_id + 1), part(payload(1, 72), 8, 72), part(payload(1, 65), 1, 65)}) {
    int equal = 0;
    for (std::size_t i = 0; i < 64; ++i) {
      equal += other[i] == code[i] ? 1 : 0;
    }
    EXPECT_LE(equal, 6) << "64 independent bytes agree in a quarter of a byte on average";
  }
}

TEST(PositionCodeTest, NoEightBytesOfAMillionComeTwice) {
  std::set<std::uint64_t> words;
  for (std::uint64_t token = 0; token < 64; ++token) {
    const Bytes code = payload(token, 16384);
    for (std::size_t at = 0; at + 8 <= code.size(); at += 8) {
      std::uint64_t word = 0;
      std::memcpy(&word, code.data() + at, 8);
      EXPECT_TRUE(words.insert(word).second);
    }
  }
}

TEST_F(StreamCheckTest, OneSenderInChunksOfAnySizeIsSilent) {
  Bytes all;
  std::uint64_t token = 0;
  for (const std::size_t bytes : {1, 0, 7, 8, 9, 16383, 16384, 16385, 65536, 3, 0, 100}) {
    sent(token, bytes);
    all = std::move(all) + payload(token, bytes);
    ++token;
  }
  std::size_t at = 0;
  for (std::size_t chunk = 1; at < all.size(); chunk = chunk * 2 + 1) {
    const std::size_t count = std::min(chunk, all.size() - at);
    check_.received(ByteView(all).subspan(at, count));
    at += count;
  }
  check_.finish(true, all.size());
  EXPECT_EQ(says(), "");
  EXPECT_EQ(check_.received_bytes(), all.size());
  EXPECT_EQ(check_.accepted_bytes(), all.size());
  EXPECT_FALSE(check_.gave_up());
}

TEST_F(StreamCheckTest, BytesMayArriveBeforeSendReturned) {
  check_.issue(1, 100);
  check_.received(payload(1, 100));
  EXPECT_EQ(check_.accepted_bytes(), 0u);
  check_.answered(1, true);
  check_.finish(true, 100);
  EXPECT_EQ(says(), "");
}

TEST_F(StreamCheckTest, ARefusedOpNeedNotArrive) {
  check_.issue(1, 100);
  check_.answered(1, false);
  sent(2, 50);
  check_.received(payload(2, 50));
  check_.finish(true, 50);
  EXPECT_EQ(says(), "");
}

TEST_F(StreamCheckTest, BytesOfARefusedOpBeforeItsAnswer) {
  check_.issue(1, 100);
  check_.received(payload(1, 60));
  EXPECT_EQ(says(), "");
  check_.answered(1, false);
  EXPECT_EQ(says(), "send refused op 1 of 100 bytes, but bytes of it have arrived (stream offset 60 or before).");
}

TEST_F(StreamCheckTest, BytesOfARefusedOpAfterItsAnswer) {
  check_.issue(1, 100);
  check_.answered(1, false);
  sent(2, 50);
  check_.received(payload(1, 100));
  EXPECT_EQ(says(), "at stream offset 0 byte 0 of op 2 (50 bytes) was due, but op 1 comes, which was refused.");
}

TEST_F(StreamCheckTest, SendersSideBySideComeInEitherOrder) {
  check_.issue(1, 100);
  check_.issue(2, 100);
  check_.answered(1, true);
  check_.answered(2, true);
  check_.received(payload(2, 100));
  check_.received(payload(1, 100));
  check_.finish(true, 200);
  EXPECT_EQ(says(), "");
}

TEST_F(StreamCheckTest, AnOpThatFollowsAMissingOneHasOvertakenIt) {
  sent(1, 100);
  sent(2, 100);
  check_.received(payload(2, 100));
  EXPECT_EQ(says(),
            "at stream offset 0 byte 0 of op 1 (100 bytes) was due, but op 2 comes first: the expected one was skipped "
            "or overtaken.");
}

TEST_F(StreamCheckTest, ASkippedOp) {
  for (std::uint64_t token = 1; token <= 3; ++token) {
    sent(token, 20);
  }
  check_.received(payload(1, 20) + payload(3, 20));
  EXPECT_EQ(says(),
            "at stream offset 20 byte 0 of op 2 (20 bytes) was due, but op 3 comes first: the expected one was skipped "
            "or overtaken.");
}

TEST_F(StreamCheckTest, ADoubledOp) {
  for (std::uint64_t token = 1; token <= 3; ++token) {
    sent(token, 40);
  }
  check_.received(payload(1, 40) + payload(2, 40) + payload(2, 40) + payload(3, 40));
  EXPECT_EQ(says(),
            "at stream offset 80 byte 0 of op 3 (40 bytes) was due, but op 2 comes again, which has arrived already "
            "(doubled).");
}

TEST_F(StreamCheckTest, ADoubledOpAtTheEnd) {
  sent(1, 40);
  check_.received(payload(1, 40));
  check_.received(payload(1, 40));
  EXPECT_EQ(says(),
            "at stream offset 40 nothing more was due, but op 1 comes again, which has arrived already (doubled).");
}

TEST_F(StreamCheckTest, AFlippedByte) {
  sent(1, 1000);
  Bytes bytes = payload(1, 1000);
  bytes[500] ^= 0x10;
  check_.received(bytes);
  EXPECT_EQ(
      says(),
      "at stream offset 500 byte 500 of op 1 (1000 bytes) was due, but 1 byte(s) are changed, then the op goes on "
      "as it should.");
}

TEST_F(StreamCheckTest, LostBytes) {
  sent(1, 1000);
  const Bytes bytes = payload(1, 1000);
  check_.received(part(bytes, 0, 300) + part(bytes, 316, 1000));
  EXPECT_EQ(
      says(),
      "at stream offset 300 byte 300 of op 1 (1000 bytes) was due, but the op goes on at its byte 316: 16 byte(s) "
      "are missing.");
}

TEST_F(StreamCheckTest, DoubledBytes) {
  sent(1, 1000);
  const Bytes bytes = payload(1, 1000);
  check_.received(part(bytes, 0, 300) + part(bytes, 200, 1000));
  EXPECT_EQ(says(),
            "at stream offset 300 byte 300 of op 1 (1000 bytes) was due, but the op is taken up again at its byte 200: "
            "100 byte(s) come twice.");
}

// pjproject#4909: a pointer that advances by 16 bytes for each byte sent.
TEST_F(StreamCheckTest, AShiftedPositionInALargeOpIsNamedExactly) {
  sent(1, 4 << 20);
  const Bytes bytes = payload(1, 4 << 20);
  check_.received(part(bytes, 0, 16384) + part(bytes, 16 * 16384, 17 * 16384));
  EXPECT_EQ(says(),
            "at stream offset 16384 byte 16384 of op 1 (4194304 bytes) was due, but the op goes on at its byte 262144: "
            "245760 byte(s) are missing.");
}

TEST_F(StreamCheckTest, TwoOpsMixed) {
  check_.issue(1, 100);
  check_.issue(2, 100);
  check_.answered(1, true);
  check_.answered(2, true);
  check_.received(part(payload(1, 100), 0, 60) + payload(2, 100) + part(payload(1, 100), 60, 100));
  EXPECT_EQ(says(),
            "at stream offset 60 byte 60 of op 1 (100 bytes) was due, but op 2 comes: the end of op 1 is missing (40 "
            "bytes), or the two are mixed.");
}

TEST_F(StreamCheckTest, TheHeadOfAnOpIsMissing) {
  sent(1, 100);
  sent(2, 100);
  check_.received(payload(1, 100) + part(payload(2, 100), 30, 100));
  EXPECT_EQ(
      says(),
      "at stream offset 100 byte 0 of op 2 (100 bytes) was due, but the op goes on at its byte 30: 30 byte(s) are "
      "missing.");
}

TEST_F(StreamCheckTest, BytesOfAnotherStream) {
  sent(1, 100);
  check_.received(payload(77, 100, stream_id + 1));
  EXPECT_EQ(says(),
            "at stream offset 0 byte 0 of op 1 (100 bytes) was due, but payload of another stream comes, of no op of "
            "this one.");
}

TEST_F(StreamCheckTest, BytesOfNobody) {
  sent(1, 100);
  check_.received(Bytes(100, 0));
  EXPECT_EQ(says(),
            "at stream offset 0 byte 0 of op 1 (100 bytes) was due, but bytes come that are of no op of this stream.");
}

TEST_F(StreamCheckTest, AfterTheFirstViolationNothingMoreIsReported) {
  sent(1, 100);
  check_.received(Bytes(100, 0));
  check_.received(Bytes(100, 1));
  sent(2, 100);
  check_.issue(3, 100);
  check_.answered(3, false);
  check_.received(payload(2, 100));
  check_.finish(true, 1000);
  EXPECT_NE(says(), "");
  EXPECT_EQ(check_.received_bytes(), 300u);
  EXPECT_EQ(check_.accepted_bytes(), 200u);
}

TEST_F(StreamCheckTest, FinishMissesTheTail) {
  sent(1, 100);
  sent(2, 100);
  check_.received(part(payload(1, 100) + payload(2, 100), 0, 130));
  check_.finish(true, 0);
  EXPECT_EQ(says(), "70 of 200 accepted bytes never arrived. The first missing byte is byte 30 of op 2 (100 bytes).");
}

TEST_F(StreamCheckTest, FinishAcceptsAPrefixWhereNotAllMustArrive) {
  sent(1, 100);
  sent(2, 100);
  check_.received(part(payload(1, 100) + payload(2, 100), 0, 130));
  check_.finish(false, 130);
  EXPECT_EQ(says(), "");
}

TEST_F(StreamCheckTest, FinishDemandsWhatCompletedWithSuccess) {
  sent(1, 100);
  sent(2, 100);
  check_.received(payload(1, 100));
  check_.finish(false, 101);
  EXPECT_EQ(
      says(),
      "100 bytes arrived, but ops of 101 bytes had completed with success. The first missing byte is byte 0 of op "
      "2 (100 bytes).");
}

TEST_F(StreamCheckTest, EchoedBytesAreFollowedLikeAnyOther) {
  const Bytes first = payload(50, 30, 9);
  const Bytes second = payload(51, 30, 9);
  check_.issue(1, 30, first);
  check_.answered(1, true);
  check_.issue(2, 30, second);
  check_.answered(2, true);
  check_.received(first);
  check_.received(first);
  EXPECT_EQ(says(),
            "at stream offset 30 byte 0 of op 2 (30 bytes) was due, but op 1 comes again, which has arrived already "
            "(doubled).");
}

// tokens_alike finds two tokens whose first bytes are equal: the case in which a tiny op fits two candidates.
std::pair<std::uint64_t, std::uint64_t> tokens_alike() {
  for (std::uint64_t left = 1;; ++left) {
    for (std::uint64_t right = 1; right < left; ++right) {
      if (payload(left, 1) == payload(right, 1)) {
        return {right, left};
      }
    }
  }
}

TEST_F(StreamCheckTest, EqualTinyOpsSideBySideAreFollowedOnAllTheirPaths) {
  const auto [left, right] = tokens_alike();
  // Two senders with an op of one byte each, which look alike; the one that comes first is followed by one of 10 bytes
  // of the same sender, and only that tells which of the two it was.
  for (const auto& [first, second] : {std::pair(left, right), std::pair(right, left)}) {
    constexpr std::uint64_t first_next = 5000;
    ViolationLog log;
    StreamCheck check(stream_id, "server 3", log);
    check.issue(left, 1);
    check.issue(right, 1);
    check.answered(first, true);
    check.issue(first_next, 10);
    check.answered(second, true);
    check.answered(first_next, true);
    check.received(payload(first, 1));
    check.received(payload(first_next, 10));
    check.received(payload(second, 1));
    check.finish(true, 12);
    EXPECT_EQ(log.count(), 0u) << first << " first";
  }
  // What follows neither is found out at once.
  check_.issue(left, 1);
  check_.issue(right, 1);
  check_.answered(left, true);
  check_.answered(right, true);
  check_.received(payload(left, 1) + payload(5000, 10));
  EXPECT_NE(says(), "");
}

TEST_F(StreamCheckTest, ThousandsOfEqualOpsSideBySideMergeToOnePath) {
  constexpr std::uint64_t senders = 6;
  constexpr std::uint64_t rounds = 500;
  // Each sender sends the same byte again and again, all of them side by side: the paths are as many as there are ways
  // to share what has arrived among the senders, and they must meet again.
  const Bytes byte = {0x55};
  for (std::uint64_t round = 0; round < rounds; ++round) {
    for (std::uint64_t sender = 0; sender < senders; ++sender) {
      check_.issue(round * senders + sender, 1, byte);
    }
    for (std::uint64_t sender = 0; sender < senders; ++sender) {
      check_.answered(round * senders + sender, true);
    }
  }
  check_.received(Bytes(senders * rounds, 0x55));
  check_.finish(true, senders * rounds);
  EXPECT_EQ(says(), "");
  EXPECT_FALSE(check_.gave_up());
  check_.received(byte);
  EXPECT_NE(says(), "");
}

TEST_F(StreamCheckTest, MoreReadingsThanCanBeFollowedAreNoViolation) {
  constexpr std::uint64_t senders = 14;  // 14 over 7 is 3432 readings
  const Bytes byte = {0x55};
  for (std::uint64_t sender = 0; sender < senders; ++sender) {
    check_.issue(sender, 1, byte);
  }
  check_.received(Bytes(7, 0x55));
  EXPECT_TRUE(check_.gave_up());
  for (std::uint64_t sender = 0; sender < senders; ++sender) {
    check_.answered(sender, sender < 7);
  }
  check_.finish(true, 7);
  EXPECT_EQ(says(), "");
  sent(100, 10);
  check_.finish(true, 17);
  EXPECT_NE(says(), "") << "bytes are still counted";
}

TEST_F(StreamCheckTest, SendersOnThreadsOfTheirOwnAreSilent) {
  constexpr std::uint64_t senders = 3;
  constexpr std::uint64_t ops_per_sender = 400;
  std::mutex wire_mutex;
  Bytes wire;
  std::atomic<std::uint64_t> running = senders;
  std::vector<std::thread> threads;
  for (std::uint64_t sender = 0; sender < senders; ++sender) {
    threads.emplace_back([&, sender] {
      for (std::uint64_t i = 0; i < ops_per_sender; ++i) {
        const std::uint64_t token = sender * ops_per_sender + i;
        const std::size_t bytes = token * 7 % 23;
        check_.issue(token, bytes);
        {
          const std::lock_guard lock(wire_mutex);
          wire = std::move(wire) + payload(token, bytes);
        }
        check_.answered(token, true);
      }
      --running;
    });
  }
  for (bool more = true; more;) {
    more = running.load() > 0;
    Bytes taken;
    {
      const std::lock_guard lock(wire_mutex);
      std::swap(taken, wire);
    }
    check_.received(taken);
  }
  for (auto& thread : threads) {
    thread.join();
  }
  check_.finish(true, check_.accepted_bytes());
  EXPECT_EQ(says(), "");
  EXPECT_GT(check_.accepted_bytes(), 0u);
}

}  // namespace
}  // namespace rig
