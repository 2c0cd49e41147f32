// The house with the bug that TLSRIG_PLANT names, as a shared object: the command can then replay what a fuzzer has
// found of a planted bug. Without the variable it is the house.
#include "fuzz/planted.h"
#include "harness/subjects/subjects.h"

extern "C" __attribute__((visibility("default"))) const rig_subject* rig_subject_entry(void) {
  if (const rig_subject* const planted = rig::planted_subject(); planted != nullptr) {
    return planted;
  }
  const auto house = rig::find_subject("house");
  return house.has_value() ? *house : nullptr;
}
