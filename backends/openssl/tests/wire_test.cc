// The BIO: would-block is -1 with the retry flag of this call, an end is 0 without one, and nothing is stale.
#include "backends/openssl/wire.h"

#include <gtest/gtest.h>

#include <string>

namespace rig::openssl {
namespace {

struct WireTest : testing::Test {
  Wire wire;
  Bio bio = wire.make_bio();
  Bytes storage = Bytes(8);
  std::array<std::uint8_t, 16> taken{};

  int read(int bytes = 16) { return BIO_read(bio.get(), taken.data(), bytes); }
  int write(std::string_view text) { return BIO_write(bio.get(), text.data(), static_cast<int>(text.size())); }
};

TEST_F(WireTest, FlagsBelongToTheCallThatSetThem) {
  CipherOut out{MutableBytes(storage)};
  wire.open(out, true);
  EXPECT_EQ(write("12345678"), 8);
  EXPECT_EQ(write("9"), -1);
  EXPECT_TRUE(BIO_should_write(bio.get()));
  EXPECT_TRUE(BIO_should_retry(bio.get()));
  EXPECT_EQ(read(), -1);
  EXPECT_TRUE(BIO_should_read(bio.get()));
  EXPECT_FALSE(BIO_should_write(bio.get())) << "a flag of the write before";
  wire.end();
  EXPECT_EQ(read(), 0);
  EXPECT_FALSE(BIO_should_retry(bio.get())) << "an end is no would-block";
  EXPECT_EQ(BIO_eof(bio.get()), 1);
  wire.close();
  EXPECT_EQ(read(), -1) << "outside of a verb there is neither input nor output";
  EXPECT_EQ(BIO_eof(bio.get()), 0);
  EXPECT_EQ(write("x"), -1);
}

TEST_F(WireTest, AWriteIsCutWhereTheRoomEnds) {
  CipherOut out{MutableBytes(storage)};
  wire.open(out, false);
  EXPECT_EQ(write("0123456789"), 8);
  EXPECT_TRUE(wire.held_back());
  CipherOut more{MutableBytes(storage)};
  wire.open(more, false);
  EXPECT_EQ(write("89"), 2);
  EXPECT_FALSE(wire.held_back());
  EXPECT_EQ(as_text(more.bytes()), "89");
  EXPECT_EQ(BIO_flush(bio.get()), 1);
}

TEST_F(WireTest, WhatIsTakenWholeGoesFirst) {
  CipherOut out{MutableBytes(storage)};
  wire.reserve();
  wire.open(out, false);
  EXPECT_EQ(write("records"), 7);
  wire.take_whole(true);
  EXPECT_EQ(write("alert"), 5);
  EXPECT_EQ(wire.backlog(), 4U);
  EXPECT_FALSE(wire.held_back());
  wire.take_whole(false);
  EXPECT_EQ(write("more"), -1) << "nothing overtakes it";
  CipherOut two{MutableBytes(storage).first(2)};
  wire.open(two, false);
  EXPECT_FALSE(wire.flush());
  EXPECT_EQ(as_text(two.bytes()), "le");
  CipherOut rest{MutableBytes(storage)};
  wire.open(rest, false);
  EXPECT_EQ(write("more"), 4);
  EXPECT_EQ(as_text(rest.bytes()), "rtmore");
  EXPECT_EQ(wire.backlog(), 0U);
}

TEST_F(WireTest, WhatIsTakenWholeIsBounded) {
  CipherOut none{MutableBytes()};
  wire.open(none, false);
  wire.take_whole(true);
  EXPECT_EQ(write("alert"), -1) << "nothing was reserved";
  wire.reserve();
  std::size_t held = 0;
  while (write("alert") > 0) {
    held += 5;
    ASSERT_LE(held, 512U);
  }
  EXPECT_EQ(held, 510U);
  wire.reserve_record();
  EXPECT_EQ(write(std::string(SSL3_RT_MAX_PACKET_SIZE, 'r')), SSL3_RT_MAX_PACKET_SIZE);
}

TEST_F(WireTest, NothingFollowsTheEndOfOurDirection) {
  CipherOut out{MutableBytes(storage)};
  wire.open(out, false);
  wire.shut();
  EXPECT_EQ(write("ignored"), 7);
  EXPECT_EQ(out.size(), 0U);
}

TEST_F(WireTest, RecordsAreFollowedAcrossCuts) {
  const Bytes record = {22, 3, 3, 0, 2, 'a', 'b'};
  wire.feed(record);
  CipherOut out{MutableBytes(storage)};
  wire.open(out, true);
  for (std::size_t at = 0; at < record.size(); ++at) {
    EXPECT_EQ(wire.within_record(), at > 0);
    EXPECT_EQ(read(1), 1);
  }
  EXPECT_FALSE(wire.within_record());
  EXPECT_EQ(wire.unread(), 0U);
}

TEST_F(WireTest, TheInputDoesNotGrowWithWhatWasTaken) {
  CipherOut out{MutableBytes(storage)};
  const Bytes block(40'000, 1);
  Bytes sink(50'000);
  std::size_t fed = 0;
  std::size_t read_bytes = 0;
  wire.feed(block);
  fed += block.size();
  for (int turn = 0; turn < 20; ++turn) {
    wire.feed(block);
    fed += block.size();
    wire.open(out, true);
    read_bytes += static_cast<std::size_t>(BIO_read(bio.get(), sink.data(), 40'000));
    EXPECT_EQ(wire.unread(), fed - read_bytes);
  }
  EXPECT_EQ(as_text(wire.first_bytes()).substr(0, 2), "\x01\x01");
}

}  // namespace
}  // namespace rig::openssl
