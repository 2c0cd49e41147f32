// Visitor: a listener and connections to it that an app opens from inside a callback.
#pragma once

#include <array>
#include <atomic>
#include <cstddef>

#include "harness/oracle/violation.h"
#include "harness/scenario/signal.h"
#include "harness/subjects/subject.h"

namespace rig {

// VisitorPlan is where a Visitor goes. The contexts are of the run.
struct VisitorPlan {
  rig_loop* loop = nullptr;
  rig_context* client = nullptr;
  rig_context* server = nullptr;
  const char* host = "127.0.0.1";
};

// Visitor opens a listener that may hold one connection, and three connections to it. The first that is accepted is
// destroyed there and then, the second is held until its client has gone, and the third has to wait for that: R1 is
// reported if it does not. What came to the clients is given back, and then the listener. It asks nothing of how the
// connections end: only that verbs which make a socket or a listener can be called in a callback. Thread: of the loop;
// finished() on any.
class Visitor {
 public:
  Visitor(const rig_subject& subject, const VisitorPlan& plan, Signal& signal, ViolationLog& log);
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  bool finished() const { return finished_.load(); }

 private:
  // Guest is a client, as long as it has a socket.
  struct Guest {
    Visitor* visitor = nullptr;
    rig_socket* socket = nullptr;
  };

  static void on_accepted(void* user, rig_socket* socket);
  static void on_held_ended(void* user);
  static void on_held_closed(void* user, const rig_error* error);
  static void on_connected(void* user, const rig_error* error);
  static void on_ended(void* user);
  static void on_closed(void* user, const rig_error* error);
  void close(rig_socket* socket);
  void give_back();

  const rig_subject& subject_;
  Signal& signal_;
  ViolationLog& log_;
  rig_listener* listener_ = nullptr;
  std::array<Guest, 3> guests_{};
  std::size_t accepted_ = 0;
  rig_socket* held_ = nullptr;
  bool opening_ = true;  // more guests are to come
  std::atomic<bool> finished_{false};
};

}  // namespace rig
