// Visitor: a listener and a connection to it that an app opens from inside a callback.
#pragma once

#include <atomic>

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

// Visitor opens both at once, refuses the connection when it is accepted, and gives back what it has when that has come
// to the client. It asks nothing of how that ends: only that verbs which make a socket or a listener can be called
// there. Thread: of the loop; finished() on any.
class Visitor {
 public:
  Visitor(const rig_subject& subject, const VisitorPlan& plan, Signal& signal);
  Visitor(const Visitor&) = delete;
  Visitor& operator=(const Visitor&) = delete;

  bool finished() const { return finished_.load(); }

 private:
  static void on_accepted(void* user, rig_socket* socket);
  static void on_connected(void*, const rig_error*) {}
  static void on_ended(void* user);
  static void on_closed(void* user, const rig_error* error);
  void give_back();

  const rig_subject& subject_;
  Signal& signal_;
  rig_listener* listener_ = nullptr;
  rig_socket* socket_ = nullptr;
  std::atomic<bool> finished_{false};
};

}  // namespace rig
