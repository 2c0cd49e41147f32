// Environment: what counts as a lack of this machine, and what is the subject's.
#include "harness/scenario/environment.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace rig {
namespace {

TEST(LackBehind, MemoryOfWhichTheSystemSaysThatItHasRunOutIsLacking) {
  EXPECT_TRUE(lack_behind(Error(Code::no_memory, "mmap", ENOMEM)).has_value());
  EXPECT_TRUE(lack_behind(Error(Code::no_memory, "send", ENOBUFS)).has_value());
}

// Whoever says so while there is memory is judged.
TEST(LackBehind, AWordOfTheSubjectsAloneIsNoLack) {
  EXPECT_FALSE(lack_behind(Error(Code::no_memory, "no memory for an engine")).has_value());
  EXPECT_FALSE(lack_behind(Error(Code::protocol, "what came is no TLS")).has_value());
}

}  // namespace
}  // namespace rig
