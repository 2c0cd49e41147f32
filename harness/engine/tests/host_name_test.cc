#include "harness/engine/host_name.h"

#include <gtest/gtest.h>

#include <string>

namespace rig {
namespace {

using std::string_view_literals::operator""sv;

struct NameCase {
  std::string_view entry;
  std::string_view host;
  bool matches;
};

TEST(HostName, AnEntryMatchesByTheOneRule) {
  const NameCase cases[] = {
      {"example.test", "example.test", true},
      {"Example.TEST", "eXample.test", true},
      {"example.test", "example.tes", false},
      {"example.test", "www.example.test", false},
      {"a_b.example.test", "a_b.example.test", true},
      {"", "example.test", false},
      {"example.test", "", false},
      {"", "", false},
      {"*.wild.test", "a.wild.test", true},
      {"*.wild.test", "A-1.WILD.test", true},
      {"*.wild.test", "a.b.wild.test", false},
      {"*.wild.test", "wild.test", false},
      {"*.wild.test", ".wild.test", false},
      {"*.wild.test", "*.wild.test", true},
      {"*.wild.test", "**.wild.test", false},
      {"*.wild.test", "a_b.wild.test", false},
      {"*.wild.test", "a%b.wild.test", false},
      {"*.wild.test", "\xc3\xa4.wild.test", false},
      {"*.wild.test", "a.wild.test.", false},
      {"*.test", "wild.test", false},
      {"*.test.", "wild.test.", false},
      {"*..test", "a..test", false},
      {"*", "localhost", false},
      {"*.", "a.", false},
      {"*d.test", "wild.test", false},
      {"*d.wild.test", "ad.wild.test", false},
      {"a*.wild.test", "ab.wild.test", false},
      {"a.*.test", "a.b.test", false},
      {"*.*.test", "a.b.test", false},
      {"example.test\0.evil.test"sv, "example.test", false},
      {"example.test\0"sv, "example.test", false},
      {"localhost", "localhost", true},
      {"localhost", "localhost.", false},
  };
  for (const NameCase& c : cases) {
    EXPECT_EQ(name_matches(c.entry, c.host), c.matches) << c.entry << " against " << c.host;
  }
}

TEST(HostName, AHostThatCannotBeAskedForIsRefused) {
  EXPECT_TRUE(check_host("localhost", true).has_value());
  EXPECT_TRUE(check_host("", false).has_value());
  EXPECT_TRUE(check_host(std::string(255, 'a'), true).has_value());
  for (const std::string& host : {std::string(), std::string("a\0b", 3), std::string(256, 'a')}) {
    const Status status = check_host(host, true);
    ASSERT_FALSE(status.has_value()) << host;
    EXPECT_EQ(status.error().code(), Code::invalid_argument);
  }
}

TEST(HostName, OnlyWholeLiteralsAreAddresses) {
  EXPECT_EQ(parse_address("127.0.0.1")->size, 4U);
  EXPECT_EQ(parse_address("::1")->size, 16U);
  EXPECT_EQ(parse_address("2001:db8::ff")->bytes()[15], 0xff);
  for (const std::string_view name : {"localhost"sv, "127.0.0"sv, "127.0.0.1."sv, "[::1]"sv, "127.0.0.1\0"sv, ""sv,
                                      "0000:0000:0000:0000:0000:0000:0000:0000:0000:0000"sv}) {
    EXPECT_FALSE(parse_address(name).has_value()) << name;
  }
}

TEST(HostName, NamesThatCanBeSent) {
  for (const char* name : {"localhost", "a-b.C0.test", "1.2.3"}) {
    EXPECT_TRUE(sendable_name(name)) << name;
  }
  for (const char* name : {"", ".test", "a b", "a_b", "127.0.0.1", "::1", "\xc3\xa4.test"}) {
    EXPECT_FALSE(sendable_name(name)) << name;
  }
  EXPECT_TRUE(sendable_name(std::string(253, 'x')));
  EXPECT_FALSE(sendable_name(std::string(254, 'x')));
}

}  // namespace
}  // namespace rig
