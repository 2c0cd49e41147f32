// The tests depend on the backends of the build, so they are registered here instead of by macros.
#include <gtest/gtest.h>

#include "harness/engine/conformance/kit.h"

int main(int argc, char** argv) {
  testing::InitGoogleTest(&argc, argv);
  rig::conformance::register_pairing_tests();
  rig::conformance::register_grid_tests();
  rig::conformance::register_write_tests();
  rig::conformance::register_close_tests();
  rig::conformance::register_hostile_tests();
  rig::conformance::register_identity_tests();
  rig::conformance::register_feature_tests();
  rig::conformance::register_session_tests();
  rig::conformance::register_renegotiation_tests();
  rig::conformance::register_canaries();
  return RUN_ALL_TESTS();
}
