// Links: what the benchmark sends its messages through, from a client to a server in one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>

#include "harness/engine/backend.h"

namespace rig::bench {

// Link is a connection that is established. Thread: one.
class Link {
 public:
  virtual ~Link() = default;

  // transfer sends `count` messages of `bytes` and returns when the server has received them all. A link that fails
  // ends the process with a sentence: there is nothing to measure then.
  virtual void transfer(std::size_t count, std::size_t bytes) = 0;
};

// open_pair joins two engines in memory: what the library costs, and nothing else. open_layer connects two sockets of
// the reference layer over loopback, both on one loop of the calling thread, reached through subject.h.
std::unique_ptr<Link> open_pair(Backend& backend, TlsVersion version);
std::unique_ptr<Link> open_layer(Backend& backend, TlsVersion version, bool fast_track);

}  // namespace rig::bench
