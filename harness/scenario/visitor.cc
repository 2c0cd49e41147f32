#include "harness/scenario/visitor.h"

#include <utility>

#include "harness/scenario/app_door.h"

namespace rig {

Visitor::Visitor(const rig_subject& subject, const VisitorPlan& plan, Signal& signal)
    : subject_(subject), signal_(signal) {
  static const rig_listener_callbacks listening{.accepted = on_accepted};
  static const rig_socket_callbacks talking{.connected = on_connected,
                                            .data = [](void*, const std::uint8_t*, std::size_t) {},
                                            .ended = on_ended,
                                            .sent = [](void*, std::uint64_t, std::size_t, const rig_error*) {},
                                            .writable = [](void*) {},
                                            .closed = on_closed};
  rig_socket_config config{};
  config.host = "localhost";
  rig_error error{};
  const bool listens =
      subject_.listen(plan.loop, plan.server, plan.host, 0, &config, &listening, this, &listener_, &error) == RIG_OK;
  if (!listens || subject_.connect(plan.loop, plan.client, plan.host, subject_.listener_port(listener_), &config,
                                   &talking, this, &socket_, &error) != RIG_OK) {
    give_back();
  }
}

void Visitor::on_accepted(void* user, rig_socket* socket) {
  auto& visitor = *static_cast<Visitor*>(user);
  const CalledBack called_back("visitor", "accepted");
  visitor.subject_.destroy(socket);
}

// A destroy that could not reset the connection has ended it.
void Visitor::on_ended(void* user) {
  auto& visitor = *static_cast<Visitor*>(user);
  const CalledBack called_back("visitor", "ended");
  rig_error error{};
  visitor.subject_.close(visitor.socket_, RIG_CLOSE_GRACEFUL, &error);
}

void Visitor::on_closed(void* user, const rig_error*) {
  auto& visitor = *static_cast<Visitor*>(user);
  const CalledBack called_back("visitor", "closed");
  visitor.subject_.destroy(std::exchange(visitor.socket_, nullptr));
  visitor.give_back();
}

void Visitor::give_back() {
  if (listener_ != nullptr) {
    subject_.listener_close(std::exchange(listener_, nullptr));
  }
  finished_ = true;
  signal_.changed();
}

}  // namespace rig
