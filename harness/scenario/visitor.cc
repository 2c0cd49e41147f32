#include "harness/scenario/visitor.h"

#include <algorithm>
#include <utility>

#include "harness/scenario/app_door.h"

namespace rig {
namespace {

void heed_no_data(void*, const std::uint8_t*, std::size_t) {}
void heed_nothing(void*) {}
void heed_no_completion(void*, std::uint64_t, std::size_t, const rig_error*) {}

}  // namespace

Visitor::Visitor(const rig_subject& subject, const VisitorPlan& plan, Signal& signal, ViolationLog& log)
    : subject_(subject), signal_(signal), log_(log) {
  static const rig_listener_callbacks listening{.accepted = on_accepted};
  static const rig_socket_callbacks talking{.connected = on_connected,
                                            .data = heed_no_data,
                                            .ended = on_ended,
                                            .sent = heed_no_completion,
                                            .writable = heed_nothing,
                                            .closed = on_closed};
  rig_socket_config config{};
  config.host = "localhost";
  config.connections_max = 1;
  rig_error error{};
  const bool listens =
      subject_.listen(plan.loop, plan.server, plan.host, 0, &config, &listening, this, &listener_, &error) == RIG_OK;
  for (Guest& guest : guests_) {
    guest.visitor = this;
    if (listens) {
      subject_.connect(plan.loop, plan.client, plan.host, subject_.listener_port(listener_), &config, &talking, &guest,
                       &guest.socket, &error);
    }
  }
  opening_ = false;
  give_back();
}

void Visitor::close(rig_socket* socket) {
  rig_error error{};
  subject_.close(socket, RIG_CLOSE_GRACEFUL, &error);
}

void Visitor::on_accepted(void* user, rig_socket* socket) {
  static const rig_socket_callbacks holding{.connected = [](void*, const rig_error*) {},
                                            .data = heed_no_data,
                                            .ended = on_held_ended,
                                            .sent = heed_no_completion,
                                            .writable = heed_nothing,
                                            .closed = on_held_closed};
  auto& visitor = *static_cast<Visitor*>(user);
  const CalledBack called_back("visitor", "accepted");
  if (visitor.held_ != nullptr) {
    visitor.log_.report(Law::r1_resources, "visitor",
                        "a listener that may hold one connection has accepted another one beside it");
  }
  if (++visitor.accepted_ == 2) {
    visitor.held_ = socket;
    visitor.subject_.adopt(socket, &holding, &visitor);
  } else {
    visitor.subject_.destroy(socket);
  }
}

void Visitor::on_held_ended(void* user) {
  auto& visitor = *static_cast<Visitor*>(user);
  const CalledBack called_back("visitor", "ended");
  visitor.close(visitor.held_);
}

void Visitor::on_held_closed(void* user, const rig_error*) {
  auto& visitor = *static_cast<Visitor*>(user);
  const CalledBack called_back("visitor", "closed");
  visitor.subject_.destroy(std::exchange(visitor.held_, nullptr));
  visitor.give_back();
}

void Visitor::on_connected(void* user, const rig_error* error) {
  auto& guest = *static_cast<Guest*>(user);
  const CalledBack called_back("visitor", "connected");
  if (error == nullptr) {
    guest.visitor->close(guest.socket);
  }
}

// A destroy that could not reset the connection has ended it.
void Visitor::on_ended(void* user) {
  auto& guest = *static_cast<Guest*>(user);
  const CalledBack called_back("visitor", "ended");
  guest.visitor->close(guest.socket);
}

void Visitor::on_closed(void* user, const rig_error*) {
  auto& guest = *static_cast<Guest*>(user);
  const CalledBack called_back("visitor", "closed");
  guest.visitor->subject_.destroy(std::exchange(guest.socket, nullptr));
  guest.visitor->give_back();
}

void Visitor::give_back() {
  const bool empty = std::ranges::all_of(guests_, [](const Guest& guest) { return guest.socket == nullptr; });
  if (opening_ || !empty || held_ != nullptr) {
    return;
  }
  if (listener_ != nullptr) {
    subject_.listener_close(std::exchange(listener_, nullptr));
  }
  finished_ = true;
  signal_.changed();
}

}  // namespace rig
