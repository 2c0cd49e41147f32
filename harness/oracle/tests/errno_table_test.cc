// The errno table against the three rules that it follows, and against how an errno becomes an Error.
#include "harness/oracle/errno_table.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>
#include <utility>

namespace rig {
namespace {

TEST(ErrnoTableTest, EachCallAndErrnoHasOneRow) {
  std::set<std::pair<SystemCall, int>> seen;
  for (const ErrnoRow& row : errno_rows()) {
    EXPECT_TRUE(seen.emplace(row.call, row.number).second) << call_name(row.call) << " " << row.name;
    EXPECT_FALSE(row.why.empty());
  }
}

TEST(ErrnoTableTest, WhatComesAgainAndDeadlinesAreNeverAPeerThatIsGone) {
  for (const ErrnoRow& row : errno_rows()) {
    const bool comes_again = row.number == EINTR || (row.number == EAGAIN && row.call != SystemCall::connect);
    if (comes_again) {
      EXPECT_EQ(row.ends, std::nullopt) << call_name(row.call) << " " << row.name;
    } else if (row.number == ETIMEDOUT && row.call != SystemCall::accept) {
      EXPECT_EQ(row.ends, Code::timeout) << call_name(row.call);
    }
    EXPECT_NE(row.ends, Code::would_block) << call_name(row.call) << " " << row.name;
  }
}

TEST(ErrnoTableTest, NothingThatTheSystemSaysIsADefectOfTheLayer) {
  for (const ErrnoRow& row : errno_rows()) {
    EXPECT_NE(row.ends, Code::internal) << call_name(row.call) << " " << row.name;
  }
}

TEST(ErrnoTableTest, AcceptsAndOptionsEndNothing) {
  for (const ErrnoRow& row : errno_rows()) {
    if (row.call == SystemCall::accept || row.call == SystemCall::set_option) {
      EXPECT_EQ(row.ends, std::nullopt) << call_name(row.call) << " " << row.name;
    }
  }
}

// What the number alone does not say: a connect that would block may have no port, and a bind has named its address.
TEST(ErrnoTableTest, AnErrorIsOfTheClassOfItsRow) {
  for (const ErrnoRow& row : errno_rows()) {
    const bool says_more = row.number == EAGAIN || (row.call == SystemCall::bind && row.number == EADDRNOTAVAIL);
    if (row.ends.has_value() && !says_more) {
      EXPECT_EQ(system_error(call_name(row.call), row.number).code(), *row.ends)
          << call_name(row.call) << " " << row.name;
    }
  }
}

}  // namespace
}  // namespace rig
