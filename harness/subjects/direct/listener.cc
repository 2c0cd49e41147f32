#include "harness/subjects/direct/listener.h"

#include <new>
#include <utility>

#include "harness/subjects/direct/socket.h"

namespace rig::direct {
namespace {

constexpr std::uint32_t connections_max_default = 1024;
constexpr int accepted_per_turn = 16;
// Others may have given descriptors or memory back by then.
constexpr std::int64_t rest_us = 100'000;

}  // namespace

Listener::Listener(Loop& loop, Descriptor descriptor, const Origin& origin)
    : loop_(loop), descriptor_(std::move(descriptor)), origin_(origin), places_(std::make_shared<char>()) {}

std::expected<std::unique_ptr<Listener>, Error> Listener::open(Loop& loop, const char* host, std::uint16_t port,
                                                               const Origin& origin) {
  RIG_TRY(descriptor, listen_at(host, port));
  return std::unique_ptr<Listener>(new Listener(loop, std::move(descriptor), origin));
}

bool Listener::full() const {
  const std::uint32_t asked = origin_.config.connections_max;
  return places_.use_count() > static_cast<long>(asked != 0 ? asked : connections_max_default);
}

Interest Listener::interest(std::int64_t now_us) {
  Interest interest{.handle = descriptor_.handle(), .events = 0, .until_us = never};
  if (now_us < rests_until_us_) {
    interest.until_us = rests_until_us_;
  } else if (!full()) {
    interest.events = POLLIN;
  }
  return interest;
}

void Listener::turn(short events, std::int64_t now_us) {
  if (events == 0) {
    return;
  }
  for (int count = 0; count < accepted_per_turn && !gone() && !full(); ++count) {
    auto descriptor = accept_one(descriptor_.handle());
    if (!descriptor.has_value()) {
      rests_until_us_ = descriptor.error().code() == Code::would_block ? 0 : now_us + rest_us;
      return;
    }
    try {
      hand_over(std::move(*descriptor));
    } catch (const std::bad_alloc&) {
      return;  // the connection is closed
    }
  }
}

void Listener::hand_over(Descriptor descriptor) {
  auto session = origin_.context->make_session(descriptor.handle(), {});
  if (!session.has_value()) {
    return;
  }
  Socket::Parts parts{.descriptor = std::move(descriptor),
                      .session = std::move(*session),
                      .library = origin_.library,
                      .server = true,
                      .place = places_,
                      .failure = {}};
  auto owned = std::make_unique<Socket>(loop_, std::move(parts), origin_.config);
  Socket& socket = *owned;
  loop_.add(std::move(owned));
  origin_.callbacks.accepted(origin_.user, reinterpret_cast<rig_socket*>(&socket));
}

void Listener::count(rig_loop_counts& counts) const {
  if (!gone()) {
    ++counts.listeners;
    ++counts.registrations;
  }
}

}  // namespace rig::direct
