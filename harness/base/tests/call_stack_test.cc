#include "harness/base/call_stack.h"

#include <gtest/gtest.h>

namespace rig {
namespace {

[[gnu::noinline]] CallStack taken_here(const void** caller) {
  *caller = __builtin_return_address(0);
  return CallStack::capture(*caller);
}

TEST(CallStack, BeginsAtTheAddressThatItIsGivenAndNamesFunctionsThatAreNotExported) {
  const void* caller = nullptr;
  const CallStack stack = taken_here(&caller);
  EXPECT_FALSE(stack.empty());
  EXPECT_EQ(stack.site(), caller);
  const std::string names = stack.describe();
  EXPECT_TRUE(names.contains("CallStack_BeginsAt")) << names;
  EXPECT_TRUE(names.contains("test_unit_base+0x")) << names;
  EXPECT_FALSE(names.contains("taken_here")) << names;
  EXPECT_TRUE(names.contains(" <- ")) << names;
}

TEST(CallStack, AnAddressOfNothingHasAPlaceholder) {
  EXPECT_EQ(describe_place(reinterpret_cast<const void*>(16)), "?");
  EXPECT_TRUE(CallStack().empty());
  EXPECT_EQ(CallStack().site(), nullptr);
  EXPECT_EQ(CallStack().describe(), "");
}

}  // namespace
}  // namespace rig
