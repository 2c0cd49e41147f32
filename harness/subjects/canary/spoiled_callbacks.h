// SpoiledCallbacks: a subject around another, for canaries that change what the app is called back with.
#pragma once

#include <cstdint>

#include "harness/base/check.h"
#include "harness/subjects/subject.h"

namespace rig {

// SpoiledCallbacks leads the callbacks of every socket through those that `spoil` puts into the app's own table. One
// canary has one `spoil`, and with it one inner subject and one app in the process, since the tables of subject.h carry
// no user pointer. Thread: wrap() while no run is under way; the verbs as the inner subject's own.
template <void (*spoil)(rig_socket_callbacks& callbacks)>
class SpoiledCallbacks {
 public:
  // wrap answers the table of `subject`, which must outlive its use, with the verbs of this class in it. A canary may
  // put further verbs of its own there. Owns: the table, until the next wrap().
  static rig_subject& wrap(const rig_subject* subject) {
    RIG_CHECK(subject != nullptr && subject != &table_);
    inner_ = subject;
    table_ = *subject;
    table_.connect = connect;
    table_.adopt = adopt;
    return table_;
  }

  // inner is the subject that is wrapped; app, once a socket was connected or adopted, what its callbacks lead to.
  static const rig_subject& inner() { return *inner_; }
  static const rig_socket_callbacks& app() { return app_; }

  static rig_status connect(rig_loop* loop, rig_context* context, const char* host, std::uint16_t port,
                            const rig_socket_config* config, const rig_socket_callbacks* callbacks, void* user,
                            rig_socket** socket, rig_error* error) {
    return inner_->connect(loop, context, host, port, config, spoiled(callbacks), user, socket, error);
  }

  static void adopt(rig_socket* socket, const rig_socket_callbacks* callbacks, void* user) {
    inner_->adopt(socket, spoiled(callbacks), user);
  }

 private:
  // Two loops may ask for it at once; the first to come makes it.
  static const rig_socket_callbacks* spoiled(const rig_socket_callbacks* callbacks) {
    static const rig_socket_callbacks made = [callbacks] {
      app_ = *callbacks;
      rig_socket_callbacks changed = *callbacks;
      spoil(changed);
      return changed;
    }();
    return &made;
  }

  static inline const rig_subject* inner_ = nullptr;
  static inline rig_subject table_{};
  static inline rig_socket_callbacks app_{};
};

}  // namespace rig
