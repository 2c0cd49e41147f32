// Runs of scenarios may ask for a fresh process, so this program can be one.
#include <gtest/gtest.h>

#include "harness/scenario/runner.h"

int main(int argc, char** argv) {
  if (const auto code = rig::run_as_child(argc, argv); code.has_value()) {
    return *code;
  }
  testing::InitGoogleTest(&argc, argv);
  return RUN_ALL_TESTS();
}
