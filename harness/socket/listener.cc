#include "harness/socket/listener.h"

#include <new>
#include <utility>

#include "harness/base/check.h"

namespace rig {
namespace {

// So many connections are taken before the sockets of the loop have their turn.
constexpr int accepts_per_turn = 64;
constexpr std::int64_t retry_delay_us = 100'000;

}  // namespace

// Places outlives the listener for as long as an accepted socket holds one.
struct Listener::Places {
  std::atomic<std::size_t> taken{0};
  std::weak_ptr<Listener> listener;

  void give_back() {
    --taken;
    if (const auto owner = listener.lock()) {
      owner->loop_->schedule(*owner);
    }
  }
};

Listener::Listener(std::shared_ptr<Loop> loop, std::shared_ptr<const Context> context,
                   std::unique_ptr<Acceptor> acceptor, Endpoint local, const ListenerConfig& config,
                   ListenerEvents& events)
    : loop_(std::move(loop)),
      context_(std::move(context)),
      acceptor_(std::move(acceptor)),
      local_(std::move(local)),
      config_(config),
      events_(events),
      places_(std::make_shared<Places>()) {}

Listener::~Listener() {
  RIG_CHECK(closed_);
}

std::expected<std::shared_ptr<Listener>, Error> Listener::open(std::shared_ptr<Loop> loop,
                                                               std::shared_ptr<const Context> context,
                                                               const Endpoint& local, const ListenerConfig& config,
                                                               ListenerEvents& events) noexcept {
  try {
    RIG_TRY(acceptor, listen_tcp(local, config.backlog));
    RIG_TRY(where, acceptor->local_endpoint());
    std::shared_ptr<Listener> listener(
        new Listener(std::move(loop), std::move(context), std::move(acceptor), std::move(where), config, events));
    listener->closed_ = false;
    listener->places_->listener = listener;
    Status status = listener->loop_->attach(listener, 1);
    if (status.has_value()) {
      status = listener->loop_->watch(*listener, listener->acceptor_->handle(), {.readable = true});
      if (!status.has_value()) {
        listener->loop_->detach(*listener);
      }
    }
    if (!status.has_value()) {
      listener->closed_ = true;
      return std::unexpected(status.error());
    }
    return listener;
  } catch (const std::bad_alloc&) {
    return std::unexpected(Error(Code::no_memory, "no memory for a listener"));
  }
}

void Listener::close() noexcept {
  if (std::exchange(closed_, true)) {
    return;
  }
  loop_->cancel(retry_timer_);
  loop_->unwatch(acceptor_->handle());
  acceptor_->close();
  loop_->detach(*this);
}

std::size_t Listener::places_taken() const noexcept {
  return places_->taken;
}

void Listener::ready(const Ready&) {
  for (int i = 0; i < accepts_per_turn && !closed_ && accepting_; ++i) {
    if (places_->taken >= config_.connections_max) {
      pause(counters_.pauses_at_cap);
      return;
    }
    if (!accept_one()) {
      return;
    }
  }
}

bool Listener::accept_one() {
  auto transport = acceptor_->accept();
  if (!transport.has_value()) {
    if (transport.error().code() != Code::would_block) {
      pause(counters_.pauses_without_resources);
      loop_->arm(retry_timer_, retry_delay_us);
    }
    return false;
  }
  make_socket(std::move(*transport));
  return true;
}

void Listener::make_socket(std::unique_ptr<Transport> transport) {
  std::shared_ptr<void> lease;
  try {
    ++places_->taken;
    lease = std::shared_ptr<void>(nullptr, [places = places_](void*) { places->give_back(); });
  } catch (const std::bad_alloc&) {
    ++counters_.dropped;  // the deleter has run: the place is free again
    return;
  }
  auto engine = context_->make_engine({});
  if (!engine.has_value()) {
    ++counters_.dropped;
    return;
  }
  auto socket =
      TlsSocket::make(loop_, std::move(transport), std::move(*engine), Role::server, config_.socket, std::move(lease));
  if (!socket.has_value() || !(*socket)->start(nullptr).has_value()) {
    ++counters_.dropped;
    return;
  }
  ++counters_.accepted;
  events_.on_accepted(*socket);
  if (!(*socket)->adopted()) {
    (*socket)->destroy();
  }
}

void Listener::pause(std::uint64_t& reason) {
  ++reason;
  accepting_ = false;
  // Taking interest away cannot fail for a registered handle.
  RIG_CHECK(loop_->rewatch(acceptor_->handle(), {}).has_value());
}

void Listener::resume() {
  if (closed_ || accepting_ || places_->taken >= config_.connections_max) {
    return;
  }
  ++counters_.resumes;
  accepting_ = true;
  loop_->cancel(retry_timer_);
  RIG_CHECK(loop_->rewatch(acceptor_->handle(), {.readable = true}).has_value());
}

void Listener::service() {
  resume();
}

void Listener::expired(Timer&) {
  resume();
}

}  // namespace rig
