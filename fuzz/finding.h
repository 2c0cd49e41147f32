// What a fuzzer does with what it has found.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

// LLVMFuzzerTestOneInput is what a target defines, and libFuzzer or the replayer calls. It answers 0, or -1 for what is
// no input of the target: that becomes part of no corpus.
extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);
// LLVMFuzzerInitialize may be defined as well, and is called once before it.
extern "C" int LLVMFuzzerInitialize(int* argc, char*** argv);

namespace rig {

// fuzz_backend is the TLS library that this program was built for; empty if its target asks for none.
std::string_view fuzz_backend() noexcept;

// found prints `sentence` and aborts, so that the input is kept. Thread: any.
[[noreturn]] void found(std::string_view sentence);

// demand calls found() unless `holds`.
inline void demand(bool holds, std::string_view sentence) {
  if (!holds) {
    found(sentence);
  }
}

}  // namespace rig
