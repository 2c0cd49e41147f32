// Listener: accepts connections of `direct` and makes sockets of them.
#pragma once

#include <cstdint>
#include <expected>
#include <memory>

#include "harness/base/error.h"
#include "harness/subjects/direct/loop.h"
#include "harness/subjects/direct/session.h"
#include "harness/subjects/direct/tcp.h"
#include "harness/subjects/subject.h"

namespace rig::direct {

// Listener accepts while it has a free place, and after a lack of descriptors or memory again a little later. Owns: the
// listening descriptor. Thread: the loop's.
class Listener final : public Object {
 public:
  // Origin is what the sockets of a listener have in common.
  struct Origin {
    std::shared_ptr<const Context> context;
    const Library* library = nullptr;
    rig_socket_config config{};
    rig_listener_callbacks callbacks{};
    void* user = nullptr;
  };

  static std::expected<std::unique_ptr<Listener>, Error> open(Loop& loop, const char* host, std::uint16_t port,
                                                              const Origin& origin);

  std::uint16_t port() const noexcept { return port_of(descriptor_.handle()); }
  // close stops it; its sockets live on. Also inside `accepted`.
  void close() noexcept { descriptor_.close(); }

  Interest interest(std::int64_t now_us) override;
  void turn(short events, std::int64_t now_us) override;
  bool gone() const override { return !descriptor_.handle().valid(); }
  void count(rig_loop_counts& counts) const override;

 private:
  Listener(Loop& loop, Descriptor descriptor, const Origin& origin);
  bool full() const;
  void hand_over(Descriptor descriptor);

  Loop& loop_;
  Descriptor descriptor_;
  const Origin origin_;
  const std::shared_ptr<void> places_;  // a share of it is a socket that is not freed
  std::int64_t rests_until_us_ = 0;
};

}  // namespace rig::direct
