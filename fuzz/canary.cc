// The canary fails on purpose, at inputs that coverage leads to: a set-up that does not notice it notices nothing.
#include "fuzz/finding.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size > 2 && data[0] == 'b') {
    if (data[1] == 'u') {
      rig::demand(data[2] != 'g', "the canary's input");
    }
  }
  return 0;
}
