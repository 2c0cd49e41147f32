// Input: what it lets the library pull, cut at each byte, and what it says of the records in between.
#include "backends/gnutls/input.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <vector>

namespace rig::gnutls {
namespace {

constexpr std::uint8_t handshake = 22;
constexpr std::uint8_t application_data = 23;

Bytes record(std::uint8_t type, std::size_t body_bytes) {
  Bytes one{type, 3, 3, static_cast<std::uint8_t>(body_bytes >> 8), static_cast<std::uint8_t>(body_bytes)};
  one.insert(one.end(), body_bytes, type);
  return one;
}

Bytes pulled(Input& input, std::size_t bytes_max, Intake intake) {
  Bytes room(bytes_max);
  const Input::Pull pull = input.pull(room, intake);
  EXPECT_FALSE(pull.end);
  room.resize(pull.bytes);
  return room;
}

TEST(GnutlsInput, AVerbThatOnlyProducesPullsNothing) {
  for (const bool heeding : {false, true}) {
    Input input;
    if (heeding) {
      input.heed_types();
    }
    for (const std::uint8_t type : {handshake, application_data}) {
      input.feed(record(type, 10));
      EXPECT_EQ(pulled(input, 64, Intake::none), Bytes());
    }
    EXPECT_EQ(input.unread(), 30U);
    input.end();
    EXPECT_EQ(pulled(input, 64, Intake::none), Bytes());
  }
}

// The library pulls a header as it pleases; whoever may only have data must not get the rest of another record.
TEST(GnutlsInput, AnIntakeIsHeldToItsTypeWithinARecordThatWasCutAnywhere) {
  struct Row {
    std::uint8_t type;
    Intake takes, refuses;
  };
  for (const Row& row :
       {Row{application_data, Intake::data, Intake::no_data}, Row{handshake, Intake::no_data, Intake::data}}) {
    const Bytes first = record(row.type, 10);
    const Bytes second = record(row.type == handshake ? application_data : handshake, 4);
    for (std::size_t cut = 0; cut < first.size(); ++cut) {
      Input input;
      input.heed_types();
      input.feed(first);
      input.feed(second);
      Bytes got;
      while (got.size() < cut) {
        const Bytes part = pulled(input, cut - got.size(), row.takes);
        ASSERT_FALSE(part.empty());
        got.insert(got.end(), part.begin(), part.end());
      }
      EXPECT_EQ(input.data_next(), row.type == application_data) << cut;
      EXPECT_EQ(pulled(input, 64, row.refuses), Bytes()) << cut;
      while (got.size() < first.size()) {
        const Bytes part = pulled(input, 64, row.takes);
        ASSERT_FALSE(part.empty());
        got.insert(got.end(), part.begin(), part.end());
      }
      EXPECT_EQ(got, first) << cut;
      EXPECT_EQ(pulled(input, 64, row.takes), Bytes()) << cut;
      EXPECT_EQ(input.data_next(), row.type == handshake) << cut;
      EXPECT_EQ(input.unread(), second.size());
    }
  }
}

// How long the record is, is known as soon as its header is there, wherever the header lies by now.
TEST(GnutlsInput, TheLengthOfARecordIsKnownFromItsHeaderOn) {
  const Bytes whole = record(application_data, 0x0102);
  for (std::size_t fed = 0; fed <= 7; ++fed) {
    for (std::size_t taken = 0; taken <= std::min<std::size_t>(fed, 5); ++taken) {
      Input input;
      input.heed_types();
      input.feed(ByteView(whole).first(fed));
      for (std::size_t one = 0; one < taken; ++one) {
        ASSERT_EQ(pulled(input, 1, Intake::data), Bytes{whole[one]});
      }
      const auto length = input.next_body_bytes();
      EXPECT_EQ(length, fed < 5 ? std::nullopt : std::optional<std::size_t>(0x0102)) << fed << " fed, " << taken;
    }
  }
}

TEST(GnutlsInput, AnAlertThatWasNeverEncryptedIsToldApart) {
  struct Row {
    Bytes record;
    std::optional<std::uint8_t> alert;
  };
  const std::vector<Row> rows{{{21, 3, 3, 0, 2, 2, 40}, 40},
                              {{21, 3, 3, 0, 3, 2, 40, 0}, std::nullopt},
                              {{22, 3, 3, 0, 2, 2, 40}, std::nullopt}};
  for (const Row& row : rows) {
    Input input;
    input.feed(row.record);
    for (std::size_t at = 0; at < row.record.size(); ++at) {
      EXPECT_EQ(input.plain_alert(), std::nullopt) << at;
      ASSERT_EQ(pulled(input, 1, Intake::all).size(), 1U);
    }
    EXPECT_EQ(input.plain_alert(), row.alert);
  }
}

}  // namespace
}  // namespace rig::gnutls
