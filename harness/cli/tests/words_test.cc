#include "harness/cli/words.h"

#include <gtest/gtest.h>

#include <array>
#include <limits>
#include <vector>

namespace rig::cli {
namespace {

const std::vector<std::string> names{"send_load", "echo_64k", "bidir", "close_with_pending"};

TEST(nearest, finds_what_was_meant) {
  EXPECT_EQ(nearest("send_laod", names), "send_load");
  EXPECT_EQ(nearest("sendload", names), "send_load");
  EXPECT_EQ(nearest("bdir", names), "bidir");
  EXPECT_EQ(nearest("close", names), "close_with_pending");
}

TEST(nearest, does_not_guess_where_nothing_is_near) {
  EXPECT_EQ(nearest("renegotiate", names), "");
  EXPECT_EQ(nearest("", names), "");
  EXPECT_EQ(nearest("x", {}), "");
}

TEST(unknown, names_the_nearest_or_all) {
  EXPECT_EQ(unknown("suite", "bidri", names), "there is no suite 'bidri'; did you mean 'bidir'?");
  EXPECT_EQ(unknown("suite", "zzzzzz", names),
            "there is no suite 'zzzzzz'; there is send_load, echo_64k, bidir and close_with_pending");
}

TEST(shell_word, is_quoted_where_it_must_be) {
  EXPECT_EQ(shell_word("a/b~c.seed1.scn"), "a/b~c.seed1.scn");
  EXPECT_EQ(shell_word("a b"), "'a b'");
  EXPECT_EQ(shell_word("it's"), "'it'\\''s'");
  EXPECT_EQ(shell_word("~/a"), "'~/a'");
  EXPECT_EQ(shell_word(""), "''");
}

TEST(seeds, are_one_or_a_range) {
  EXPECT_EQ(parse_seeds("7"), (Seeds{7, 7}));
  EXPECT_EQ(parse_seeds("1..100"), (Seeds{1, 100}));
  EXPECT_EQ(parse_seeds("18446744073709551615")->last, std::numeric_limits<std::uint64_t>::max());
}

TEST(seeds, refuse_everything_else) {
  for (const char* text :
       {"", "..", "1..", "..5", "5..1", "-1", "1.5", "1...5", " 1", "1 ", "0x10", "1..2..3", "18446744073709551616"}) {
    EXPECT_FALSE(parse_seeds(text).has_value()) << text;
  }
  EXPECT_EQ(parse_seeds("9..3").error().detail(), "the seeds 9..3 end before they begin");
}

TEST(duration, has_a_unit) {
  EXPECT_EQ(parse_duration("500ms"), std::chrono::milliseconds(500));
  EXPECT_EQ(parse_duration("60s"), std::chrono::seconds(60));
  EXPECT_EQ(parse_duration("5m"), std::chrono::minutes(5));
  EXPECT_EQ(parse_duration("720h"), std::chrono::hours(720));
}

TEST(duration, refuses_everything_else) {
  for (const char* text :
       {"", "s", "60", "0s", "-1s", "1.5s", "1d", "721h", "s60", "99999999999999999999s", "18446744073709551615h"}) {
    EXPECT_FALSE(parse_duration(text).has_value()) << text;
  }
}

TEST(duration, is_said_as_a_person_says_it) {
  EXPECT_EQ(duration_text(-1), "0.0 s");
  EXPECT_EQ(duration_text(0.44), "0.4 s");
  EXPECT_EQ(duration_text(9.96), "10 s");
  EXPECT_EQ(duration_text(59.6), "1 min 0 s");
  EXPECT_EQ(duration_text(185), "3 min 5 s");
  EXPECT_EQ(duration_text(7800), "2 h 10 min");
}

}  // namespace
}  // namespace rig::cli
