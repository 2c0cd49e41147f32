#include "harness/engine/foreign_protocol.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace rig {
namespace {

using namespace std::string_view_literals;

std::string words_for(std::string_view first) {
  const auto foreign = foreign_protocol(as_bytes(first), -7);
  if (!foreign.has_value()) {
    return {};
  }
  EXPECT_EQ(foreign->code(), Code::protocol);
  EXPECT_EQ(foreign->number(), -7);
  return std::string(foreign->detail());
}

TEST(ForeignProtocol, IsNamedByItsFirstBytes) {
  for (const auto http : {"GET / HTTP/1.1\r\n", "HTTP/1.1 400 Bad Request\r\n", "CONNECT a:443 HTTP/1.1"}) {
    EXPECT_EQ(words_for(http), "the peer speaks plain HTTP, not TLS") << http;
  }
  EXPECT_EQ(words_for("220 mail\tready\r\n250"),
            "the peer does not speak TLS: its first bytes are plain text (\"220 mail\tready\")");
  EXPECT_EQ(words_for("\r\n"), "the peer does not speak TLS: its first bytes are plain text (\"\")");
  EXPECT_EQ(words_for("GETAWAY"), "the peer does not speak TLS: its first bytes are plain text (\"GETAWAY\")");
  for (const auto binary : {"\x80\x2e\x01"sv, "\x13\x03\x03"sv, "\x18\x03\x03"sv, "\x16\x02\x03"sv, "\0"sv}) {
    EXPECT_EQ(words_for(binary), "the peer does not speak TLS: its first bytes are no TLS record");
  }
}

TEST(ForeignProtocol, IsNotSaidOfARecordOrOfNothing) {
  for (const auto record : {""sv, "\x16"sv, "\x14\x03"sv, "\x15\x03\x01"sv, "\x16\x03\x01\x02"sv, "\x17\x03\x03"sv}) {
    EXPECT_EQ(words_for(record), "");
  }
}

TEST(FirstBytes, AreKeptOverManyNotesAndNoMore) {
  FirstBytes first;
  EXPECT_TRUE(first.bytes().empty());
  std::string all;
  for (char c = 'a'; c <= 'z'; ++c) {
    all += {c, '-', c};
    first.note(as_bytes({all.data() + all.size() - 3, 3}));
    first.note({});
  }
  EXPECT_EQ(as_text(first.bytes()), all.substr(0, 32));
}

}  // namespace
}  // namespace rig
