// AmbientSource: what a library remembers of errors per thread and not per connection.
#pragma once

#include <cstdint>

namespace rig {

// AmbientSource is one kind of ambient error state of the calling thread, for example the error queue of a TLS library.
// A backend whose library has one names it (Backend::ambient()); an oracle looks at it. Thread: each function judges or
// changes the calling thread only, and may be called on any, also before anybody has used the library.
struct AmbientSource {
  const char* name;  // "OpenSSL error queue"
  // peek returns a number that is not 0 if an entry is left on the calling thread, without changing it, and writes a
  // sentence about the latest entry.
  std::uint64_t (*peek)(char* sentence, std::uint64_t sentence_bytes);
  // clear empties it.
  void (*clear)();
};

}  // namespace rig
