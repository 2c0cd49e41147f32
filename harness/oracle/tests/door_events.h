// Calls at a library door as the tests of its laws feed them: threads are numbers, sessions are addresses of nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

#include "harness/base/library_door.h"
#include "harness/oracle/violation.h"

namespace rig::test {

// One queue is enough: the tests feed one thread at a time.
inline DoorEntry fake_queue;
constexpr DoorEntry planted_entry{.number = 99, .identity = 99};
inline std::size_t fake_pending = 0;
constexpr int fake_descriptor = 5;

inline void register_fake_door(TlsLibrary library) {
  register_library_door({.library = library,
                         .name = tls_library_name(library),
                         .ambient_name = "error queue",
                         .latest = [] { return fake_queue; },
                         .describe =
                             [](std::uint64_t number, char* sentence, std::size_t sentence_bytes) {
                               std::snprintf(sentence, sentence_bytes, "entry %d", static_cast<int>(number));
                             },
                         .plant = [] { fake_queue = planted_entry; },
                         .clear = [] { fake_queue = {}; },
                         .pending = [](const void*) { return fake_pending; },
                         .descriptor = [](const void*) { return fake_descriptor; },
                         .room_descriptor = [](const void*) { return fake_descriptor; }});
}

// at is an address of code or of a session, as good as any.
inline const void* at(std::uintptr_t number) {
  return reinterpret_cast<const void*>(number * 64);
}

// wait is a thread that waits for fake_descriptor to become readable.
inline DoorWait wait(std::uint32_t thread, bool blocks = true) {
  return {.function = "poll",
          .caller = at(900),
          .thread = thread,
          .blocks = blocks,
          .waits_for_input = [](const DoorWait&, int descriptor) { return descriptor == fake_descriptor; },
          .ignores_room = [](const DoorWait&, int) { return true; }};
}

// laws lists the laws that were broken, in order: "H1 E3".
inline std::string laws(const ViolationLog& log) {
  std::string names;
  for (const Violation& violation : log.kept()) {
    names += (names.empty() ? "" : " ") + std::string(law_name(violation.law));
  }
  return names;
}

}  // namespace rig::test
