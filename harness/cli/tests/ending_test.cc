#include "harness/cli/ending.h"

#include <gtest/gtest.h>

#include <optional>

namespace rig::cli {
namespace {

TEST(Ending, the_line_that_says_most_is_told) {
  EXPECT_EQ(telling_line(""), "");
  EXPECT_EQ(telling_line("one\ntwo\n\n"), "two");
  EXPECT_EQ(telling_line("==7==ERROR: AddressSanitizer: SEGV\nSUMMARY: AddressSanitizer: SEGV a.cc:1\nlast\n"),
            "==7==ERROR: AddressSanitizer: SEGV");
  EXPECT_EQ(telling_line("a.cc:3: check failed: count == 0\nAborted\n"), "a.cc:3: check failed: count == 0");
}

TEST(Ending, what_a_sanitizer_said_breaks_its_law) {
  EXPECT_EQ(law_of_report("==7==ERROR: AddressSanitizer: heap-use-after-free on address 0x1"), Law::m1_memory);
  EXPECT_EQ(law_of_report("==7==ERROR: LeakSanitizer: detected memory leaks"), Law::m1_memory);
  EXPECT_EQ(law_of_report("a.cc:3:5: runtime error: signed integer overflow"), Law::m1_memory);
  EXPECT_EQ(law_of_report("WARNING: ThreadSanitizer: heap-use-after-free (pid=7)"), Law::m1_memory);
  EXPECT_EQ(law_of_report("WARNING: ThreadSanitizer: data race (pid=7)"), Law::t1_races);
}

TEST(Ending, what_no_sanitizer_said_breaks_no_law) {
  for (const char* const line : {"", "Aborted", "a.cc:3: check failed: count == 0", "ERROR: no such file",
                                 "terminate called after throwing an instance of 'std::runtime_error'"}) {
    EXPECT_EQ(law_of_report(line), std::nullopt) << line;
  }
}

}  // namespace
}  // namespace rig::cli
